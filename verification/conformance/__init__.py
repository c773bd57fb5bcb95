"""CPython's own tests of locks, run against the classes of anylock.

`python -m verification.conformance`, from the root of the repository.
"""
