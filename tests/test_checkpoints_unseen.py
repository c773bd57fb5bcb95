"""Checkpoints of trio where a lock is had at once, or not at all.

The coroutines are driven by hand, so that they are seen to stop there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from backends import TRIO, run

if TYPE_CHECKING:
    from collections.abc import Callable

MAKERS: dict[str, Callable[[Any], Any]] = {
    "lock": make_lock,
    "rlock": make_rlock,
    "semaphore": partial(make_semaphore, value=1),
}
family = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
every_kind = pytest.mark.parametrize("kind", ["async", "process", "thread"])


@family
@every_kind
@pytest.mark.parametrize("seconds", [None, 60.0])
def test_thrown_out_of_the_checkpoint_it_does_not_go_on(
    make: Callable[[Any], Any], kind: str, seconds: float | None
) -> None:
    """It has given the lock back, and is not inside."""

    async def main() -> None:
        lock = make(kind)
        went_on = False

        async def one() -> None:
            nonlocal went_on
            async with lock.hold(seconds):
                went_on = True

        entering = one()
        entering.send(None)
        with pytest.raises(OSError, match="thrown"):
            entering.throw(OSError("thrown"))
        assert not went_on
        assert not lock.locked()

    run(TRIO, main)


@every_kind
@pytest.mark.parametrize("make", [make_lock, make_semaphore])
def test_a_single_try_that_fails_is_a_checkpoint(
    make: Callable[[Any], Any], kind: str
) -> None:
    """Or else a task that tries again and again would stop the others."""

    async def main() -> None:
        lock = make(kind)
        async with lock:
            trying = another_task(lock)
            trying.send(None)
            trying.close()

    async def another_task(lock: Any) -> None:
        async with lock.hold(0):
            raise AssertionError

    run(TRIO, main)


@every_kind
def test_thrown_out_as_it_enters_again_it_does_not_go_on(kind: str) -> None:
    async def main() -> None:
        lock: Any = make_rlock(kind)
        went_on = False

        async def again() -> None:
            nonlocal went_on
            async with lock:
                went_on = True

        async with lock:
            entering = again()
            entering.send(None)
            with pytest.raises(OSError, match="thrown"):
                entering.throw(OSError("thrown"))
            assert not went_on
            assert lock.locked()
        assert not lock.locked()

    run(TRIO, main)
