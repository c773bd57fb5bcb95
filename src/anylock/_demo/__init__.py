"""The demo: one critical section, under threads, processes, asyncio and trio.

`section` has that critical section and is what to read. It counts words in the
file of `tally`; `texts` finds the words, `runs` starts the workers, `report` and
`display` show what came of it, and `command` is `python -m anylock demo`.
"""
