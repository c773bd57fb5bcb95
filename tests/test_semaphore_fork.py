"""What a forked child finds of semaphores."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock import LockTimeout, ThreadSemaphore, WouldDeadlock, make_semaphore
from anylock._blocking import BlockedThread
from anylock._bridge import base
from anylock._parking import this_thread
from backends import Backend, run
from children import Child, Signal, in_child
from permits import (
    Room,
    acquire,
    at_rest,
    bridged,
    enter,
    exit_,
    granted,
    helping,
    leave,
    make,
    queued,
    settled,
    still_works,
    waiting,
)
from staging import PATIENCE, all_done, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from anylock import LockKind
    from anylock._bridge.semaphore import SemaphoreBridge
    from permits import BridgedSemaphore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
bounds = pytest.mark.parametrize("bounded", [False, True])


@pytest.fixture
def told() -> Iterator[Signal]:
    told = Signal()
    yield told
    told.close()


@contextlib.contextmanager
def in_use(semaphore: BridgedSemaphore, state: str) -> Generator[None]:
    """Have threads, or tasks of another thread, hold both permits, and tasks wait."""
    over = threading.Event()

    def hold() -> None:
        with semaphore:
            over.wait(PATIENCE)

    async def one() -> None:
        async with semaphore:
            await anyio.to_thread.run_sync(over.wait, PATIENCE)

    async def tasks() -> None:
        await all_done(*[one] * (4 if state == "tasks hold" else 2))

    with contextlib.ExitStack() as threads:
        if state != "tasks hold":
            threads.enter_context(in_thread(hold))
            threads.enter_context(in_thread(hold))
            until(semaphore.locked)
        if state != "threads hold":
            threads.enter_context(in_thread(lambda: asyncio.run(tasks())))
            until(lambda: waiting(semaphore) == 2)
        try:
            yield
        finally:
            over.set()


states = pytest.mark.parametrize(
    "state", ["threads hold", "tasks hold", "tasks wait for threads"]
)


@states
@bounds
@pytest.mark.parametrize("automatic", [False, True])
def test_thread_semaphore_is_reset(
    state: str, *, automatic: bool, bounded: bool
) -> None:
    semaphore = make_semaphore("thread", 2, bounded=bounded, reset_after_fork=automatic)

    def child() -> None:
        if not automatic:
            assert semaphore.locked()
            assert not semaphore.acquire(timeout=0.01)
            semaphore._at_fork_reinit()
        still_works(semaphore, 2)

    with in_use(semaphore, state):
        in_child(child)
    at_rest(semaphore, 2)


@states
def test_process_semaphore_goes_on(state: str, told: Signal) -> None:
    semaphore = make("process", 2)

    def child() -> None:
        assert not semaphore.try_acquire()
        with pytest.raises(LockTimeout), semaphore.hold(0.01):
            pass
        told.set()
        asyncio.run(enter(semaphore, PATIENCE))
        with semaphore:
            pass
        leave(semaphore)

    with in_use(semaphore, state):
        process = Child(child)
        told.wait()
    process.join()
    at_rest(semaphore, 2)


@bridged
@pytest.mark.parametrize("value", [1, 2])
def test_fork_in_a_task_that_holds_one(
    backend: Backend, kind: LockKind, value: int
) -> None:
    """In the child the task still holds its permit of the thread kind."""
    semaphore = make(kind, value)
    room = Room(semaphore)

    def child() -> None:
        assert semaphore.value == 0
        if kind == "thread":
            if value == 1:
                with pytest.raises(WouldDeadlock), semaphore:
                    pass
            with pytest.raises(LockTimeout), semaphore.hold(0.01):
                pass
            with contextlib.suppress(StopIteration):
                exit_(semaphore).send(None)
            leave(semaphore, value - 1)  # what a thread took
            still_works(semaphore, value)
        else:
            with pytest.raises(LockTimeout), semaphore.hold(0.01):
                pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            acquire(semaphore, value - 1)
            await enter(semaphore)
            tasks.start_soon(room.visit, 0)
            await queued(semaphore)
            in_child(child)
            await exit_(semaphore)
            leave(semaphore, value - 1)

    run(backend, main)
    assert room.entered == [0]
    at_rest(semaphore, value)


@bridged
@pytest.mark.parametrize("first", ["with", "async with", "try_acquire"])
def test_fork_while_tasks_of_this_thread_are_granted(
    backend: Backend, kind: LockKind, first: str
) -> None:
    """What was granted to the parent's tasks is free in the child."""
    semaphore = make(kind, 2)
    room = Room(semaphore)

    def child() -> None:
        if kind == "process":
            with pytest.raises(LockTimeout), semaphore.hold(0.01):
                pass
            return
        if first == "with":
            with semaphore:
                pass
        elif first == "async with":
            with in_thread(lambda: asyncio.run(enter(semaphore, PATIENCE))):
                pass
            leave(semaphore)
            reset(semaphore)
        else:
            acquire(semaphore, 2)
            assert not semaphore.try_acquire()
            leave(semaphore, 2)
        still_works(semaphore, 2)

    async def main() -> None:
        acquire(semaphore, 2)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(room.visit, number)
            await queued(semaphore, 3)
            leave(semaphore, 2)
            until(lambda: granted(semaphore) == 2)
            in_child(child)

    run(backend, main)
    assert sorted(room.entered) == [0, 1, 2]
    at_rest(semaphore, 2)


