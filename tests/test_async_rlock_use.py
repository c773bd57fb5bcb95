"""AsyncRLock between loops, and in worker threads."""

from __future__ import annotations

import asyncio
import pickle
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    AsyncLock,
    AsyncRLock,
    Lock,
    LockNotHeldError,
    LockTimeout,
    WrongEventLoop,
    make_rlock,
)
from backends import ASYNCIO, Backend, run
from reentries import assert_at_rest, depth, queued, waiting
from staging import Section, all_done, in_thread

in_worker = anyio.to_thread.run_sync


@pytest.fixture
def lock() -> AsyncRLock:
    return make_rlock("async", name="tree")


# Loops and threads


def test_closed_with_a_waiter_granted(backend: Backend, lock: AsyncRLock) -> None:
    async def hold() -> None:
        async with lock, lock:
            await queued(lock, 2)
        loop.stop()  # before the waiter that has just been granted it runs

    loop = asyncio.new_event_loop()
    holder = loop.create_task(hold())
    tasks: list[Any] = [loop.create_task(lock.__aenter__()) for _ in range(2)]
    loop.run_forever()
    assert holder.done()
    loop.close()
    assert lock.locked()

    async def main() -> None:
        async with lock, lock:
            assert depth(lock) == 2

    run(backend, main)
    for task in tasks:
        task._log_destroy_pending = False
    assert_at_rest(lock)


def test_one_loop_after_the_other(backend: Backend, lock: AsyncRLock) -> None:
    async def one() -> None:
        async with lock, lock:
            await checkpoint()

    for each in (backend, ASYNCIO, backend):
        run(each, all_done, one, one, one)
        assert_at_rest(lock)


@pytest.mark.parametrize("queue", [False, True])
def test_two_loops_at_once(backend: Backend, lock: AsyncRLock, *, queue: bool) -> None:
    async def offend() -> None:
        with pytest.raises(WrongEventLoop, match=r"make_rlock\('thread'\)"):
            await lock.acquire()
        with pytest.raises(LockNotHeldError):
            lock.release()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock, lock:
            if queue:
                tasks.start_soon(all_done, partial(enter_and_leave, lock))
                await queued(lock)
            with in_thread(lambda: asyncio.run(offend())):
                pass
            assert depth(lock) == 2
            assert waiting(lock) == queue

    run(backend, main)
    assert_at_rest(lock)


async def enter_and_leave(lock: AsyncRLock) -> None:
    async with lock:
        pass


def test_a_worker_enters_again(backend: Backend, lock: AsyncRLock) -> None:
    section = Section()

    def in_thread_of_its_own() -> None:
        for _ in range(5):
            with lock, lock.hold(1), section:
                assert lock.try_acquire()
                assert depth(lock) == 3
                anyio.from_thread.run(checkpoint)
                lock.release()

    async def in_task() -> None:
        for _ in range(5):
            async with lock, lock:
                with section:
                    await checkpoint()

    async def main() -> None:
        await all_done(
            in_task, in_task, *[partial(in_worker, in_thread_of_its_own)] * 2
        )

    run(backend, main)
    assert section.overlaps == 0
    assert section.count == 20
    assert_at_rest(lock)


def test_a_worker_is_not_its_host(backend: Backend, lock: AsyncRLock) -> None:
    def stranger() -> None:
        with pytest.raises(LockTimeout), lock.hold(0.001):
            pytest.fail("a task holds it")
        assert not lock.try_acquire()
        with pytest.raises(LockNotHeldError):
            lock.release()

    async def main() -> None:
        async with lock:
            await in_worker(stranger)
            assert depth(lock) == 1

    run(backend, main)
    assert_at_rest(lock)


def test_in_a_thread_of_no_loop(lock: AsyncRLock) -> None:
    with pytest.raises(WrongEventLoop, match=r"make_rlock\('thread'\)"):
        lock.__enter__()


def test_small_print(lock: AsyncRLock) -> None:
    assert isinstance(lock, Lock)
    assert not isinstance(lock, AsyncLock)
    assert (lock.kind, lock.name) == ("async", "tree")
    with pytest.raises(TypeError, match=r"AsyncRLock.*make_rlock\('process'\)"):
        pickle.dumps(lock)
