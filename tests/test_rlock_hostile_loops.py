"""Re-entrant locks of event loops that block, or end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockNotHeldError, LockTimeout, WouldDeadlock
from anylock._bridge.rlock import RLockBridge
from backends import Backend, run
from depths import (
    held_by_a_thread,
    in_another_task,
    in_worker,
    owned_in_c,
    rlock,
    visits,
)
from staging import (
    PATIENCE,
    Section,
    all_done,
    assert_at_rest,
    enter,
    granted,
    helpers,
    in_thread,
    queued,
    until,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from depths import BridgedRLock

__all__ = ["rlock"]


@pytest.mark.parametrize("state", ["queued", "granted"])
@pytest.mark.parametrize("timeout", [None, 10.0])
def test_with_on_the_loop_before_its_tasks(
    backend: Backend, rlock: BridgedRLock, state: str, timeout: float | None
) -> None:
    """The thread goes first, several levels deep, and nobody gets in meanwhile."""
    order: list[Any] = []

    leavers: list[threading.Thread] = []

    def leave_when_queued(leave: Callable[[], None]) -> None:
        until(lambda: waiting(rlock) > 2)
        leave()

    def outsiders() -> None:
        order.append(rlock.try_acquire())
        with contextlib.suppress(LockTimeout), rlock.hold(0.001):
            order.append("a thread got in")

    async def other() -> None:
        with pytest.raises(LockTimeout):
            await enter(rlock, 0)
        with pytest.raises(LockNotHeldError):
            await rlock.__aexit__(None, None, None)
        with pytest.raises(WouldDeadlock):
            await enter(rlock)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            with held_by_a_thread(rlock) as leave:
                for visit in visits(rlock, order, 1, 2):
                    group.start_soon(visit)
                await queued(rlock, 2)
                if state == "granted":
                    leave()
                    until(lambda: granted(rlock))
                else:
                    leaving = threading.Thread(target=leave_when_queued, args=(leave,))
                    leaving.start()
                    leavers.append(leaving)
                with rlock if timeout is None else rlock.hold(timeout):
                    assert owned_in_c(rlock)
                    with rlock, rlock.hold(0):
                        assert rlock.try_acquire()
                        assert rlock.acquire()
                        rlock.release()
                        rlock.release()
                    in_worker(outsiders)
                    await in_another_task(other)
                    with rlock:
                        wait_and_notify(rlock)
                    in_worker(outsiders)
                    assert order == [False, False]
        for thread in leavers:
            thread.join()
        assert sorted(order[2:]) == [1, 2]
        assert_at_rest(rlock)

    run(backend, main)


def wait_and_notify(rlock: BridgedRLock) -> None:
    """Use a condition of the stdlib, which asks the C lock whom it belongs to."""
    module: Any = threading if rlock.kind == "thread" else multiprocessing
    condition = module.Condition(rlock)
    condition.notify_all()
    assert not condition.wait(0.001)
    condition.notify_all()
    assert owned_in_c(rlock)


def test_with_on_the_loop_gives_up(backend: Backend, rlock: BridgedRLock) -> None:
    order: list[Any] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            with held_by_a_thread(rlock) as leave:
                for visit in visits(rlock, order, 1, 2):
                    group.start_soon(visit)
                await queued(rlock, 2)
                with pytest.raises(LockTimeout), rlock.hold(0.001):
                    pass
                assert not rlock.try_acquire()
                leave()
                until(lambda: granted(rlock))
                with contextlib.suppress(LockTimeout), rlock.hold(1e-9), rlock:
                    pass
                assert order == []
        assert sorted(order) == [1, 2]
        assert_at_rest(rlock)

    run(backend, main)


def test_two_loop_threads_block_before_their_tasks(rlock: BridgedRLock) -> None:
    section = Section()
    ready = threading.Barrier(3)

    async def one() -> None:
        async with rlock:
            with section, rlock:
                pass  # at an await, a `with` of its thread would be told of a deadlock

    async def main() -> None:
        tasks = [asyncio.ensure_future(one()) for _ in range(3)]
        await asyncio.sleep(0)
        ready.wait(PATIENCE)
        for _ in range(3):
            with rlock, section, rlock:
                pass
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)

    def loop() -> None:
        asyncio.run(main())

    with held_by_a_thread(rlock) as leave, in_thread(loop), in_thread(loop):
        ready.wait(PATIENCE)
        until(lambda: waiting(rlock) == 8)  # six tasks and two threads
        leave()
    assert (section.count, section.overlaps) == (12, 0)
    assert_at_rest(rlock)


# Loops that end.


@pytest.mark.parametrize("state", ["queued", "granted"])
@pytest.mark.parametrize("kept", [False, True])
def test_loop_closed_with_waiters(
    rlock: BridgedRLock, state: str, *, kept: bool
) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    section = Section()

    async def one() -> None:
        async with rlock, rlock:
            section.update()

    with held_by_a_thread(rlock) as leave:
        tasks = [loop.create_task(one()) for _ in range(2)]
        loop.run_until_complete(asyncio.sleep(0))
        if state == "granted":
            leave()
            until(lambda: granted(rlock))
        loop.close()
        if not kept:
            tasks.clear()
            gc.collect()
    in_worker(lambda: asyncio.run(all_done(*visits(rlock, [], 1, 2))))
    asyncio.run(all_done(*visits(rlock, [], 1, 2)))
    with rlock.hold(PATIENCE), rlock:
        tasks.clear()
        gc.collect()
        assert rlock.locked()
    assert section.count == 0
    assert_at_rest(rlock)


def test_helper_ends_with_the_last_who_waits(
    backend: Backend, rlock: BridgedRLock
) -> None:
    """Neither a hand-off, nor a wait given up, nor a blocked loop leaves a thread."""
    before = threading.active_count()
    lives: list[Any] = []
    bridge_of_a_new(rlock)
    help_: Any = RLockBridge._help

    async def main() -> None:
        order: list[Any] = []
        with held_by_a_thread(rlock) as leave:
            with pytest.raises(LockTimeout):
                await enter(rlock, 0.001)
            async with anyio.create_task_group() as group:
                for visit in visits(rlock, order, *range(5)):
                    group.start_soon(visit)
                await queued(rlock, 5)
                leave()
                with rlock:
                    pass
        async with rlock:
            pass

    def watched(bridge: Any) -> None:
        lives.append(1)
        help_(bridge)
        lives.append(-1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RLockBridge, "_help", watched)
        run(backend, main)
        until(lambda: sum(lives) == 0)
    assert lives
    assert not helpers(rlock)
    assert threading.active_count() <= before
    assert_at_rest(rlock)


def bridge_of_a_new(lock: BridgedRLock) -> None:
    async def use() -> None:
        async with lock:
            pass

    in_worker(lambda: asyncio.run(use()))
