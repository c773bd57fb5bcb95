"""Where the kind "async" does what it does, which is seen only if it is elsewhere.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from anylock import (
    AsyncBoundedSemaphore,
    AsyncCondition,
    AsyncLock,
    AsyncRLock,
    AsyncSemaphore,
    LockNotHeldError,
    WouldDeadlock,
    _parking,
)
from backends import TRIO, require, run
from staging import PATIENCE, all_done, enter, in_thread, until_in_task
from test_lost_loops_unseen import grant_to_a_closed_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from backends import Backend


class Located(AsyncLock):
    """Tells which thread took it."""

    __slots__ = ("taken_in",)

    def _take(self, actor: Any) -> bool:
        self.taken_in = threading.current_thread()
        return super()._take(actor)


def test_a_worker_takes_it_in_the_thread_of_the_loop(backend: Backend) -> None:
    """Nothing else runs there at the same time."""

    async def main() -> None:
        lock = Located()
        assert await to_thread.run_sync(lock.try_acquire)
        assert lock.taken_in is threading.current_thread()

    run(backend, main)


class LeftBy(AsyncRLock):
    """Tells which thread left it."""

    __slots__ = ("left_in",)

    def _undo(self) -> None:
        self.left_in = threading.current_thread()
        super()._undo()


class GivenBack(AsyncSemaphore):
    """Tells which thread gave a permit back."""

    __slots__ = ("left_in",)

    def _give(self, n: int) -> None:
        self.left_in = threading.current_thread()
        super()._give(n)


@pytest.mark.parametrize("make", [LeftBy, GivenBack])
def test_a_worker_leaves_it_in_the_thread_of_the_loop(
    backend: Backend, make: Callable[[], Any]
) -> None:
    async def main() -> None:
        thing = make()

        def use() -> None:
            with thing:
                pass

        await to_thread.run_sync(use)
        assert thing.left_in is threading.current_thread()

    run(backend, main)


def test_a_loop_in_a_worker_takes_it_there(backend: Backend) -> None:
    """A worker thread may run an event loop of its own, whose lock it is."""

    async def inner() -> None:
        lock = Located()
        assert lock.try_acquire()
        assert lock.taken_in is threading.current_thread()

    async def main() -> None:
        await to_thread.run_sync(lambda: asyncio.run(inner()))

    run(backend, main)


def test_a_new_lock_looks_for_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of trio as a guest of asyncio the fast path would know the host alone."""
    require(TRIO)
    import trio.lowlevel

    monkeypatch.setattr(_parking, "trio_lowlevel", None)
    AsyncLock()
    assert _parking.trio_lowlevel is trio.lowlevel


def test_nobody_leaves_what_nobody_holds_where_no_loop_runs() -> None:
    leaving = AsyncRLock().__aexit__(None, None, None)
    with pytest.raises(LockNotHeldError):
        leaving.send(None)


def test_who_does_not_hold_it_does_not_leave_it(backend: Backend) -> None:
    async def main() -> None:
        with pytest.raises(LockNotHeldError):
            await AsyncLock().__aexit__(None, None, None)

    run(backend, main)


# Who has it


@pytest.mark.parametrize("make", [AsyncLock, AsyncRLock])
def test_who_was_passed_over_takes_nothing_with_it(make: Callable[[], Any]) -> None:
    """Its loop is closed, what it was granted is somebody else's, and now it ends."""
    lock = make()
    kept: list[Any] = []
    grant_to_a_closed_loop(lock, kept)

    async def main() -> None:
        async with lock:
            kept.clear()
            gc.collect()
            assert lock.locked()
        assert not lock.locked()

    asyncio.run(main())


