"""Re-entrant locks under cancellation, time-outs, ending loops and blocked loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockNotHeldError, LockTimeout, WouldDeadlock
from backends import Backend, run
from depths import (
    assert_outside,
    held_by_a_thread,
    in_another_task,
    in_worker,
    on_loan,
    own,
    rbridge_of,
    rlock,
    visits,
)
from staging import (
    PATIENCE,
    Section,
    all_done,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    helpers,
    in_thread,
    queued,
    until,
    until_in_task,
    waiting,
)

if TYPE_CHECKING:
    from depths import BridgedRLock

__all__ = ["rlock"]

STEPS = range(4)
timeouts = pytest.mark.parametrize("timeout", [None, 60.0])


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Raised in a body."""


class Queue:
    """Three tasks that want the lock, several levels deep, and can be cancelled."""

    def __init__(self, lock: BridgedRLock, timeout: float | None) -> None:
        self.lock = lock
        self.timeout = timeout
        self.section = Section()
        self.entered: set[int] = set()
        self.scopes = [anyio.CancelScope() for _ in range(3)]

    async def one(self, number: int) -> None:
        lock, timeout = self.lock, self.timeout
        with self.scopes[number]:
            async with lock if timeout is None else lock.hold(timeout):
                with self.section:
                    async with lock:
                        with lock:
                            await checkpoint()
                self.entered.add(number)

    def check(self, cancelled: int) -> None:
        assert self.entered | {cancelled} == {0, 1, 2}
        assert self.section.overlaps == 0
        assert_at_rest(self.lock)


@timeouts
def test_cancelled_at_every_step(
    backend: Backend, rlock: BridgedRLock, timeout: float | None
) -> None:
    """A task leaves and a waiter is cancelled at every pair of moments there is."""

    async def stage(leave: int, cancel: int, victim: int) -> None:
        queue = Queue(rlock, timeout)
        async with anyio.create_task_group() as tasks:
            async with rlock:
                for number in range(3):
                    tasks.start_soon(queue.one, number)
                await queued(rlock, 3)
                if cancel < leave:
                    queue.scopes[victim].cancel()
                for _ in range(leave):
                    await checkpoint()
            for _ in range(cancel - leave):
                await checkpoint()
            queue.scopes[victim].cancel()
        queue.check(victim)

    async def main() -> None:
        for leave, cancel, victim in product(STEPS, STEPS, (0, 1)):
            with anyio.fail_after(PATIENCE):
                await stage(leave, cancel, victim)

    run(backend, main)


@timeouts
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("when", ["before", "granted", "resumed"])
def test_cancelled_about_a_grant(
    backend: Backend, rlock: BridgedRLock, timeout: float | None, victim: int, when: str
) -> None:
    async def main() -> None:
        queue = Queue(rlock, timeout)
        with held_by_a_thread(rlock) as leave:
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(queue.one, number)
                await queued(rlock, 3)
                if when == "before":
                    queue.scopes[victim].cancel()
                leave()
                until(lambda: granted(rlock))  # no task runs meanwhile
                assert on_loan(rlock)
                if when == "resumed":
                    await until_in_task(lambda: queue.section.inside)
                queue.scopes[victim].cancel()
        queue.check(victim)

    run(backend, main)


def test_reentry_cancelled_at_its_checkpoint(trio: Any, rlock: BridgedRLock) -> None:
    """Trio's re-entry is a checkpoint: cancelled there, it has not been entered."""

    async def main() -> None:
        async with rlock:
            with trio.CancelScope() as scope:
                scope.cancel()
                await enter(rlock)
            assert scope.cancelled_caught
            assert rbridge_of(rlock).depth == 0
            with trio.CancelScope() as scope:
                scope.cancel()
                await enter(rlock, 60.0)
            assert rbridge_of(rlock).depth == 0
            entering = enter(rlock)
            entering.send(None)
            assert rbridge_of(rlock).depth == 1
            entering.close()
            assert rbridge_of(rlock).depth == 0
            await in_another_task(lambda: assert_outside(rlock))
        assert_at_rest(rlock)

    trio.run(main)


