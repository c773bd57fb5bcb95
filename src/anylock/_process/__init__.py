"""The kind "process": a process and the processes it starts."""
