"""Threads that block where tasks wait, at moments that only a change to the code shows.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anylock import make_lock
from anylock._blocking import BlockedThread
from anylock._parking import this_thread
from backends import ASYNCIO, run
from staging import (
    PATIENCE,
    acquire,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    in_thread,
    queued,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def known_to_tasks(kind: LockKind) -> Lock:
    """Make a lock that nobody has, and that has a bridge."""
    lock = make_lock(kind)
    asyncio.run(enter(lock))
    lock.release()
    return lock


def try_to_use(lock: Lock) -> None:
    assert lock.try_acquire()
    lock.release()


def use_in_thread(lock: Lock) -> None:
    with in_thread(lambda: use(lock)):
        pass


@bridged
@pytest.mark.parametrize("comes", [try_to_use, use, use_in_thread])
def test_a_thread_passes_over_who_lost_its_loop(
    kind: LockKind, comes: Callable[[Lock], None]
) -> None:
    """It was granted the lock by its own loop, which ended before it ran."""
    lock = make_lock(kind)
    loop = asyncio.new_event_loop()
    # A task that is pending when its loop is closed is what this is about.
    loop.set_exception_handler(lambda _loop, _context: None)

    async def first() -> None:
        await enter(lock)
        await queued(lock)
        lock.release()
        loop.stop()

    tasks = [loop.create_task(function()) for function in (first, partial(enter, lock))]
    loop.run_forever()
    assert granted(lock)
    loop.close()
    assert not tasks[1].done()
    comes(lock)
    tasks.clear()
    gc.collect()
    assert_at_rest(lock)


@bridged
def test_a_single_try_does_not_wait_for_the_helper(kind: LockKind) -> None:
    """It is at the turnstile, for somebody who has given up."""
    lock = known_to_tasks(kind)
    bridge = bridge_of(lock)
    with bridge._turnstile:
        assert not bridge.try_block()
    assert_at_rest(lock)


@bridged
def test_a_finalizer_amid_a_step_does_not_queue(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would put it into the queue, nor take it out, before the step ends."""
    lock = known_to_tasks(kind)
    bridge = bridge_of(lock)
    found: list[bool] = []
    monkeypatch.setattr(this_thread.marker, "parks_tasks", True)
    acquire(lock)
    bridge._do(lambda: found.append(bridge.block(0.01, None)))
    lock.release()
    assert found == [False]
    assert_at_rest(lock)


@bridged
def test_interrupted_in_the_queue(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the wait of an event loop's thread, and takes it out of the queue."""
    lock = make_lock(kind)

    def interrupted(_: BlockedThread, timeout: float | None, *__: object) -> bool:
        assert timeout == PATIENCE
        assert waiting(lock) == 1
        raise KeyboardInterrupt

    async def main() -> None:
        await enter(lock)
        lock.release()
        monkeypatch.setattr(this_thread.marker, "parks_tasks", True)
        monkeypatch.setattr(BlockedThread, "block", interrupted)
        acquire(lock)
        with pytest.raises(KeyboardInterrupt):
            bridge_of(lock).block(PATIENCE, None)
        assert waiting(lock) == 0
        monkeypatch.undo()
        lock.release()
        assert_at_rest(lock)

    run(ASYNCIO, main)