def test_a_thousand_waiters_cancelled_at_once(
    backend: Backend, rlock: BridgedRLock
) -> None:
    order: list[Any] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            async with rlock, rlock:
                async with anyio.create_task_group() as crowd:
                    for _ in range(1000):
                        crowd.start_soon(enter, rlock)
                    await queued(rlock, 1000)
                    for survivor in visits(rlock, order, "survivor"):
                        tasks.start_soon(survivor)
                    await queued(rlock, 1001)
                    crowd.cancel_scope.cancel()
                assert waiting(rlock) == 1
            with anyio.fail_after(PATIENCE):
                await until_in_task(lambda: order)
        assert_at_rest(rlock)

    run(backend, main)


@pytest.mark.parametrize("lent", [False, True])
def test_times_out_while_queued(
    backend: Backend, rlock: BridgedRLock, *, lent: bool
) -> None:
    order: list[Any] = []

    async def late(seconds: float) -> None:
        with pytest.raises(LockTimeout):
            await enter(rlock, seconds)

    async def main() -> None:
        async def body() -> None:
            async with rlock:
                await all_done(*[lambda s=s: late(s) for s in (0, 0.001, 0.002)])
                assert rbridge_of(rlock).depth == 1
            assert waiting(rlock) == 0

        await own(rlock, lent=lent, body=body)
        await all_done(*visits(rlock, order, 1, 2))
        assert_at_rest(rlock)

    run(backend, main)


@pytest.mark.parametrize("lent", [False, True])
@pytest.mark.parametrize("error", [Cancelled, asyncio.CancelledError, SystemError])
def test_body_raises_several_levels_deep(
    backend: Backend, rlock: BridgedRLock, error: type[BaseException], *, lent: bool
) -> None:
    if error is asyncio.CancelledError and backend.library == "trio":
        pytest.skip("it means nothing there")
    order: list[Any] = []

    async def deep() -> None:
        async with rlock, rlock.hold(1):
            with rlock, rlock.hold(0):
                raise error

    async def body() -> None:
        with pytest.raises(error):
            await deep()
        assert rbridge_of(rlock).depth == 0

    async def main() -> None:
        await own(rlock, lent=lent, body=body)
        await all_done(*visits(rlock, order, 1, 2))
        assert_at_rest(rlock)

    run(backend, main)


# A sync `with` on the thread of an event loop.


@pytest.mark.parametrize("state", ["queued", "granted"])
@pytest.mark.parametrize("timeout", [None, 10.0])
def test_with_on_the_loop_before_its_tasks(
    backend: Backend, rlock: BridgedRLock, state: str, timeout: float | None
) -> None:
    """The thread goes first, several levels deep, and nobody gets in meanwhile."""
    order: list[Any] = []

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
                    leaving = threading.Thread(
                        target=lambda: [until(lambda: waiting(rlock) > 2), leave()]
                    )
                    leaving.start()
                with rlock if timeout is None else rlock.hold(timeout):
                    assert on_loan(rlock)
                    with rlock, rlock.hold(0):
                        assert rlock.try_acquire()
                        assert rlock.acquire()
                        rlock.release()
                        rlock.release()
                    in_worker(outsiders)
                    await in_another_task(other)
                    assert order == [False]
            if state == "queued":
                leaving.join()
        assert sorted(order[1:]) == [1, 2]
        assert_at_rest(rlock)

    run(backend, main)


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
    for visit in (in_worker, lambda f: f()):
        visit(lambda: asyncio.run(all_done(*visits(rlock, [], 1, 2))))
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
    help_ = type(bridge_of_a_new(rlock))._help

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
        patch.setattr(type(bridge_of(rlock)), "_help", watched)
        run(backend, main)
        until(lambda: sum(lives) == 0)
    assert lives
    assert not helpers(rlock)
    assert threading.active_count() <= before
    assert_at_rest(rlock)


def bridge_of_a_new(lock: BridgedRLock) -> Any:
    async def use() -> None:
        async with lock:
            pass

    in_worker(lambda: asyncio.run(use()))
    return bridge_of(lock)
