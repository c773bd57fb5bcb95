"""Nobody starves, and nobody needs more threads than one for it.

What is counted here is turns, not time: a slow machine takes longer to the same.
"""

from __future__ import annotations

import _thread
import asyncio
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import make_lock
from backends import ASYNCIO, TRIO, Backend, require, run
from staging import (
    PATIENCE,
    Section,
    acquire,
    all_done,
    assert_at_rest,
    helpers,
    in_thread,
    queued,
    until,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def threads() -> int:
    """Count all threads, those included that `threading` knows nothing of.

    Compare for "at most": a helper of another test may just be ending.
    """
    return cast("int", vars(_thread)["_count"]())


@contextmanager
def hammered(lock: Lock, threads: int) -> Generator[Callable[[], int]]:
    """Have threads take the lock without pause; yields what counts their turns."""
    over = threading.Event()
    turns = [0] * threads

    def hammer(number: int) -> Callable[[], None]:
        def run() -> None:
            while not over.is_set():
                with lock:
                    time.sleep(0.0002)  # what it does under the lock
                    turns[number] += 1

        return run

    with ExitStack() as stack:
        for number in range(threads):
            stack.enter_context(in_thread(hammer(number)))
        until(lambda: all(turns))
        try:
            yield lambda: sum(turns)
        finally:
            over.set()


@bridged
def test_tasks_among_hammering_threads(backend: Backend, kind: LockKind) -> None:
    """A thread that releases and comes straight back does not overtake a task."""
    lock = make_lock(kind)
    overtaken: list[int] = []

    async def one(turns: Callable[[], int]) -> None:
        for _ in range(5):
            before = turns()
            async with lock:
                overtaken.append(turns() - before)
            await checkpoint()

    async def main() -> None:
        with hammered(lock, 3) as turns:
            await all_done(*[lambda: one(turns)] * 4)

    run(backend, main)
    assert len(overtaken) == 20
    # Each thread may be on its way to the lock when the helper sets out, and a few
    # more may pass before the helper runs for the first time. A lock that lets
    # threads barge in is overtaken by the thousand.
    assert max(overtaken) < 200
    assert_at_rest(lock)


@bridged
def test_threads_among_tasks_that_hand_on(backend: Backend, kind: LockKind) -> None:
    """Tasks that hand the lock to each other leave a gap now and then."""
    lock = make_lock(kind)
    had_turns = threading.Event()
    turns = 0

    def in_a_thread() -> None:
        for _ in range(10):
            use(lock)
        had_turns.set()

    async def one() -> None:
        nonlocal turns
        while not had_turns.is_set() and turns < 1_000_000:
            async with lock:
                turns += 1
                await checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(one)
            await queued(lock, 9)
            with in_thread(in_a_thread):
                await all_done(one)

    run(backend, main)
    assert had_turns.is_set()
    assert_at_rest(lock)


@bridged
def test_thread_beside_one_task_that_comes_straight_back(
    backend: Backend, kind: LockKind
) -> None:
    """A lone task hands on to nobody, and must not barge for ever either."""
    lock = make_lock(kind)
    had_turns = threading.Event()
    turns = 0

    def in_a_thread() -> None:
        for _ in range(10):
            use(lock)
        had_turns.set()

    async def main() -> None:
        nonlocal turns
        async with lock:
            pass
        with in_thread(in_a_thread):
            while not had_turns.is_set() and turns < 1_000_000:
                async with lock:
                    turns += 1
                    await checkpoint()

    run(backend, main)
    assert had_turns.is_set()
    assert_at_rest(lock)


def test_tasks_first_come_first_served(backend: Backend, kind: LockKind) -> None:
    async def main() -> None:
        lock = make_lock(kind)
        order: list[int] = []

        async def one(number: int) -> None:
            for _ in range(3):
                async with lock:
                    order.append(number)
                    await checkpoint()

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(one, number)
                await queued(lock, number + 1)
            lock.release()
        assert order[:10] == [*range(10)]
        if kind == "async":  # no gaps for threads: they take turns
            assert order == [*range(10)] * 3
        assert_at_rest(lock)

    run(backend, main)


def at_least(lock: Lock, number: int) -> bool:
    return waiting(lock) >= number


@bridged
def test_loops_first_come_first_served(kind: LockKind) -> None:
    """The order is that of one queue, whatever the loops are of."""
    require(TRIO)
    lock = make_lock(kind)
    order: list[int] = []
    section = Section()

    def one_loop(number: int) -> None:
        async def main() -> None:
            async with lock:
                with section:
                    order.append(number)
                    await checkpoint()

        run(TRIO if number % 2 else ASYNCIO, main)

    with ExitStack() as stack:
        acquire(lock)
        for number in range(6):
            stack.enter_context(in_thread(partial(one_loop, number)))
            until(partial(at_least, lock, number + 1))
        lock.release()
    assert order == [*range(6)]
    assert section.overlaps == 0
    assert_at_rest(lock)


def test_a_thousand_tasks_wait(backend: Backend, kind: LockKind) -> None:
    """Line 11: for one helper thread, and none of anyio's worker threads."""

    async def main() -> None:
        lock = make_lock(kind)
        section = Section()
        before = threads()

        async def one() -> None:
            async with lock:
                section.update()

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(one)
            await queued(lock, 1000)
            limiter = anyio.to_thread.current_default_thread_limiter()
            assert limiter.borrowed_tokens == 0
            assert threads() <= before + (kind != "async")
            lock.release()
        assert (section.count, section.overlaps) == (1000, 0)
        until(lambda: threads() <= before)
        assert_at_rest(lock)

    run(backend, main)


@bridged
def test_cancelled_wait_leaves_no_thread(backend: Backend, kind: LockKind) -> None:
    """Line 11: an executor's thread would take the lock, and nobody would hold it."""

    async def main() -> None:
        lock = make_lock(kind)
        before = threads()

        async def one() -> None:
            async with lock:
                raise AssertionError

        for _ in range(3):
            acquire(lock)
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(one)
                await queued(lock, 100)
                tasks.cancel_scope.cancel()
            # Nobody waits any more, so the helper ends although the lock is held.
            until(lambda: not helpers(lock))
            until(lambda: threads() <= before)
            assert lock.locked()
            lock.release()
            assert not lock.locked()
            assert_at_rest(lock)

    run(backend, main)


@bridged
def test_no_thread_while_tasks_hand_on(backend: Backend, kind: LockKind) -> None:
    """The holder is a task and will look after the others: no thread is needed."""

    async def main() -> None:
        lock = make_lock(kind)
        section = Section()
        before = threads()

        async def one() -> None:
            async with lock:
                section.update()

        async with anyio.create_task_group() as tasks, lock:
            for _ in range(10):
                tasks.start_soon(one)
            await queued(lock, 10)
            assert not helpers(lock)
            assert threads() <= before
        assert (section.count, section.overlaps) == (10, 0)
        assert_at_rest(lock)

    run(backend, main)


def test_worker_threads_and_tasks_share_an_async_lock(backend: Backend) -> None:
    """`with` in worker threads queues among the tasks of their loop."""

    async def main() -> None:
        lock = make_lock("async")
        section = Section()

        def in_worker() -> None:
            for _ in range(20):
                with lock:
                    section.update()
                with lock.hold(PATIENCE):
                    section.update()

        async def in_task() -> None:
            for _ in range(20):
                async with lock:
                    with section:
                        await checkpoint()

        async def worker() -> None:
            await anyio.to_thread.run_sync(in_worker)

        await all_done(in_task, worker, in_task, worker, worker)
        assert (section.count, section.overlaps) == (160, 0)
        assert_at_rest(lock)

    run(backend, main)


def test_cancelled_worker_threads_keep_no_async_lock(backend: Backend) -> None:
    async def main() -> None:
        lock = make_lock("async")
        ended = 0

        def in_worker() -> None:
            nonlocal ended
            try:
                with lock:
                    pass
            finally:
                ended += 1

        async def worker() -> None:
            await anyio.to_thread.run_sync(in_worker, abandon_on_cancel=True)

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(worker)
            await queued(lock, 3)
            tasks.cancel_scope.cancel()
        lock.release()
        with anyio.fail_after(PATIENCE):
            while ended < 3:  # their ends are seen by nobody else
                await asyncio.sleep(0) if backend.library == "asyncio" else None
                await checkpoint()
        assert_at_rest(lock)

    run(backend, main)
