"""Counts the instructions on the hot paths, which a busy machine does not change.

`python -m verification.instructions` counts and compares, `--update` keeps the counts.

`counts.json` has, for each version of Python and each workload, our instructions, those
of the standard library's lock in the same run, and our Python frames. Instructions are
those of user space, and of the interpreter as it was compiled: they are compared only
with those of the same build, libraries and valgrind. Frames are the same in every build
of a version, and may not become more in any.
"""
