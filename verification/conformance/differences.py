"""The tests of CPython that our classes do not pass, each with its reason.

It is checked both ways: a test that fails and is not here is an error, and so is one
that is here and passes, or is none of this Python's. It is Python, not TOML, because
Python 3.10 cannot read that.

None is of a behaviour that we owe: what these tests look at beside the private parts of
the standard classes, our own tests have as well.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .suites import Suite


@dataclass(frozen=True)
class Difference:
    """A test that passes in no state.

    Args:
        ours: What is tested.
        test: The test, with its class.
        reason: Why it does not pass.
        since: The first Python on which that is so.
        before: The first Python on which it is no longer so.
    """

    ours: str
    test: str
    reason: str
    since: tuple[int, ...] = (3, 10)
    before: tuple[int, ...] = (4,)

    def concerns(self, suite: Suite) -> bool:
        """Say whether it is about a test of this suite, on this Python."""
        return self.row == suite.row and self.since <= sys.version_info < self.before

    @property
    def row(self) -> tuple[str, str]:
        """What is tested, and CPython's class of tests."""
        return self.ours, self.test.partition(".")[0]

    @property
    def name(self) -> str:
        """The test, without its class."""
        return self.test.partition(".")[2]


REPR = "wants the words of threading's repr; ours are those of the whole family"
OTHER_LOOP = (
    "sets the private attribute _loop, and wants to be told of another event loop; "
    "ours is bound to none"
)

DIFFERENCES = (
    Difference("ThreadSemaphore", "SemaphoreTests.test_repr", REPR, since=(3, 11)),
    Difference(
        "ThreadBoundedSemaphore",
        "BoundedSemaphoreTests.test_repr",
        REPR,
        since=(3, 11),
    ),
    Difference(
        "AsyncLock",
        "LockTests.test_cancel_race",
        "wants the future of the first waiter from the private deque _waiters",
    ),
    Difference(
        "AsyncLock",
        "LockTests.test_lock_doesnt_accept_loop_parameter",
        "wants the words by which asyncio said that it took `loop` once; ours is a "
        "TypeError of Python's own words",
        before=(3, 11),
    ),
    Difference(
        "AsyncSemaphore",
        "SemaphoreTests.test_acquire_fifo_order_4",
        "counts the private deque _waiters, where asyncio leaves who was woken; ours "
        "has left the queue by then",
        since=(3, 13),
    ),
    Difference(
        "AsyncCondition",
        "ConditionTests.test_repr",
        "puts mocks into the private deque _waiters",
    ),
    Difference(
        "AsyncCondition",
        "ConditionTests.test_wait_cancel",
        "wants the private deque _waiters to be empty in the end",
    ),
    Difference("AsyncCondition", "ConditionTests.test_ambiguous_loops", OTHER_LOOP),
    Difference("asyncio.Condition", "ConditionTests.test_ambiguous_loops", OTHER_LOOP),
)
