"""The kind "machine": locks on files, for any processes of one machine."""
