"""Event loops, one after the other, and how they end."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import anyio

from anylock._soak.workers import Worker

if TYPE_CHECKING:
    from anylock._soak.plan import Loop
    from anylock._soak.workers import Crew


def run_loops(crew: Crew, loop: Loop) -> None:
    """Run event loops in this thread until the round is over."""
    doomed = loop.endings == "closed"
    workers = [Worker(crew, row, doomed=doomed) for row in loop.rows]
    while not crew.over:
        if doomed:
            _run_and_close(workers)
        else:
            cancelled = loop.endings == "cancelled"
            anyio.run(_run_to_the_end, workers, cancelled, backend=loop.library)


async def _run_to_the_end(workers: list[Worker], cancelled: bool) -> None:  # noqa: FBT001 - anyio.run passes no keywords
    first = workers[0]
    patience = first.random.random() / 10 if cancelled else None
    with anyio.move_on_after(patience) as scope:
        async with anyio.create_task_group() as tasks:
            for worker in workers:
                tasks.start_soon(worker.work_in_task)
    if scope.cancelled_caught:
        first.row.suffers("loop cancelled")


def _run_and_close(workers: list[Worker]) -> None:
    """Close an event loop while its tasks wait, or were granted the lock."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    tasks = [loop.create_task(worker.work_in_task()) for worker in workers]
    loop.run_until_complete(asyncio.sleep(workers[0].random.random() / 50))
    loop.close()
    # A grant goes on to the next when nothing refers to its task any more.
    del tasks, loop
    gc.collect()
    workers[0].row.suffers("loop closed")
