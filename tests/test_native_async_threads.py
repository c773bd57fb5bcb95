"""`with` on an AsyncLock: in worker threads of its loop, and nowhere else."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from anylock import (
    AsyncLock,
    LockTimeout,
    WouldDeadlock,
    WrongEventLoop,
    make_lock,
    synchronized,
)
from backends import Backend, run

if TYPE_CHECKING:
    from collections.abc import Callable

in_worker = anyio.to_thread.run_sync


@pytest.fixture
def lock() -> AsyncLock:
    return make_lock("async", name="inventory")


async def until_waiting(lock: AsyncLock, waiters: int = 1) -> None:
    while not repr(lock).endswith(f"[locked, waiters:{waiters}]>"):
        await anyio.lowlevel.checkpoint()


def assert_free(lock: AsyncLock) -> None:
    assert repr(lock).endswith("[unlocked]>")
    assert lock.try_acquire()
    lock.release()


# In worker threads


def test_workers_and_tasks_exclude_each_other(
    backend: Backend, lock: AsyncLock
) -> None:
    inside = 0
    done: list[str] = []

    def enter() -> None:
        nonlocal inside
        assert inside == 0
        inside += 1

    def leave(who: str) -> None:
        nonlocal inside
        assert inside == 1
        inside -= 1
        done.append(who)

    def in_thread() -> None:
        for _ in range(20):
            with lock:
                enter()
                anyio.from_thread.run(anyio.lowlevel.checkpoint)
                leave("thread")

    async def in_task() -> None:
        for _ in range(20):
            async with lock:
                enter()
                await anyio.lowlevel.checkpoint()
                leave("task")
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(in_task)
                tasks.start_soon(in_worker, in_thread)

    run(backend, main)
    assert sorted(done) == ["task"] * 60 + ["thread"] * 60
    assert_free(lock)


def test_a_worker_waits_its_turn_among_tasks(backend: Backend, lock: AsyncLock) -> None:
    order: list[str] = []

    def in_thread() -> None:
        with lock as entered:
            assert entered is True
            order.append("thread")

    async def in_task() -> None:
        async with lock:
            order.append("task")

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            tasks.start_soon(in_task)
            await until_waiting(lock, 1)
            tasks.start_soon(in_worker, in_thread)
            await until_waiting(lock, 2)
            tasks.start_soon(in_task)
            await until_waiting(lock, 3)
            assert order == []

    run(backend, main)
    assert order == ["task", "thread", "task"]
    assert_free(lock)


def test_what_hold_gives_a_worker(backend: Backend, lock: AsyncLock) -> None:
    def in_thread() -> None:
        for timeout in (None, 0, 30):
            with lock.hold(timeout) as entered:
                assert entered is lock
                assert not lock.try_acquire()

    run(backend, in_worker, in_thread)
    assert_free(lock)


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_a_worker_that_waits_in_vain(
    backend: Backend, lock: AsyncLock, timeout: float
) -> None:
    def in_thread() -> None:
        with (
            pytest.raises(LockTimeout, match="'inventory'") as info,
            lock.hold(timeout),
        ):
            pytest.fail("a task holds it")
        assert info.value.timeout == timeout

    async def main() -> None:
        async with lock:
            await in_worker(in_thread)
            assert repr(lock).endswith("[locked]>")

    run(backend, main)
    assert_free(lock)


def test_a_worker_that_waits_long_enough(backend: Backend, lock: AsyncLock) -> None:
    def in_thread() -> None:
        with lock.hold(60):
            assert lock.locked()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            tasks.start_soon(in_worker, in_thread)
            await until_waiting(lock)

    run(backend, main)
    assert_free(lock)


def test_a_worker_that_waits_for_itself(backend: Backend, lock: AsyncLock) -> None:
    def in_thread() -> None:
        for enter in (lock, lock.hold(60)):
            with enter:
                with pytest.raises(WouldDeadlock, match="this thread holds it"), lock:
                    pytest.fail("twice in the lock")
                with pytest.raises(LockTimeout), lock.hold(0.001):
                    pytest.fail("twice in the lock")
        with lock:  # and the thread holds it no more
            pass

    async def contended() -> None:
        async with anyio.create_task_group() as tasks, lock:
            tasks.start_soon(in_worker, in_thread)
            await until_waiting(lock)

    run(backend, in_worker, in_thread)
    run(backend, contended)
    assert_free(lock)


def test_a_worker_is_not_taken_for_the_one_before(
    backend: Backend, lock: AsyncLock
) -> None:
    # Worker threads are used again: this one left the lock to a task to release.
    async def main() -> None:
        await in_worker(lock.__enter__)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lock.acquire)
            await until_waiting(lock)
            lock.release()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(in_worker, lock.__enter__)
            await until_waiting(lock)
            lock.release()
        lock.release()

    run(backend, main)
    assert_free(lock)


def test_release_from_any_thread(backend: Backend, lock: AsyncLock) -> None:
    async def main() -> None:
        await lock.acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lock.acquire)
            await until_waiting(lock)
            stranger = threading.Thread(target=lock.release)
            stranger.start()
            await in_worker(stranger.join)
        await in_worker(lock.release)

    run(backend, main)
    assert_free(lock)


# A task that is cancelled while its worker waits


@pytest.mark.parametrize("order", ["cancel", "cancel release", "release cancel"])
@pytest.mark.parametrize("abandon", [False, True])
def test_a_cancelled_host_leaks_nothing(
    backend: Backend, lock: AsyncLock, order: str, *, abandon: bool
) -> None:
    finished = threading.Event()

    def in_thread() -> None:
        try:
            with lock:
                assert lock.locked()
        finally:
            finished.set()

    async def host(scope: anyio.CancelScope) -> None:
        with scope:
            await in_worker(in_thread, abandon_on_cancel=abandon)

    async def main() -> None:
        scope = anyio.CancelScope()
        await lock.acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host, scope)
            await until_waiting(lock)
            for step in order.split():
                if step == "cancel":
                    scope.cancel()
                else:
                    lock.release()
        assert finished.is_set() or abandon
        if order == "cancel":
            assert lock.locked()
            lock.release()
        await in_worker(finished.wait)
        with anyio.fail_after(30):
            async with lock:  # as a task that has been waiting all the time would
                assert repr(lock).endswith("[locked]>")

    run(backend, main)
    assert_free(lock)


def test_a_loop_that_ends_under_a_worker(backend: Backend, lock: AsyncLock) -> None:
    finished = threading.Event()

    def in_thread() -> None:
        try:
            with lock:
                pytest.fail("a stranger holds it")
        except BaseException:  # noqa: BLE001, S110 - the loop's own, whatever it is
            pass
        finally:
            finished.set()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def host() -> None:
                await in_worker(in_thread, abandon_on_cancel=True)

            tasks.start_soon(host)
            await until_waiting(lock)
            tasks.cancel_scope.cancel()

    assert lock.try_acquire()
    run(backend, main)
    assert finished.wait(60)
    lock.release()
    assert_free(lock)


# Everywhere else


def ways_in(lock: AsyncLock) -> list[Callable[[], object]]:
    def with_lock() -> None:
        with lock:
            pytest.fail("in the lock")

    def with_hold(timeout: float | None) -> Callable[[], None]:
        def enter() -> None:
            with lock.hold(timeout):
                pytest.fail("in the lock")

        return enter

    @synchronized(lock)
    def function() -> None:
        pytest.fail("in the lock")

    return [with_lock, with_hold(None), with_hold(0), with_hold(60), function]


@pytest.mark.parametrize("held", [False, True])
def test_with_on_the_thread_of_a_loop(
    backend: Backend, lock: AsyncLock, *, held: bool
) -> None:
    async def main() -> None:
        if held:
            await lock.acquire()
        for enter in ways_in(lock):
            with pytest.raises(WouldDeadlock, match="use 'async with'"):
                enter()
        if held:
            lock.release()

    run(backend, main)
    assert_free(lock)


def test_with_in_a_callback_of_the_loop(lock: AsyncLock) -> None:
    async def main() -> None:
        errors: asyncio.Queue[BaseException] = asyncio.Queue()

        def callback() -> None:
            try:
                lock.__enter__()
            except WouldDeadlock as error:
                errors.put_nowait(error)

        asyncio.get_running_loop().call_soon(callback)
        assert "use 'async with'" in str(await errors.get())

    asyncio.run(main())
    assert_free(lock)


@pytest.mark.parametrize("held", [False, True])
def test_with_in_a_thread_of_no_loop(lock: AsyncLock, *, held: bool) -> None:
    def plain() -> None:
        for enter in ways_in(lock):
            with pytest.raises(
                WrongEventLoop, match=r"anyio.to_thread.run_sync"
            ) as info:
                enter()
            assert "make_lock('thread')" in str(info.value)

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, plain)
        await asyncio.to_thread(plain)

    if held:
        assert lock.try_acquire()
    plain()
    thread = threading.Thread(target=plain)
    thread.start()
    thread.join()
    asyncio.run(main())
    if held:
        lock.release()
    assert_free(lock)


def test_a_worker_of_another_loop(backend: Backend, lock: AsyncLock) -> None:
    def in_thread() -> None:
        for enter in (lock, lock.hold(60)):
            with pytest.raises(WrongEventLoop, match="another event loop"), enter:
                pytest.fail("two loops in the lock")

    async def other_loop() -> None:
        await in_worker(in_thread)

    def in_other_loop() -> None:
        run(backend, other_loop)

    async def wait() -> None:
        async with lock:
            pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            tasks.start_soon(wait)
            await until_waiting(lock)
            await in_worker(in_other_loop)

    run(backend, main)
    assert_free(lock)
