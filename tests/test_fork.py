"""What a forked child finds of the locks, and what a killed one leaves behind.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from anylock import LockTimeout, WouldDeadlock, make_lock
from backends import Backend, run
from children import Child, Signal, in_child
from staging import (
    PATIENCE,
    BridgedLock,
    Section,
    acquire,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    helpers,
    in_thread,
    queued,
    until,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from anylock import Lock, LockKind, ThreadLock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
bridged = pytest.mark.parametrize("kind", ["process", "thread"])


@pytest.fixture
def told() -> Iterator[Signal]:
    told = Signal()
    yield told
    told.close()


@contextlib.contextmanager
def in_state(lock: Lock, state: str) -> Generator[Section]:
    """Have other threads use the lock, in this and that way, and leave it after."""
    section = Section()
    over = threading.Event()
    ready = threading.Event()

    def hold() -> None:
        with lock, section:
            ready.set()
            over.wait(PATIENCE)

    async def one() -> None:
        async with lock:
            with section:
                ready.set()
                await anyio.to_thread.run_sync(over.wait, PATIENCE)

    async def several() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one)

    with contextlib.ExitStack() as threads:
        if state != "a task holds":
            threads.enter_context(in_thread(hold))
            assert ready.wait(PATIENCE)
        if state != "a thread holds":
            threads.enter_context(in_thread(lambda: asyncio.run(several())))
            assert ready.wait(PATIENCE)
            until(lambda: waiting(lock) == (2 if state == "a task holds" else 3))
        try:
            yield section
        finally:
            over.set()
    assert section.overlaps == 0


states = pytest.mark.parametrize(
    "state", ["a thread holds", "a task holds", "tasks wait for a thread"]
)


@states
@pytest.mark.parametrize("automatic", [False, True])
def test_thread_lock_is_reset_in_the_child(state: str, *, automatic: bool) -> None:
    """Line 9: held by a thread that does not exist there, with all that wait."""
    lock = make_lock("thread", reset_after_fork=automatic)

    def child() -> None:
        if not automatic:
            assert lock.locked()
            assert not lock.acquire(timeout=0.01)
            lock._at_fork_reinit()
        assert_unused(lock)

    with in_state(lock, state) as section:
        in_child(child)
        in_child(lambda: in_child(child))
    assert section.count == {"a thread holds": 1, "a task holds": 3}.get(state, 4)
    assert_at_rest(lock)


def assert_unused(lock: Lock) -> None:
    assert waiting(lock) == 0
    assert not helpers(lock)
    assert_at_rest(lock)
    with in_thread(lambda: asyncio.run(contended(lock))):
        pass
    assert_at_rest(lock)


async def contended(lock: Lock) -> None:
    acquire(lock)
    tasks = [asyncio.ensure_future(enter(lock, PATIENCE)) for _ in range(2)]
    await queued(lock, 2)
    for task in tasks:
        lock.release()
        await task
    lock.release()


@states
def test_process_lock_goes_on_in_the_child(state: str, told: Signal) -> None:
    """Line 9 turned round: it is one lock, and only the parent's queue is left."""
    lock = make_lock("process")

    def child() -> None:
        assert waiting(lock) == 0 or not bridge_of(lock).of_this_process
        assert not lock.try_acquire()
        with pytest.raises(LockTimeout), lock.hold(0.01):
            pass
        told.set()
        use(lock)
        asyncio.run(enter(lock, PATIENCE))
        lock.release()

    with in_state(lock, state):
        process = Child(child)
        told.wait()
    process.join()
    assert_at_rest(lock)


@pytest.mark.parametrize("automatic", [False, True])
def test_fork_amid_everything(kind: LockKind, *, automatic: bool) -> None:
    """Line 9: another thread is just inside of whatever a bridge guards."""
    if kind == "async":
        pytest.skip("it is of one thread")
    if automatic and kind == "process":
        pytest.skip("it has no such option")
    lock = make_lock("thread", reset_after_fork=True) if automatic else make_lock(kind)
    asyncio.run(enter(lock))
    lock.release()
    from anylock import _bridged

    bridge = bridge_of(lock)
    inside, over = threading.Event(), threading.Event()

    def everywhere() -> None:
        with bridge.switching, bridge._running, bridge._turnstile, _bridged._making:
            inside.set()
            over.wait(PATIENCE)

    with in_thread(everywhere):
        assert inside.wait(PATIENCE)
        try:
            in_child(lambda: assert_unused(lock))
        finally:
            over.set()
    assert_at_rest(lock)


