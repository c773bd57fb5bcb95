"""What is measured with, each in a fresh interpreter of its own.

Which modules are imported decides which paths a lock takes and how its peers behave
(whether trio is there at all, for one). So a worker imports nothing but what it needs:
each reads a task from its command line, as JSON, and prints a sample, as JSON.

`statement` executes a statement over and over, timed by pyperf. `crowd` has threads,
tasks and processes use one lock together, `waiting` lets many wait for it, `size`
counts the bytes of one, and `idle` what processor time a waiting process takes.
"""
