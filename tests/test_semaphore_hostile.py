"""Rare moments of semaphores: loops that end, threads that block them, and forks."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
import pytest

from anylock import LockTimeout, WouldDeadlock
from backends import Backend, run
from permits import (
    Room,
    acquire,
    at_rest,
    bridge_of,
    bridged,
    enter,
    exit_,
    granted,
    leave,
    make,
    queued,
    settled,
    still_works,
    waiting,
)
from staging import PATIENCE, all_done, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind
    from permits import BridgedSemaphore

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


# A deadlock is told, and nothing else is taken for one


def by_with(semaphore: BridgedSemaphore) -> None:
    with semaphore:
        pass


def by_hold(semaphore: BridgedSemaphore) -> None:
    with semaphore.hold():
        pass


def by_acquire(semaphore: BridgedSemaphore) -> None:
    semaphore.acquire()
    leave(semaphore)


def by_exit_stack(semaphore: BridgedSemaphore) -> None:
    with ExitStack() as stack:
        stack.enter_context(cast("Any", semaphore))


ways = pytest.mark.parametrize("way", [by_with, by_hold, by_acquire, by_exit_stack])


@bridged
@ways
@pytest.mark.parametrize("value", [1, 3])
@pytest.mark.parametrize("contended", [False, True])
def test_all_permits_are_held_in_this_thread(
    backend: Backend,
    kind: LockKind,
    way: Callable[[BridgedSemaphore], None],
    value: int,
    *,
    contended: bool,
) -> None:
    semaphore = make(kind, value)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(value):
                await enter(semaphore)
            if contended:
                tasks.start_soon(Room(semaphore).visit, 0)
                await queued(semaphore)
            with pytest.raises(WouldDeadlock, match="'the-semaphore'"):
                way(semaphore)
            with pytest.raises(LockTimeout), semaphore.hold(0.001):
                pass
            assert not semaphore.acquire(timeout=0.001)
            assert not semaphore.try_acquire()
            for _ in range(value):
                await exit_(semaphore)

    run(backend, main)
    at_rest(semaphore, value)


@bridged
def test_task_that_holds_the_only_permit_wants_another(
    backend: Backend, kind: LockKind
) -> None:
    semaphore = make(kind)

    async def main() -> None:
        async with semaphore:
            with pytest.raises(WouldDeadlock, match="release it first"):
                await enter(semaphore)
            with pytest.raises(LockTimeout):
                await enter(semaphore, 0.001)

    run(backend, main)
    at_rest(semaphore, 1)


@bridged
@pytest.mark.parametrize("holder", ["thread", "worker", "task elsewhere"])
def test_no_deadlock_while_somebody_else_holds_one(
    backend: Backend, kind: LockKind, holder: str
) -> None:
    semaphore = make(kind, 2)
    holds, waits = threading.Event(), threading.Event()

    def thread() -> None:
        with semaphore:
            holds.set()
            assert waits.wait(PATIENCE)

    async def elsewhere() -> None:
        async with semaphore:
            holds.set()
            await anyio.to_thread.run_sync(waits.wait, PATIENCE)

    async def main() -> None:
        other = in_thread(
            thread if holder != "task elsewhere" else partial(asyncio.run, elsewhere())
        )
        async with semaphore:
            if holder == "worker":
                semaphore.acquire()
                holds.set()
                other = in_thread(partial(leave, semaphore))
            else:
                waits.clear()
            with other:
                assert holds.wait(PATIENCE)
                threading.Timer(0.01, waits.set).start()
                for way in (by_with, by_hold, by_acquire):
                    way(semaphore)

    run(backend, main)
    at_rest(semaphore, 2)


@bridged
@pytest.mark.parametrize("before", [False, True])
def test_no_deadlock_where_anybody_may_release(
    backend: Backend, kind: LockKind, *, before: bool
) -> None:
    """Whoever released by itself may be about to do so again."""
    semaphore = make(kind, 1, bounded=False)

    async def main() -> None:
        if before:
            acquire(semaphore)
            semaphore.release()
        await enter(semaphore)
        if not before:
            semaphore.release()
            await enter(semaphore)
        release = threading.Timer(0.01, semaphore.release)
        release.start()
        by_with(semaphore)
        async with semaphore:
            release = threading.Timer(0.01, semaphore.release)
            release.start()
            await enter(semaphore)
            release.join()

    run(backend, main)
    semaphore.release()
    settled(semaphore, 2)


@bridged
def test_release_while_the_first_task_comes(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That somebody released by itself is not overlooked then."""
    semaphore = make(kind, 1, bounded=False)
    cls: Any = type(semaphore)
    new_bridge = cls._new_bridge

    def make_bridge(self: Any) -> Any:
        bridge = new_bridge(self)
        with in_thread(self.release):
            pass
        return bridge

    monkeypatch.setattr(cls, "_new_bridge", make_bridge)

    async def main() -> None:
        await enter(semaphore)
        await enter(semaphore)
        release = threading.Timer(0.01, semaphore.release)
        release.start()
        by_with(semaphore)

    asyncio.run(main())
    semaphore.release()
    settled(semaphore, 2)


