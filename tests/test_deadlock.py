"""A wait that could never end is told, and one that can end does end.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from anylock import LockTimeout, WouldDeadlock, WrongEventLoop, make_lock
from backends import Backend, run
from staging import (
    PATIENCE,
    BridgedLock,
    Section,
    acquire,
    all_done,
    assert_at_rest,
    enter,
    granted,
    in_thread,
    queued,
    until,
    until_in_task,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def by_with(lock: Lock) -> None:
    with lock:
        pass


def by_hold(lock: Lock) -> None:
    with lock.hold():
        pass


def by_acquire(lock: Lock) -> None:
    cast("BridgedLock", lock).acquire()
    lock.release()


def by_exit_stack(lock: Lock) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock)


def by_condition(lock: Lock) -> None:
    condition = threading.Condition(cast("threading.Lock", lock))
    with condition:
        pass


ways = pytest.mark.parametrize(
    "way", [by_with, by_hold, by_acquire, by_exit_stack, by_condition]
)


@bridged
@ways
@pytest.mark.parametrize("contended", [False, True])
def test_with_while_a_task_of_this_thread_holds(
    backend: Backend, kind: LockKind, way: Callable[[Lock], None], *, contended: bool
) -> None:
    """3.3: the holder cannot run, let alone leave, before this thread goes on."""

    async def main() -> None:
        lock = make_lock(kind, name="mine")
        section = Section()

        async def one() -> None:
            async with lock:
                section.update()

        async def victim() -> None:
            await until_in_task(lock.locked)
            with pytest.raises(WouldDeadlock, match="mine"):
                way(lock)
            # With a time-out, or without waiting, there is no deadlock to tell of.
            assert not lock.try_acquire()
            with pytest.raises(LockTimeout), lock.hold(0.001):
                pass

        async with anyio.create_task_group() as tasks, lock:
            if contended:
                tasks.start_soon(one)
                await queued(lock)
            await victim()  # the holder itself
            async with anyio.create_task_group() as others:
                others.start_soon(victim)  # another task of the same loop
        assert section.count == contended
        way(lock)
        assert_at_rest(lock)

    run(backend, main)


@bridged
def test_with_while_the_loop_of_the_holder_is_paused(kind: LockKind) -> None:
    """Between two runs of the loop get_running_loop() would see no loop at all."""
    lock = make_lock(kind)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(enter(lock))
    with pytest.raises(WouldDeadlock):
        by_with(lock)
    with in_thread(lambda: refused(lock)):
        pass
    loop.run_until_complete(lock.__aexit__(None, None, None))
    loop.close()
    assert_at_rest(lock)


def refused(lock: Lock) -> None:
    with pytest.raises(LockTimeout), lock.hold(0.001):
        pass


@bridged
def test_with_in_another_thread_waits_for_the_task(
    backend: Backend, kind: LockKind
) -> None:
    """No false alarm: other threads, and worker threads of the loop, may wait."""

    async def main() -> None:
        lock = make_lock(kind)
        section = Section()

        def in_worker() -> None:
            started.append(1)
            with lock:
                section.update()

        started: list[int] = []
        async with anyio.create_task_group() as tasks, lock:
            for _ in range(3):
                tasks.start_soon(anyio.to_thread.run_sync, in_worker)
            await until_in_task(lambda: len(started) == 3)
            assert section.count == 0
        assert (section.count, section.overlaps) == (3, 0)
        assert_at_rest(lock)

    run(backend, main)


def test_a_task_that_waits_for_what_it_holds(backend: Backend, kind: LockKind) -> None:
    async def main() -> None:
        lock = make_lock(kind, name="mine")
        async with lock:
            with pytest.raises(WouldDeadlock, match="mine"):
                await enter(lock)
            with pytest.raises(LockTimeout):
                await enter(lock, 0.001)
            assert waiting(lock) == 0
        assert_at_rest(lock)

    run(backend, main)


def test_with_of_an_async_lock_on_its_loop(backend: Backend) -> None:
    """3.3: always an error there, free or not; elsewhere it says where it belongs."""

    async def main() -> None:
        lock = make_lock("async", name="mine")
        for way in (by_with, by_hold):
            with pytest.raises(WouldDeadlock, match="mine"):
                way(lock)
            async with lock:
                with pytest.raises(WouldDeadlock, match="mine"):
                    way(lock)
                with (
                    pytest.raises(WrongEventLoop, match="mine"),
                    in_thread(functools.partial(way, lock)),
                ):
                    pass
        assert_at_rest(lock)

    run(backend, main)


@bridged
@pytest.mark.parametrize("state", ["queued", "granted"])
@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("tasks", [1, 3])
def test_with_on_the_loop_before_a_waiting_task(
    backend: Backend, kind: LockKind, state: str, timeout: float | None, tasks: int
) -> None:
    """Line 13: the blocked thread goes first, and the tasks get it afterwards."""

    async def main() -> None:
        lock = make_lock(kind)
        order: list[int] = []

        async def one(number: int) -> None:
            async with lock:
                order.append(number)

        def with_in_this_thread() -> None:
            with lock if timeout is None else lock.hold(timeout):
                order.append(-1)

        acquire(lock)
        async with anyio.create_task_group() as group:
            for number in range(tasks):
                group.start_soon(one, number)
                await queued(lock, number + 1)
            if state == "granted":
                lock.release()
                until(lambda: granted(lock))
                with_in_this_thread()
            else:
                before = waiting(lock)
                with in_thread(lambda: release_when(lock, before + 1)):
                    with_in_this_thread()
            assert order == [-1]
            with_in_this_thread()  # and once more, amid the hand-off
        assert order == [-1, -1, *range(tasks)]
        assert_at_rest(lock)

    run(backend, main)


def release_when(lock: Lock, number: int) -> None:
    until(lambda: waiting(lock) >= number)
    lock.release()


@bridged
def test_with_on_the_loop_gives_up_before_a_waiting_task(
    backend: Backend, kind: LockKind
) -> None:
    """Line 13: a time-out puts everything back as it was."""

    async def main() -> None:
        lock = make_lock(kind)
        order: list[int] = []

        async def one(number: int) -> None:
            async with lock:
                order.append(number)

        acquire(lock)
        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(one, number)
                await queued(lock, number + 1)
            refused(lock)
            assert not lock.try_acquire()
            lock.release()
            until(lambda: granted(lock))
            with contextlib.suppress(LockTimeout), lock.hold(1e-9):
                pass
            assert order == []
        assert order == [0, 1]
        assert_at_rest(lock)

    run(backend, main)


@bridged
def test_two_loop_threads_block_before_their_tasks(kind: LockKind) -> None:
    """Line 13 twice at a time, with a third thread that holds the lock."""
    lock = make_lock(kind)
    section = Section()
    ready = threading.Barrier(3)

    async def one() -> None:
        async with lock:
            with section:
                await asyncio.sleep(0)

    async def main() -> None:
        tasks = [asyncio.ensure_future(one()) for _ in range(3)]
        await asyncio.sleep(0)
        ready.wait(PATIENCE)
        for _ in range(3):
            with lock:
                section.update()
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)

    acquire(lock)
    with in_thread(lambda: asyncio.run(main())), in_thread(lambda: asyncio.run(main())):
        ready.wait(PATIENCE)
        until(lambda: waiting(lock) == 8)  # six tasks and two threads
        lock.release()
    assert (section.count, section.overlaps) == (12, 0)
    assert_at_rest(lock)


@bridged
def test_dead_threads_hold_nothing(kind: LockKind) -> None:
    """Line 14: thread idents are used again, and say nothing about who holds it."""
    lock = make_lock(kind)
    loop = asyncio.new_event_loop()
    idents: queue.Queue[int] = queue.Queue()

    def first() -> None:
        idents.put(threading.get_ident())
        loop.run_until_complete(enter(lock))

    def stranger() -> None:
        idents.put(threading.get_ident())
        if threading.get_ident() == dead:
            with lock:  # waits; it would be told of a deadlock, were it the holder
                pass

    with in_thread(first):
        dead = idents.get(timeout=PATIENCE)
    for _ in range(1000):
        with in_thread(stranger):
            if idents.get(timeout=PATIENCE) == dead:
                refused(lock)
                lock.release()
                break
    assert not lock.locked(), "no ident was used again"
    loop.close()
    assert_at_rest(lock)


def test_dead_tasks_hold_nothing(backend: Backend, kind: LockKind) -> None:
    """Line 14: a task that has ended is not mistaken for one at the same address."""

    async def main() -> None:
        lock = make_lock(kind)

        async def first() -> None:
            await enter(lock)

        async def stranger() -> None:
            with pytest.raises(LockTimeout):
                await enter(lock, 0.001)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await enter(lock)
                raise AssertionError
            assert scope.cancelled_caught

        for _ in range(20):
            await all_done(first)
            await all_done(stranger)
            lock.release()
        assert_at_rest(lock)

    run(backend, main)