def test_closed_in_a_wait_after_it_entered_twice() -> None:
    """It leaves as often as it entered, and the lock is free after the last time."""

    async def main() -> None:
        lock = AsyncRLock()
        condition = AsyncCondition(lock)
        left: list[bool] = []

        async def sit() -> None:
            try:
                async with lock:
                    async with lock:
                        await condition.wait()
                    left.append(lock.locked())
            except GeneratorExit:
                left.append(lock.locked())
                raise

        sitting = sit()
        sitting.send(None)
        sitting.close()
        assert left == [False]

    asyncio.run(main())


def test_somebody_comes_while_a_guest_has_the_lock() -> None:
    """A task that was closed in its wait has it; its host waits before the others."""

    async def main() -> None:
        lock = AsyncLock()
        condition = AsyncCondition(lock)
        coming = enter(lock, PATIENCE)

        async def sit() -> None:
            async with condition:
                try:
                    await condition.wait()
                finally:
                    coming.send(None)

        sitting = sit()
        sitting.send(None)
        async with lock:
            sitting.close()
            coming.close()
        assert not lock.locked()

    asyncio.run(main())


def test_who_had_to_wait_for_the_only_permit_has_it(backend: Backend) -> None:
    """It must not wait for itself, as little as who came first."""

    async def main() -> None:
        semaphore = AsyncBoundedSemaphore()

        async def one() -> None:
            async with semaphore:
                with pytest.raises(WouldDeadlock):
                    await semaphore.__aenter__()

        async with anyio.create_task_group() as tasks, semaphore:
            tasks.start_soon(one)
            await until_in_task(lambda: semaphore._waiters)
        assert semaphore.value == 1

    run(backend, main)


@contextmanager
def another_loop_runs() -> Generator[None]:
    """Have a task of another thread's event loop run, without an end."""
    runs, leave = threading.Event(), threading.Event()

    async def stay() -> None:
        runs.set()
        leave.wait(PATIENCE)

    with in_thread(lambda: asyncio.run(stay())):
        assert runs.wait(PATIENCE)
        try:
            yield
        finally:
            leave.set()


@pytest.mark.parametrize("make", [AsyncLock, AsyncRLock, AsyncBoundedSemaphore])
def test_who_it_is_does_not_hang_on_other_loops(make: Callable[[], Any]) -> None:
    """Up to Python 3.11 a task is known by what runs, and that may be more than one."""

    async def main() -> None:
        thing = make()
        with another_loop_runs():
            await thing.__aenter__()
        if isinstance(thing, AsyncRLock):
            async with thing:
                pass
        else:
            with pytest.raises(WouldDeadlock):
                await thing.__aenter__()
        await thing.__aexit__(None, None, None)
        assert not thing.locked()

    asyncio.run(main())


def running_task() -> weakref.ref[Any]:
    lowlevel: Any = _parking.trio_lowlevel
    if _parking.in_trio():
        return weakref.ref(lowlevel.current_task())
    return weakref.ref(asyncio.current_task())


@pytest.mark.parametrize("make", [AsyncLock, AsyncRLock, AsyncSemaphore])
def test_who_has_left_is_not_kept(backend: Backend, make: Callable[[], Any]) -> None:
    """It would keep alive what it refers to."""

    async def main() -> None:
        thing = make()
        tasks: list[weakref.ref[Any]] = []

        async def one() -> None:
            tasks.append(running_task())
            async with thing:
                pass

        await all_done(one)
        gc.collect()
        assert tasks[0]() is None

    run(backend, main)


@pytest.mark.parametrize("make", [AsyncLock, AsyncRLock, AsyncSemaphore])
def test_who_never_got_in_is_not_kept(make: Callable[[], Any]) -> None:
    """It had taken it, and was thrown out of the checkpoint that follows."""

    async def main() -> None:
        thing = make()
        tasks: list[weakref.ref[Any]] = []

        async def one() -> None:
            tasks.append(running_task())
            entering = thing.__aenter__()
            entering.send(None)
            entering.close()

        await all_done(one)
        gc.collect()
        assert tasks[0]() is None

    run(TRIO, main)
