"""Threads and tasks on one lock, or one semaphore, of one make: another worker.

Everybody takes the lock, adds one to a counter that all share, and leaves; tasks give
their loop a turn afterwards. Counting begins when all are at it. Whoever asks how often
each of them came through sees both how much was done and whether one side was kept from
it. With a hold time, the threads sleep that long while they have the lock (which leaves
the GIL to others), and a single task measures how long it waits for each acquisition:
that is the case in which threads that come straight back can keep a task out for
seconds.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from operator import sub
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLING = 0.05
"""Seconds between when everybody has had the lock and when counting begins."""

STARTING = 2.0
"""Seconds after which counting begins though somebody never had the lock."""

PATIENCE = 30.0
"""Seconds after which a run counts as hung, and shows every stack."""

SIDES = ("threads", "asyncio tasks", "trio tasks")


@dataclass
class Crowd:
    """The workers of one run, what they share, and what became of them.

    Args:
        lock: Of any make.
        spare: Another one of that make.
        hold: Seconds for which threads hold it.
        go: Where all threads, and who measures, wait for one another.
        counts: Side -> for each of its workers a list of one number, its count.
    """

    lock: Any
    spare: Any
    hold: float
    go: threading.Barrier
    shared: int = 0
    stop: bool = False
    counts: dict[str, list[list[int]]] = field(
        default_factory=lambda: {side: [] for side in SIDES}
    )
    waits: list[float] = field(default_factory=list)
    error: BaseException | None = None

    def fail(self, failure: threading.ExceptHookArgs) -> None:
        """Take note that a worker broke, and let the others come to an end."""
        if isinstance(failure.exc_value, threading.BrokenBarrierError):
            return  # somebody else broke before
        self.error = self.error or failure.exc_value
        self.go.abort()
        # At once: who broke while it had the lock keeps the others for ever.
        traceback.print_exception(failure.exc_value)
        self.stop = True

    def counter(self, side: str) -> list[int]:
        """Give a worker what it counts with, in sight of who measures."""
        count = [0]
        self.counts[side].append(count)
        return count

    def snapshot(self) -> dict[str, list[int]]:
        """Give the counts of this moment."""
        return {
            side: [count for (count,) in counts]
            for side, counts in self.counts.items()
            if counts
        }

    def settle(self) -> None:
        """Wait until all are at it.

        While others keep the GIL busy an event loop takes up to half a second to get
        going, in which threads have the lock to themselves: millions of acquisitions
        that say nothing about threads and tasks.
        """
        end = perf_counter() + STARTING
        while not self.stop and perf_counter() < end:
            sleep(SETTLING)
            if all(count for counts in self.snapshot().values() for count in counts):
                break
        sleep(SETTLING)

    def thread(self, count: list[int]) -> None:
        """Take the lock over and over, as a thread."""
        lock, hold = self.lock, self.hold
        self.go.wait()
        while not self.stop:
            with lock:
                self.shared += 1
                if hold:
                    sleep(hold)
            count[0] += 1

    async def task(self, count: list[int], pause: Callable[[float], Any]) -> None:
        """Take the lock over and over, as a task."""
        lock = self.lock
        while not self.stop:
            async with lock:
                self.shared += 1
            count[0] += 1
            await pause(0)

    async def stopwatch(self, count: list[int], pause: Callable[[float], Any]) -> None:
        """Be the one task, and note how long it waits each time."""
        lock, waits = self.lock, self.waits
        while not self.stop:
            start = perf_counter()
            async with lock:
                waits.append(perf_counter() - start)
                self.shared += 1
            count[0] += 1
            await pause(0)

    async def warm_up(self) -> None:
        """Import what a lock imports on its first use, before anything is measured."""
        async with self.spare:
            pass

    def asyncio_loop(self, tasks: int) -> None:
        """Run so many tasks of asyncio, in this thread."""
        import asyncio

        async def main() -> None:
            worker = self.stopwatch if self.hold else self.task
            crowd = [
                asyncio.create_task(worker(self.counter(SIDES[1]), asyncio.sleep))
                for _ in range(tasks)
            ]
            self.go.wait()
            for task in crowd:
                await task

        asyncio.run(self.warm_up())
        asyncio.run(main())

    def trio_loop(self, tasks: int) -> None:
        """Run so many tasks of trio, in this thread."""
        import trio

        async def main() -> None:
            worker = self.stopwatch if self.hold else self.task
            async with trio.open_nursery() as nursery:
                for _ in range(tasks):
                    nursery.start_soon(worker, self.counter(SIDES[2]), trio.sleep)
                self.go.wait()

        trio.run(self.warm_up)
        trio.run(main)


def main() -> None:
    """Read a mixture from the command line and print what became of it as JSON."""
    mixture = json.loads(sys.argv[1])
    faulthandler.dump_traceback_later(PATIENCE + mixture["seconds"], exit=True)
    code = compile(mixture["setup"], f"<{mixture['label']}>", "exec")
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    exec(code, first)  # noqa: S102 - the text is that of rows.py
    exec(code, second)  # noqa: S102 - likewise
    loops = [mixture["asyncio"], mixture["trio"]]
    go = threading.Barrier(1 + mixture["threads"] + sum(map(bool, loops)))
    crowd = Crowd(first["lock"], second["lock"], mixture["hold"], go)
    threads = [
        threading.Thread(target=crowd.thread, args=(crowd.counter(SIDES[0]),))
        for _ in range(mixture["threads"])
    ]
    for tasks, loop in zip(loops, (crowd.asyncio_loop, crowd.trio_loop), strict=True):
        if tasks:
            threads.append(threading.Thread(target=loop, args=(tasks,)))
    threading.excepthook = crowd.fail
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):  # the cause is raised below
        go.wait()
    crowd.settle()
    start, before = perf_counter(), crowd.snapshot()
    sleep(mixture["seconds"])
    end, after = perf_counter(), crowd.snapshot()
    crowd.stop = True
    for thread in threads:
        thread.join()
    if crowd.error is not None:
        raise crowd.error
    permits = mixture["permits"]
    # Where several may be inside at once, updates may get lost, but no permits.
    if permits > 1 and crowd.lock.value != permits:
        message = f"{mixture['label']} came out with {crowd.lock.value} permits"
        raise RuntimeError(message)
    if permits == 1 and sum(map(sum, crowd.snapshot().values())) != crowd.shared:
        message = f"{mixture['label']} lost updates: it did not exclude"
        raise RuntimeError(message)
    json.dump(
        {
            "seconds": end - start,
            "counts": {
                side: list(map(sub, after[side], before[side])) for side in after
            },
            "waits": sorted(crowd.waits),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
