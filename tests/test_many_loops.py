"""Loops that follow one another, or run side by side.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from anylock import WrongEventLoop, make_lock
from backends import ASYNCIO, EAGER, TRIO, UVLOOP, require, run, start_guest
from staging import (
    PATIENCE,
    Section,
    all_done,
    assert_at_rest,
    enter,
    in_thread,
    queued,
    usable,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anylock import LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def test_one_lock_for_loops_in_turn(kind: LockKind) -> None:
    """Line 6: made before any of them, and contended in each."""
    lock = make_lock(kind)
    section = Section()

    async def one() -> None:
        for _ in range(5):
            async with lock:
                with section:
                    await anyio.lowlevel.checkpoint()

    backends = [b for b in (ASYNCIO, TRIO, UVLOOP, EAGER, ASYNCIO, TRIO) if usable(b)]
    for backend in backends:
        run(backend, all_done, one, one, one)
        assert_at_rest(lock)
    assert section.count == 15 * len(backends)
    assert section.overlaps == 0


@pytest.mark.parametrize("state", ["held", "queued", "held by trio"])
def test_two_loops_contend_for_an_async_lock(state: str) -> None:
    """Line 7: the offender is told, and nobody hangs."""
    lock = make_lock("async", name="shared")
    holds, leave = threading.Event(), threading.Event()
    section = Section()

    async def holder() -> None:
        async with lock:
            if state != "queued":
                holds.set()
            with section:
                await anyio.to_thread.run_sync(leave.wait)

    async def waiter() -> None:
        await queued(lock)
        holds.set()

    async def queue_up() -> None:
        async with lock:
            pass

    async def offend() -> None:
        with pytest.raises(WrongEventLoop, match="shared"):
            async with lock:
                pass
        with pytest.raises(WrongEventLoop, match="shared"):
            async with lock.hold(PATIENCE):
                pass
        assert not lock.try_acquire()

    rightful = (holder, queue_up, waiter) if state == "queued" else (holder,)
    backend = TRIO if state == "held by trio" else ASYNCIO
    require(backend)
    with in_thread(lambda: run(backend, all_done, *rightful)):
        assert holds.wait(PATIENCE)
        try:
            asyncio.run(offend())
        finally:
            leave.set()
    assert section.count == 1
    assert_at_rest(lock)


def test_granted_in_a_loop_that_stands_still() -> None:
    """It may go on: the lock is neither taken from it nor waited for elsewhere."""
    lock = make_lock("async", name="shared")
    order: list[str] = []

    async def use() -> None:
        async with lock:
            order.append("inside")

    async def offend() -> None:
        with pytest.raises(WrongEventLoop, match="shared"):
            await use()

    async def hold() -> asyncio.Task[None]:
        await lock.acquire()
        task = asyncio.create_task(use())
        await queued(lock)
        return task

    still = asyncio.new_event_loop()
    task = still.run_until_complete(hold())
    lock.release()
    order.append("granted")
    asyncio.run(offend())
    still.run_until_complete(task)
    still.close()
    assert order == ["granted", "inside"]
    assert_at_rest(lock)


@contextmanager
def task_elsewhere() -> Generator[Callable[[Callable[[], Any]], None]]:
    """A task of another loop and thread, amid its step; it runs what it is given.

    It passes coroutine functions the time of day: they are awaited.
    """
    jobs: queue.Queue[Callable[[], Any] | None] = queue.Queue()
    done: queue.Queue[BaseException | None] = queue.Queue()

    async def outcome(job: Callable[[], Any]) -> BaseException | None:
        try:
            await job()
        except BaseException as error:  # noqa: BLE001 - raised again by `give`
            return error
        return None

    async def main() -> None:
        done.put(None)
        while (job := jobs.get()) is not None:
            done.put(await outcome(job))

    def give(job: Callable[[], Any]) -> None:
        jobs.put(job)
        error = done.get(timeout=PATIENCE)
        if error is not None:
            raise error

    with in_thread(lambda: asyncio.run(main())):
        done.get(timeout=PATIENCE)
        try:
            yield give
        finally:
            jobs.put(None)


def test_loops_that_have_nothing_to_do_with_an_async_lock() -> None:
    """Line 7 the other way round: no error because some other loop runs as well."""

    async def main() -> None:
        section = Section()

        async def one() -> None:
            async with lock:
                with section:
                    await asyncio.sleep(0)

        for _ in range(3):
            lock = make_lock("async")
            await all_done(one, one, one)
        assert section.count == 9

    with task_elsewhere():
        asyncio.run(main())


@bridged
def test_tasks_of_two_loops_are_told_apart(kind: LockKind) -> None:
    """Line 14: whoever happened to run when another one acquired holds nothing."""
    lock = make_lock(kind)

    async def want() -> None:
        coroutine = enter(lock)
        try:
            coroutine.send(None)
            assert waiting(lock) == 1
        finally:
            coroutine.close()

    async def main() -> None:
        async with lock:
            give(want)

    with task_elsewhere() as give:
        asyncio.run(main())
    assert_at_rest(lock)


def test_trio_as_a_guest_of_asyncio(trio: Any, kind: LockKind) -> None:
    """Two libraries take turns in one thread, and a lock between them."""
    lock = make_lock(kind)
    section = Section()

    async def of_trio() -> None:
        for _ in range(20):
            async with lock:
                with section:
                    await trio.lowlevel.checkpoint()

    async def of_asyncio() -> None:
        for _ in range(20):
            async with lock:
                with section:
                    await asyncio.sleep(0)

    async def guest() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(of_trio)

    async def main() -> None:
        over = start_guest(trio, guest)
        if kind != "async":  # that is of one event loop
            await asyncio.gather(of_asyncio(), of_asyncio())
        (await asyncio.wait_for(over, PATIENCE)).unwrap()

    asyncio.run(main())
    assert section.count == (60 if kind == "async" else 100)
    assert section.overlaps == 0
    assert_at_rest(lock)