def reset(semaphore: BridgedSemaphore) -> None:
    assert isinstance(semaphore, ThreadSemaphore)
    settled(semaphore, 2)
    semaphore._at_fork_reinit()


@bridged
@bounds
def test_fork_amid_everything(kind: LockKind, *, bounded: bool) -> None:
    """Another thread is just inside of whatever guards anything."""
    semaphore = make(kind, 2, bounded=bounded)
    asyncio.run(enter(semaphore))
    asyncio.run(exit_(semaphore))
    from anylock import _bridged

    bridge = semaphore._bridge
    assert bridge is not None
    counting = getattr(semaphore, "_counting", contextlib.nullcontext())
    inside, over = threading.Event(), threading.Event()

    def child() -> None:
        # Not in a new thread: its ident may be that of the missing one.
        acquire(semaphore)
        leave(semaphore)
        asyncio.run(enter(semaphore))
        asyncio.run(exit_(semaphore))
        still_works(semaphore, 2)

    def everywhere() -> None:
        guards = (bridge.switching, bridge._running, bridge._turnstile, counting)
        with contextlib.ExitStack() as stack:
            for guard in (*guards, _bridged._making):
                stack.enter_context(guard)
            inside.set()
            over.wait(PATIENCE)

    with in_thread(everywhere):
        assert inside.wait(PATIENCE)
        try:
            in_child(child)
        finally:
            over.set()
    at_rest(semaphore, 2)


@bridged
def test_fork_with_a_helper_under_way(kind: LockKind, told: Signal) -> None:
    """It stays in the parent, and so does what it is going to get."""
    semaphore = make(kind, 1, bounded=False)

    def child() -> None:
        if kind == "thread":
            semaphore.release()  # nobody else would
            still_works(semaphore, 1)
        else:
            told.set()
            with semaphore:
                pass

    async def main() -> None:
        acquire(semaphore)
        waiter = asyncio.ensure_future(enter(semaphore))
        await queued(semaphore)
        until(lambda: helping(semaphore))
        process = Child(child)
        if kind == "process":
            told.wait()
            semaphore.release()
            await waiter
            semaphore.release()
            process.join()
        else:
            process.join()
            semaphore.release()
            await waiter
            semaphore.release()

    asyncio.run(main())
    at_rest(semaphore, 1)


def test_two_threads_of_the_child_want_it_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the parent had granted is given back once, not by each of them."""
    semaphore = make_semaphore("thread", 2)
    assert semaphore.try_acquire()
    old = semaphore._live_bridge()
    # As a fork leaves it:
    old._granted[BlockedThread()] = None
    old.of_this_process = False
    monkeypatch.setattr(base, "forking", this_thread.marker)
    both = threading.Barrier(2)
    new_bridge = ThreadSemaphore._new_bridge

    def slowly(made: ThreadSemaphore) -> SemaphoreBridge:
        bridge = new_bridge(made)
        both.wait(PATIENCE)
        return bridge

    monkeypatch.setattr(ThreadSemaphore, "_new_bridge", slowly)
    with in_thread(semaphore._live_bridge), in_thread(semaphore._live_bridge):
        pass
    assert semaphore.value == 2
