"""A signal handler that raises in a `with` that finds a grant to a closed loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock
from interruptions import (
    Interrupted,
    interrupt,
    interrupt_at,
    not_between_instructions,
    run_points,
)
from staging import PATIENCE, all_done, granted, in_thread, until, waiting

if TYPE_CHECKING:
    from anylock import Lock, LockKind

pytestmark = not_between_instructions


def grant_to_a_closed_loop(lock: Lock, kept: list[Any], go: threading.Event) -> None:
    """Leave a task behind that was granted the lock, in front of a live one."""
    loop = asyncio.new_event_loop()

    async def granted_last() -> None:
        async with lock:
            pass

    async def main() -> None:
        async with lock:
            kept.append(loop.create_task(granted_last()))
            await asyncio.sleep(0)
            go.set()  # the live one queues up
            until(lambda: waiting(lock) == 2)
            loop.stop()  # before that task runs

    kept.append(loop.create_task(main()))
    loop.run_forever()
    until(lambda: granted(lock))  # by the live one, if it was amid queueing
    loop.close()
    kept[1]._log_destroy_pending = False


def usable(lock: Lock) -> None:
    async def one() -> None:
        async with lock.hold(PATIENCE):
            await asyncio.sleep(0)

    with in_thread(lambda: asyncio.run(all_done(one, one))):
        pass
    until(lambda: not lock.locked())


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_handler_raises_at_every_point(kind: LockKind) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock(kind)
        kept: list[Any] = []
        go = threading.Event()

        async def live() -> None:
            async with lock.hold(PATIENCE):
                await asyncio.sleep(0)

        def run_live() -> None:
            assert go.wait(PATIENCE)
            asyncio.run(live())

        with in_thread(run_live):
            with in_thread(lambda: grant_to_a_closed_loop(lock, kept, go)):
                pass
            try:
                with interrupt_at(point, interrupt, where), lock:
                    pass
            except Interrupted:
                pass
            usable(lock)

    run_points(attempt, parks=False)
