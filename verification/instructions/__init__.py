"""Counts the instructions on the hot paths, which a busy machine does not change.

`python -m verification.instructions` counts and compares, `--update` keeps the counts.

`counts.json` has, for each version of Python and each workload, our instructions, those
of the standard library's lock in the same run, and our Python frames. Instructions are
those of the interpreter as it was compiled, so it is their ratio that is compared, and
that may differ somewhat. Frames are the same in every build, and may not become more.
"""