@bridged
def test_released_by_itself_it_is_not_in_use_for_ever(
    backend: Backend, kind: LockKind
) -> None:
    semaphore = make(kind, 2, bounded=False)

    async def main() -> None:
        await enter(semaphore)
        semaphore.release()

    run(backend, main)
    at_rest(semaphore, 2)


# with, in the thread of an event loop


@bridged
@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("state", ["queued", "granted"])
@pytest.mark.parametrize("value", [1, 2])
def test_with_in_the_thread_of_tasks_that_wait(
    backend: Backend, kind: LockKind, state: str, value: int, timeout: float | None
) -> None:
    semaphore = make(kind, value)
    room = Room(semaphore)

    async def main() -> None:
        acquire(semaphore, value)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(room.visit, number)
            await queued(semaphore, 3)
            give_back = threading.Timer(0.01, leave, (semaphore, value))
            if state == "queued":
                give_back.start()
            else:
                leave(semaphore, value)
                until(lambda: granted(semaphore) == value)
            with semaphore if timeout is None else semaphore.hold(timeout):
                assert room.entered == []
                acquired = semaphore.try_acquire()
                if acquired:
                    leave(semaphore)
            if state == "queued":
                give_back.join()

    run(backend, main)
    assert sorted(room.entered) == [0, 1, 2]
    assert room.most <= value
    at_rest(semaphore, value)


@bridged
def test_with_gives_up_in_the_thread_of_tasks_that_wait(
    backend: Backend, kind: LockKind
) -> None:
    semaphore = make(kind, 2)
    room = Room(semaphore)

    async def main() -> None:
        acquire(semaphore, 2)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(room.visit, number)
            await queued(semaphore, 3)
            for timeout in (0.0, 0.001):
                with pytest.raises(LockTimeout), semaphore.hold(timeout):
                    pass
            assert waiting(semaphore) == 3
            leave(semaphore, 2)

    run(backend, main)
    assert sorted(room.entered) == [0, 1, 2]
    at_rest(semaphore, 2)


# Loops that end


@bridged
@pytest.mark.parametrize("follower", ["thread", "tasks"])
@pytest.mark.parametrize("kept", [False, True])
def test_loop_is_closed_with_waiters_granted(
    kind: LockKind, follower: str, *, kept: bool
) -> None:
    """Those who wait already get the permits, without anybody new coming."""
    semaphore = make(kind, 2)
    room = Room(semaphore)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    acquire(semaphore, 2)
    lost = [loop.create_task(enter(semaphore)) for _ in range(2)]
    loop.run_until_complete(asyncio.sleep(0))
    assert waiting(semaphore) == 2

    def thread() -> None:
        for _ in range(3):
            with semaphore:
                room.stand(0)

    async def tasks() -> None:
        await all_done(*[partial(room.visit, 0)] * 3)

    until(bridge_of(semaphore)._turnstile.locked)
    with in_thread(thread if follower == "thread" else lambda: asyncio.run(tasks())):
        until(lambda: waiting(semaphore) == (2 if follower == "thread" else 5))
        leave(semaphore, 2)
        until(lambda: granted(semaphore) == 2)
        loop.close()
        if not kept:
            lost.clear()
        del loop
        gc.collect()
    assert len(room.entered) == 3
    lost.clear()
    gc.collect()
    still_works(semaphore, 2)


@bridged
def test_loop_is_closed_with_thousands_granted(kind: LockKind) -> None:
    """To look for those that are gone does not take the square of their number."""
    semaphore = make(kind, 2_000)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    acquire(semaphore, 2_000)
    lost = [loop.create_task(enter(semaphore)) for _ in range(2_000)]
    loop.run_until_complete(asyncio.sleep(0))
    leave(semaphore, 2_000)
    until(lambda: granted(semaphore) == 2_000)
    loop.close()

    async def main() -> None:
        async with semaphore:
            pass

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    lost.clear()
    gc.collect()
    settled(semaphore, 2_000)


@bridged
@pytest.mark.parametrize("where", ["here", "thread"])
def test_closed_inside(kind: LockKind, where: str) -> None:
    """A coroutine that nobody drives on gives its permit back, wherever it dies."""
    semaphore = make(kind, 2)
    room = Room(semaphore)

    async def inside() -> None:
        async with semaphore:
            await asyncio.Event().wait()

    async def main() -> None:
        first, second = inside(), inside()
        first.send(None)
        second.send(None)
        assert semaphore.value == 0
        waiter = asyncio.ensure_future(room.visit(0))
        await queued(semaphore)
        if where == "here":
            first.close()
        else:
            with in_thread(first.close):
                pass
        await waiter
        second.close()

    asyncio.run(main())
    still_works(semaphore, 2)
