"""The benchmarks: what the locks cost, beside their peers, as a table and as pictures.

`command` is `python -m anylock bench`; `bench` goes from row to row. What there is to
measure is in `rows/`, as data, and `catalogue` has all of it; `peers` says how each
lock is made, `effort` how much is measured.

A row makes a `plan`: its contenders run by turns in fresh interpreters, which
`starting` starts. How each sort of row is measured, and what is concluded from the
samples, is in `measure/`; what runs in the interpreters, in `workers/`. `spread` is the
statistics.

What comes out are `findings`. A `report` is all of them, with the `environment`, and
goes to JSON and back; `display` shows it as a table, and `plots/` draws it.
"""
