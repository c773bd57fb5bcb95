"""The soak: one lock at a time under everything that may happen to it, for a while.

`command` is `python -m anylock soak`; `soak` goes from round to round. What a round
is made of, its `plan` draws from the seed: a subject of `subjects`, and the processes,
threads and event loops that use it. `watch` runs the round from outside: it starts the
processes, each of which is an `arena`, and notices when nobody gets in any more.

What the workers do is in `workers`, and the faults that they do not make themselves
in `loops`, `storm`, `forks` and `kills`. The `board` is the shared record by which they
find out whether two are inside, and whether an update was lost.
"""
