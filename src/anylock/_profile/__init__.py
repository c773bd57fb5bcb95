"""`python -m anylock profile`: what a program's locks are waited for and held.

The program is not changed: what it asks `threading`, `asyncio` and `multiprocessing`
for are stand-ins that do the same and tell `anylock.debug` of it.
"""
