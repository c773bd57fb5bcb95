"""The kind "thread": threads, and tasks of any event loops, of one process."""
