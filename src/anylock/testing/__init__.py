"""The contract of `anylock.Lock` as a check, for anybody's lock.

>>> from anylock import make_lock
>>> from anylock.testing import check_lock
>>> check_lock(lambda: make_lock("thread"), backends=["asyncio"])

`RULES` lists what is checked, by name.
"""

from anylock.testing._check import RULES, check_lock
from anylock.testing._rule import BrokenRule

__all__ = [
    "RULES",
    "BrokenRule",
    "check_lock",
]
