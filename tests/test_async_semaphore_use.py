"""AsyncSemaphore beside the hot path: release, loops, threads, and waiting in vain."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import pickle
from functools import partial
from itertools import product
from typing import Any

import anyio
import anyio.to_thread
import pytest

from anylock import (
    AsyncBoundedSemaphore,
    AsyncSemaphore,
    LockError,
    Semaphore,
    SemaphoreOverReleased,
    WouldDeadlock,
    WrongEventLoop,
    make_semaphore,
)
from backends import ASYNCIO, Backend, run
from permits import Room, assert_at_rest, queued, waiting
from staging import PATIENCE, all_done, in_thread, until_in_task

# Release


def test_release_makes_permits() -> None:
    semaphore = AsyncSemaphore(0)
    semaphore.release()
    semaphore.release(10**9)
    assert semaphore.value == 10**9 + 1
    for n in (0, -1):
        with pytest.raises(ValueError, match="one or more"):
            semaphore.release(n)
    with pytest.raises(TypeError, match="an int"):
        semaphore.release(1.0)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert semaphore.value == 10**9 + 1


def test_release_too_often(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(3, "pool")

    async def main() -> None:
        with pytest.raises(SemaphoreOverReleased, match="'pool'") as info:
            semaphore.release()
        assert info.value.bound == 3
        for _ in range(3):
            await semaphore.acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(semaphore.acquire)
            await queued(semaphore)
            semaphore.release()
            # What was granted is not there to be released.
            with pytest.raises(SemaphoreOverReleased):
                semaphore.release(3)
            semaphore.release(2)
            with pytest.raises(SemaphoreOverReleased):
                await semaphore.__aexit__(None, None, None)
            assert semaphore.value == 2
        semaphore.release()
        with pytest.raises(SemaphoreOverReleased):
            async with semaphore:
                semaphore.release()

    run(backend, main)
    assert_at_rest(semaphore, 3)


def test_an_error_in_the_body(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(1)

    async def main() -> None:
        for hold in (semaphore, semaphore.hold(1)):
            with pytest.raises(OSError, match="body"):
                async with hold:
                    raise OSError("body")

    run(backend, main)
    assert_at_rest(semaphore, 1)


# Waiting for oneself


def test_a_task_that_waits_for_itself(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(1, "pool")

    async def main() -> None:
        for outer, inner in product((None, 60.0), (None, math.inf)):
            async with semaphore.hold(outer):
                with pytest.raises(WouldDeadlock, match=r"'pool'.*this task"):
                    await semaphore.hold(inner).__aenter__()
                assert await semaphore.acquire(timeout=0) is False

    run(backend, main)
    assert_at_rest(semaphore, 1)


@pytest.mark.parametrize(
    ("semaphore", "by_hand"),
    [
        (AsyncSemaphore(1), False),
        (AsyncBoundedSemaphore(1), True),
        (AsyncSemaphore(1), True),
    ],
    ids=["unbounded", "bounded by hand", "unbounded by hand"],
)
def test_another_task_may_release(
    backend: Backend, semaphore: AsyncSemaphore, *, by_hand: bool
) -> None:
    async def give() -> None:
        await queued(semaphore)
        semaphore.release()

    async def take() -> None:
        async with semaphore:
            await (semaphore.acquire() if by_hand else semaphore.__aenter__())

    async def main() -> None:
        await all_done(take, give)

    run(backend, main)
    assert semaphore.value == 1


# The loops


def loop_with_waiters(semaphore: AsyncSemaphore, number: int) -> Any:
    """Leave a loop behind, not closed, in which so many tasks are queued."""
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(semaphore.__aenter__()) for _ in range(number)]
    loop.run_until_complete(queued(semaphore, number))
    return loop, tasks


def forget(tasks: list[Any]) -> None:
    for task in tasks:
        task._log_destroy_pending = False
    tasks.clear()
    gc.collect()


@pytest.mark.parametrize("forgotten", ["at once", "in the end"])
def test_closed_with_waiters_granted_and_queued(
    backend: Backend, forgotten: str
) -> None:
    semaphore = AsyncBoundedSemaphore(2)
    assert semaphore.try_acquire()
    assert semaphore.try_acquire()
    loop, tasks = loop_with_waiters(semaphore, 4)
    semaphore.release()
    loop.close()
    semaphore.release()  # to one that is gone, and so to nobody
    if forgotten == "at once":
        forget(tasks)

    async def main() -> None:
        room = Room(semaphore)
        await all_done(*(partial(room.visit, number) for number in range(4)))
        assert room.most == 2

    run(backend, main)
    forget(tasks)
    assert_at_rest(semaphore, 2)


def test_waiters_of_a_closed_loop_are_no_reason_to_refuse(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(1)
    assert semaphore.try_acquire()
    loop, tasks = loop_with_waiters(semaphore, 3)
    loop.close()

    async def give() -> None:
        await until_in_task(lambda: waiting(semaphore) == 1)
        semaphore.release()

    async def main() -> None:
        await all_done(give, semaphore.acquire)

    run(backend, main)
    forget(tasks)
    semaphore.release()
    assert_at_rest(semaphore, 1)


def test_one_loop_after_the_other(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(2)

    async def main() -> None:
        room = Room(semaphore)
        await all_done(*(partial(room.visit, number) for number in range(5)))
        assert sorted(room.entered) == [0, 1, 2, 3, 4]

    for each in (backend, ASYNCIO, backend):
        run(each, main)
        assert_at_rest(semaphore, 2)


@pytest.mark.parametrize("queue", [False, True])
def test_two_loops_at_once(backend: Backend, *, queue: bool) -> None:
    semaphore = AsyncBoundedSemaphore(1)

    async def offend() -> None:
        with pytest.raises(WrongEventLoop, match=r"make_semaphore\('thread'\)"):
            await semaphore.__aenter__()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, semaphore:
            if queue:
                tasks.start_soon(Room(semaphore).visit, 1)
                await queued(semaphore)
            with in_thread(lambda: run(backend, offend)):
                pass
            assert waiting(semaphore) == queue

    run(backend, main)
    assert_at_rest(semaphore, 1)


def test_a_permit_kept_by_a_loop_that_is_over(backend: Backend) -> None:
    # Whoever comes later may wait for it: any task can release.
    semaphore = AsyncBoundedSemaphore(1)

    async def give() -> None:
        await queued(semaphore)
        semaphore.release()

    run(backend, semaphore.__aenter__)
    run(backend, all_done, semaphore.__aenter__, give)
    semaphore.release()
    assert_at_rest(semaphore, 1)


# Worker threads


def test_workers_and_tasks(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(2)
    room = Room(semaphore)
    threads: list[int] = []

    def in_worker(number: int) -> None:
        for _ in range(10):
            with semaphore if number % 2 else semaphore.hold(PATIENCE):
                threads.append(number)
        if semaphore.try_acquire():
            semaphore.release()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(anyio.to_thread.run_sync, in_worker, number)
                tasks.start_soon(room.visit, number)

    run(backend, main)
    assert sorted(threads) == sorted([*range(4)] * 10)
    assert sorted(room.entered) == [0, 1, 2, 3]
    assert_at_rest(semaphore, 2)


def test_with_where_it_cannot_be(backend: Backend) -> None:
    semaphore = AsyncSemaphore(1)

    async def main() -> None:
        with pytest.raises(WouldDeadlock, match="use 'async with'"):
            semaphore.__enter__()

    run(backend, main)
    with pytest.raises(WrongEventLoop, match=r"make_semaphore\('thread'\)"):
        semaphore.__enter__()
    assert_at_rest(semaphore, 1)


# The small print


def test_small_print() -> None:
    semaphore = make_semaphore("async", 2, bounded=True, name="pool")
    assert isinstance(semaphore, AsyncBoundedSemaphore)
    assert isinstance(semaphore, Semaphore)
    assert (semaphore.kind, semaphore.name, semaphore.value) == ("async", "pool", 2)
    assert repr(semaphore).endswith("name='pool' [unlocked, value:2]>")
    assert semaphore.try_acquire()
    assert semaphore.try_acquire()
    assert repr(semaphore).endswith("name='pool' [locked]>")
    assert issubclass(SemaphoreOverReleased, LockError)
    assert issubclass(SemaphoreOverReleased, ValueError)
    for refused in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match=r"AsyncBoundedSemaphore.*make_semaphore"):
            refused(semaphore)
    with pytest.raises(ValueError, match="negative"):
        AsyncSemaphore(-1)
    with pytest.raises(TypeError, match="an int"):
        AsyncSemaphore(1.0)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
