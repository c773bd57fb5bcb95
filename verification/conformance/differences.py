"""The tests of CPython that our classes do not pass, each with its reason.

It is checked both ways: a test that fails and is not here is an error, and so is one
that is here and passes, or is none of this Python's. It is Python, not TOML, because
Python 3.10 cannot read that.

None is a promise that we break: some tests look at the private parts of the standard
classes, some want of the kind "process" what `threading` does and `multiprocessing`,
which it stands in for, does not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .suites import AFTER, BESIDE, NEW

if TYPE_CHECKING:
    from .suites import Suite


@dataclass(frozen=True)
class Difference:
    """Tests that do not pass, for one reason.

    Args:
        ours: What is tested.
        theirs: CPython's class of tests.
        tests: The tests.
        reason: What they want, and ours does not have or do.
        states: In which states that is so.
        since: The first Python on which it is so.
        before: The first Python on which it is no longer so.
    """

    ours: str
    theirs: str
    tests: tuple[str, ...]
    reason: str
    states: tuple[str, ...] = (NEW, AFTER, BESIDE)
    since: tuple[int, ...] = (3, 10)
    before: tuple[int, ...] = (4,)

    def concerns(self, suite: Suite) -> bool:
        """Say whether it is about this suite, on this Python."""
        return (
            self.row == suite.row
            and suite.state in self.states
            and self.since <= sys.version_info < self.before
        )

    @property
    def row(self) -> tuple[str, str]:
        """What is tested, and CPython's class of tests."""
        return self.ours, self.theirs

    def __str__(self) -> str:
        """Name the tests, for a reader."""
        return f"{self.ours}: {self.theirs}: {', '.join(self.tests)}"


THREADING_REPR = "the words of threading's repr; ours are those of the whole family"
PROCESS_REPR = "the words of threading's repr; ours are those of multiprocessing"
PROCESS_TIMES = (
    "a ValueError for a time-out with blocking=False, or a negative one; as in "
    "multiprocessing the one is ignored and the other is 0 (docs/locks.md)"
)
PROCESS_ERROR = (
    "a RuntimeError where nobody holds it; that of multiprocessing is an "
    "AssertionError (docs/family.md)"
)
PROCESS_PRIVATE = (
    "what threading.Condition asks its lock; multiprocessing's does not have it either"
)
OTHER_LOOP = (
    "to be told of another event loop, to which it sets asyncio's private _loop; ours "
    "is bound to none, as its docstring says"
)

DIFFERENCES = (
    Difference(
        "ThreadSemaphore",
        "SemaphoreTests",
        ("test_repr",),
        THREADING_REPR,
        since=(3, 11),
    ),
    Difference(
        "ThreadBoundedSemaphore",
        "BoundedSemaphoreTests",
        ("test_repr",),
        THREADING_REPR,
        since=(3, 11),
    ),
    Difference(
        "ProcessLock", "LockTests", ("test_locked_repr", "test_repr"), PROCESS_REPR
    ),
    Difference(
        "ProcessRLock", "RLockTests", ("test_locked_repr", "test_repr"), PROCESS_REPR
    ),
    Difference(
        "ProcessSemaphore",
        "SemaphoreTests",
        ("test_repr",),
        PROCESS_REPR,
        since=(3, 11),
    ),
    Difference(
        "ProcessBoundedSemaphore",
        "BoundedSemaphoreTests",
        ("test_repr",),
        PROCESS_REPR,
        since=(3, 11),
    ),
    Difference("ProcessLock", "LockTests", ("test_timeout",), PROCESS_TIMES),
    Difference("ProcessRLock", "RLockTests", ("test_timeout",), PROCESS_TIMES),
    Difference(
        "ProcessSemaphore", "SemaphoreTests", ("test_acquire_timeout",), PROCESS_TIMES
    ),
    Difference(
        "ProcessBoundedSemaphore",
        "BoundedSemaphoreTests",
        ("test_acquire_timeout",),
        PROCESS_TIMES,
    ),
    Difference(
        "ProcessRLock",
        "RLockTests",
        ("test_different_thread", "test_release_unacquired"),
        PROCESS_ERROR,
        states=(NEW, AFTER),  # beside tasks it is a LockNotHeldError
    ),
    Difference(
        "ProcessCondition",
        "ConditionTests",
        ("test_unacquired_notify", "test_unacquired_wait"),
        PROCESS_ERROR,
    ),
    Difference(
        "ProcessLock",
        "LockTests",
        ("test_at_fork_reinit",),
        "the private method that unlocks it in a forked child; there it is the lock of "
        "the parent",
    ),
    Difference(
        "ProcessRLock",
        "RLockTests",
        ("test__is_owned", "test_release_save_unacquired"),
        PROCESS_PRIVATE,
    ),
    Difference(
        "ProcessRLock",
        "RLockTests",
        ("test_recursion_count",),
        PROCESS_PRIVATE,
        since=(3, 11),
    ),
    Difference(
        "AsyncLock",
        "LockTests",
        ("test_cancel_race",),
        "the future of the first waiter, in the private deque _waiters",
    ),
    Difference(
        "AsyncLock",
        "LockTests",
        ("test_lock_doesnt_accept_loop_parameter",),
        "the words by which asyncio says that it took `loop` once; ours never did",
        before=(3, 11),
    ),
    Difference(
        "AsyncSemaphore",
        "SemaphoreTests",
        ("test_acquire_fifo_order_4",),
        "three in the private deque _waiters, where asyncio leaves who was woken; ours "
        "has left the queue by then",
        since=(3, 13),
    ),
    Difference(
        "AsyncCondition",
        "ConditionTests",
        ("test_repr", "test_wait_cancel"),
        "the private deque _waiters, to put mocks into it, and to see it empty",
    ),
    Difference(
        "AsyncCondition", "ConditionTests", ("test_ambiguous_loops",), OTHER_LOOP
    ),
    Difference(
        "asyncio.Condition", "ConditionTests", ("test_ambiguous_loops",), OTHER_LOOP
    ),
)
