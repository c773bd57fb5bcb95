"""Runs the real locks under all sorts of schedules, each of which can be repeated.

`python -m verification.schedules` explores; see `README.md` beside this file.
"""