def test_fork_in_the_task_that_holds_a_thread_lock(backend: Backend) -> None:
    """The child goes on in the same task, and holds the lock as `fork` found it."""

    async def main() -> None:
        lock = make_lock("thread")
        reset = make_lock("thread", reset_after_fork=True)

        def child() -> None:
            with pytest.raises(WouldDeadlock), lock:
                pass
            with pytest.raises(LockTimeout), lock.hold(0.01):
                pass
            lock.release()
            assert_unused(lock)
            assert_unused(reset)

        async with lock, reset:
            in_child(child)
        assert_at_rest(lock)
        assert_at_rest(reset)

    run(backend, main)


@pytest.mark.parametrize("contended", [False, True])
def test_fork_in_the_task_that_holds_a_process_lock(
    backend: Backend, told: Signal, *, contended: bool
) -> None:
    """The parent will release it: waiting in the child is no deadlock."""

    async def main() -> None:
        lock = make_lock("process")
        section = Section()

        async def one() -> None:
            async with lock:
                section.update()

        def child() -> None:
            assert not lock.try_acquire()
            told.set()
            with lock:
                pass
            with in_thread(lambda: asyncio.run(enter(lock, PATIENCE))):
                pass
            lock.release()

        children: list[Child] = []
        async with anyio.create_task_group() as tasks:
            await enter(lock)
            if contended:
                tasks.start_soon(one)
                await queued(lock)
            children.append(Child(child))
            told.wait()
            lock.release()
        children[0].join()
        assert section.count == contended
        assert_at_rest(lock)

    run(backend, main)


def test_start_processes_in_the_task_that_holds_a_process_lock() -> None:
    """The same by `multiprocessing`, where a target is all that the child runs."""
    context = multiprocessing.get_context("fork")
    lock = make_lock("process", context=context)
    count = context.Value("i", 0, lock=False)

    async def main() -> None:
        async with lock:
            for process in processes:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
        for process in processes:
            await asyncio.to_thread(process.join, PATIENCE)

    def target() -> None:
        with lock:
            count.value += 1

    processes = [context.Process(target=target) for _ in range(3)]
    asyncio.run(main())
    for process in processes:
        process.kill()
        process.join()
        assert process.exitcode == 0
    assert count.value == 3
    assert_at_rest(lock)


@bridged
def test_fork_while_a_task_of_this_thread_is_granted(
    backend: Backend, kind: LockKind
) -> None:
    """What was granted to the parent's task stays with the parent's."""

    async def main() -> None:
        lock = make_lock(kind)
        section = Section()

        async def one() -> None:
            async with lock:
                section.update()

        def child() -> None:
            if kind == "thread":
                cast("ThreadLock", lock)._at_fork_reinit()
                assert_unused(lock)
            else:
                with pytest.raises(LockTimeout), lock.hold(0.01):
                    pass

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)
            await queued(lock, 2)
            lock.release()
            until(lambda: granted(lock))
            in_child(child)
        assert section.count == 2
        assert_at_rest(lock)

    run(backend, main)


@pytest.mark.parametrize("colour", ["with", "async with"])
def test_killed_while_it_waits(colour: str, told: Signal) -> None:
    """A waiter of another process that is killed takes nothing with it."""
    lock = make_lock("process")

    def child() -> None:
        told.set()
        if colour == "with":
            use(lock)
        else:
            asyncio.run(enter(lock))

    acquire(lock)
    process = Child(child)
    told.wait()
    process.kill()
    lock.release()
    assert_at_rest(lock)


def test_killed_while_it_holds(backend: Backend, told: Signal) -> None:
    """A semaphore then stays locked for ever, as documented; no time-out hangs."""
    lock = make_lock("process")

    def child() -> None:
        acquire(lock)
        told.set()
        signal.pause()

    process = Child(child)
    told.wait()
    process.kill()

    async def main() -> None:
        assert not lock.try_acquire()
        for _ in range(2):
            with pytest.raises(LockTimeout):
                await enter(lock, 0.001)
        with pytest.raises(LockTimeout), lock.hold(0.001):
            pass
        cast("BridgedLock", lock).release()  # whoever knows better may
        assert_at_rest(lock)

    run(backend, main)
