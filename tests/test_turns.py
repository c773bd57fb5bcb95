"""Whose turn it is: nobody is passed over for good."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from staging import PATIENCE, enter, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

FACTORIES: Any = (make_lock, make_rlock, make_semaphore)
bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def hold(lock: Any, held: threading.Event, leave: threading.Event) -> None:
    with lock:
        held.set()
        assert leave.wait(PATIENCE)


def queued(lock: Any) -> int:
    return 0 if lock._bridge is None else len(lock._bridge._queue)


@bridged
@pytest.mark.parametrize("make", FACTORIES)
def test_a_thread_does_not_keep_the_place_of_its_task(
    kind: str, make: Callable[[Any], Any]
) -> None:
    """It blocks its own event loop, again and again, while that task cannot run."""
    lock = make(kind)
    got_in = threading.Event()
    overtakes = 0

    async def stranger() -> None:
        async with lock:
            got_in.set()

    async def one() -> None:
        async with lock:
            pass

    async def main() -> None:
        nonlocal overtakes
        held, leave = threading.Event(), threading.Event()

        with in_thread(lambda: hold(lock, held, leave)):
            assert held.wait(PATIENCE)
            task = asyncio.create_task(one())
            await asyncio.sleep(0)
            assert queued(lock) == 1
            with in_thread(lambda: asyncio.run(stranger())):
                until(lambda: queued(lock) == 2)
                leave.set()
                while not got_in.is_set():
                    with lock:
                        overtakes += not got_in.is_set()
                        assert overtakes < 20_000  # those of some tenures
        await task

    asyncio.run(main())


@bridged
@pytest.mark.parametrize("lost", [0, 1])
def test_a_permit_granted_to_a_closed_loop_is_had_by_who_waits(
    kind: Any, lost: int
) -> None:
    """Whether it was granted first or last, and however long the others stay."""
    factory: Any = make_semaphore
    semaphore = factory(kind, 2)
    loops = [asyncio.new_event_loop() for _ in range(4)]
    tasks: list[asyncio.Task[None]] = []
    holder = loops.pop()

    async def take_both() -> None:
        await semaphore.__aenter__()
        await semaphore.__aenter__()

    async def give_both() -> None:
        await semaphore.__aexit__(None, None, None)
        await semaphore.__aexit__(None, None, None)

    async def take_one() -> None:
        await semaphore.__aenter__()

    holder.run_until_complete(take_both())
    for number, loop in enumerate(loops):
        loop.set_exception_handler(lambda _loop, _context: None)
        tasks.append(loop.create_task(take_one()))
        loop.run_until_complete(asyncio.sleep(0))
        assert queued(semaphore) == number + 1
    holder.run_until_complete(give_both())
    until(lambda: queued(semaphore) == 1)  # a tenure may have ended on the way
    loops.pop(lost).close()
    tasks.pop(lost)
    for loop, task in zip(loops, tasks, strict=True):
        loop.run_until_complete(asyncio.wait_for(task, PATIENCE))
        loop.close()
    holder.close()
    assert not semaphore.try_acquire()


@bridged
@pytest.mark.parametrize("make", FACTORIES)
def test_who_is_left_behind_in_a_cohort_is_nobody(
    kind: str, make: Callable[[Any], Any]
) -> None:
    """As after a signal handler that raised amid a change of the queue."""
    lock = make(kind)

    async def one() -> None:
        async with lock:
            await asyncio.sleep(0)

    async def main() -> None:
        held, leave = threading.Event(), threading.Event()
        with in_thread(lambda: hold(lock, held, leave)):
            assert held.wait(PATIENCE)
            entering = enter(lock)
            entering.send(None)
            (ghost,) = lock._bridge._queue
            behind = asyncio.create_task(one())
            await asyncio.sleep(0)
            entering.close()
            # Whoever was to take it out of there was interrupted:
            lock._bridge._cohorts[ghost.thread][ghost] = None
            lock._bridge._cohorts[ghost.thread].move_to_end(ghost, last=False)
            leave.set()
            await asyncio.wait_for(behind, PATIENCE)

    asyncio.run(main())
    until(lambda: not lock.locked())
    assert lock.try_acquire()
    lock.release()
