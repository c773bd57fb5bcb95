"""The kinds "thread" and "process" from the side of threads, where that is rare.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from functools import partial
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

import pytest

from anylock import WouldDeadlock, make_lock, make_rlock, make_semaphore
from anylock._bridge.queue import SLICE
from anylock._thread import semaphore
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])
family = pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])


@bridged
@family
def test_contextlib_leaves_it(make: Callable[[Any], Any], kind: LockKind) -> None:
    """It looks the methods up on the class, beside the slots."""
    thing = make(kind)
    with ExitStack() as stack:
        stack.enter_context(thing)
        assert thing.locked()
    assert not thing.locked()


@bridged
@pytest.mark.parametrize("make", [make_lock, make_semaphore])
def test_whatever_is_true_may_stand_for_blocking(
    make: Callable[[Any], Any], kind: LockKind
) -> None:
    """The C methods take that since Python 3.12; it must not get past the task."""
    old = sys.version_info < (3, 12) and (kind, make) != ("thread", make_semaphore)

    async def main() -> None:
        thing = make(kind)
        async with thing:
            with pytest.raises(TypeError if old else WouldDeadlock):
                thing.acquire("yes")
            with pytest.raises(TypeError if old else WouldDeadlock):
                thing.acquire(blocking="yes")

    asyncio.run(main())


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_how_long_a_careful_wait_may_last(
    make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the C method's would, however little or much that is."""
    thing = make("thread")
    waited: list[float | None] = []

    def block(_bridge: object, seconds: float | None, _name: object) -> bool:
        waited.append(seconds)
        return False

    async def main() -> None:
        async with thing:
            monkeypatch.setattr(thing._bridge.__class__, "block", block)
            assert not thing.acquire()
            for seconds in (0, 0.25, TIMEOUT_MAX):
                assert not thing.acquire(True, seconds)
            assert waited == [None, 0, 0.25, TIMEOUT_MAX]
            with pytest.raises(ValueError, match="timeout"):
                thing.acquire(True, -0.5)
            assert len(waited) == 4

    asyncio.run(main())


def test_how_long_a_careful_wait_for_a_permit_may_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Python 3.13 and newer, where no wait can oversleep."""
    monkeypatch.setattr(semaphore, "_MAY_OVERSLEEP", False)
    made: Any = make_semaphore("thread", 1)
    waited: list[float | None] = []

    def block(_bridge: object, seconds: float | None, _name: object) -> bool:
        waited.append(seconds)
        return False

    async def main() -> None:
        async with made:
            monkeypatch.setattr(made._bridge.__class__, "block", block)
            for seconds in (None, -1, 0, 0.25, 2 * TIMEOUT_MAX):
                assert not made.acquire(True, seconds)

    asyncio.run(main())
    assert waited == [None, 0, 0, 0.25, TIMEOUT_MAX]


def test_as_many_permits_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore, "MOST", 3)
    assert make_semaphore("thread", 3).value == 3
    with pytest.raises(ValueError, match="3 at most, not 4"):
        make_semaphore("thread", 4)


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_a_lock_that_was_made_new_is_careful_again(make: Callable[[Any], Any]) -> None:
    """What tasks had with it before does not count any more."""

    async def main() -> None:
        lock = make("thread")
        await lock.__aenter__()
        lock._at_fork_reinit()
        assert isinstance(lock.release, BuiltinMethodType)
        async with lock:
            assert not isinstance(lock.release, BuiltinMethodType)

    asyncio.run(main())


def test_old_names_of_threading_wait() -> None:
    lock: Any = make_lock("thread")
    asked: list[object] = []

    def acquire(*args: object) -> bool:
        asked.append(args)
        return True

    lock.acquire = acquire
    assert lock.acquire_lock()
    assert asked == [(True, -1)]


class Permits(SimpleQueue[None]):
    """What may sleep for ever on Python 3.12 and older it refuses, and notes."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def get(self, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - its signature
        if block and timeout not in (None, SLICE):  # that is the helper's
            self.slept.append(timeout or 0)
            raise Empty
        return super().get(block, timeout)


@pytest.fixture
def may_oversleep(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A semaphore as on Python 3.12 and older, without a permit."""
    monkeypatch.setattr(semaphore, "_MAY_OVERSLEEP", True)
    made: Any = make_semaphore("thread", 0)
    made._permits = Permits()
    made._use_native()
    return made


def test_a_wait_that_might_oversleep_is_one_among_tasks(may_oversleep: Any) -> None:
    assert may_oversleep.acquire(timeout=0.001) is False
    may_oversleep.release()
    assert may_oversleep.acquire(timeout=PATIENCE) is True
    assert may_oversleep._bridge is not None
    with in_thread(partial(may_oversleep.acquire, True, PATIENCE)):
        until(lambda: may_oversleep._bridge._queue)
        may_oversleep.release()
    assert may_oversleep.locked()
    assert may_oversleep._permits.slept == []


def test_a_handler_that_comes_amid_a_step_does_not_queue(may_oversleep: Any) -> None:
    """Who would see to the queue is below it; it had better oversleep."""
    outcomes: list[bool] = []
    bridge = may_oversleep._live_bridge()
    bridge._do(lambda: outcomes.append(may_oversleep.acquire(timeout=0.25)))
    assert outcomes == [False]
    assert may_oversleep._permits.slept == [0.25]
