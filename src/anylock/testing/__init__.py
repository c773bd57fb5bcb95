"""The contracts of anylock's locks as checks, for anybody's locks.

>>> from anylock import make_lock
>>> from anylock.testing import check_lock
>>> check_lock(lambda: make_lock("thread"), backends=["asyncio"])

`check_rlock`, `check_semaphore` and `check_condition` do the same for the rest of the
family. `RULES`, `RLOCK_RULES`, `SEMAPHORE_RULES` and `CONDITION_RULES` list what is
checked, by name.
"""

from anylock.testing._check import (
    check_condition,
    check_lock,
    check_rlock,
    check_semaphore,
)
from anylock.testing._rule import BrokenRule
from anylock.testing._tables import (
    CONDITION_RULES,
    RLOCK_RULES,
    RULES,
    SEMAPHORE_RULES,
)

__all__ = [
    "CONDITION_RULES",
    "RLOCK_RULES",
    "RULES",
    "SEMAPHORE_RULES",
    "BrokenRule",
    "check_condition",
    "check_lock",
    "check_rlock",
    "check_semaphore",
]
