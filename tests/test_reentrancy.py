"""Signal handlers and finalizers that use the very lock whose use they interrupt."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from anylock import LockTimeout, make_lock
from interruptions import interrupt_at, run_points, still_works
from staging import PATIENCE, Section, all_done, enter, queued, until

if TYPE_CHECKING:
    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


@bridged
@pytest.mark.parametrize("holder", ["task", "thread"])
def test_handler_uses_the_lock_at_every_point(kind: LockKind, holder: str) -> None:
    """A handler may take and give back what it interrupts the use of.

    It waits a moment only: what the interrupted frame holds it can never have.
    """

    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock(kind)
        section = Section()

        def handler() -> None:
            if lock.try_acquire():
                section.update()
                lock.release()
            try:
                with lock.hold(0.0005):
                    section.update()
            except LockTimeout:
                pass

        async def one() -> None:
            async with lock:
                section.update()

        async def main() -> None:
            waiters = [asyncio.ensure_future(one()) for _ in range(2)]
            with interrupt_at(point, handler, where):
                if holder == "task":
                    async with lock:
                        await asyncio.sleep(0)
                        await asyncio.sleep(0)
                else:
                    with lock:
                        await asyncio.sleep(0)
                        await asyncio.sleep(0)
                await asyncio.wait_for(asyncio.gather(*waiters), PATIENCE)

        asyncio.run(main())
        assert section.count >= 2
        assert section.overlaps == 0
        still_works(lock)

    run_points(attempt, parks=False)


@bridged
def test_finalizer_uses_the_lock_amid_a_step(kind: LockKind) -> None:
    """The garbage collector runs finalizers wherever something is allocated."""

    class Finalized:
        def __init__(self, lock: Lock) -> None:
            self.lock = lock
            self.cycle = self

        def __del__(self) -> None:
            if self.lock.try_acquire():
                self.lock.release()
            runs.append(1)

    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock(kind)

        async def one() -> None:
            async with lock:
                Finalized(lock)
                await asyncio.sleep(0)

        async def main() -> None:
            with interrupt_at(point, gc.collect, where):
                await all_done(one, one, one)

        asyncio.run(main())
        still_works(lock)

    runs: list[int] = []
    gc.collect()
    gc.freeze()  # what is there already need not be looked at each time
    try:
        run_points(attempt, parks=False)
    finally:
        gc.unfreeze()
    gc.collect()
    assert len(runs) > 3


@bridged
def test_handler_releases_the_lock_while_the_loop_is_idle(kind: LockKind) -> None:
    """The waiter is of the loop that the handler interrupts, and asleep in `select`."""
    lock = make_lock(kind)
    main_thread = threading.get_ident()
    entered = threading.Event()
    calls = count()

    def idle() -> bool:
        frame = sys._current_frames()[main_thread]
        return frame.f_code.co_name == "select"

    def interrupted() -> bool:
        # Python runs no handler for a signal that comes just before it blocks, until
        # the next one. None of them wakes the loop.
        signal.pthread_kill(main_thread, signal.SIGUSR1)
        return entered.wait(0.001)

    def send() -> None:
        until(idle)
        until(interrupted)

    async def one() -> None:
        async with lock:
            entered.set()

    async def main() -> None:
        await enter(lock)
        task = asyncio.ensure_future(one())
        await queued(lock)
        await asyncio.gather(task, asyncio.to_thread(send))

    def handle(_number: int, _frame: object) -> None:
        if next(calls) == 0:
            lock.release()

    old = signal.signal(signal.SIGUSR1, handle)
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGUSR1, old)
    still_works(lock)
