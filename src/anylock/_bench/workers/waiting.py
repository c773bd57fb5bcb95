"""Many that wait for one lock, and then have it in turn or give up: a worker.

Somebody holds the lock while they come. When all of them wait, it is released, and
they have it one after the other; or all are cancelled. What is timed is both: how long
it takes until all wait, and until the last one is through.
"""

from __future__ import annotations

import statistics
import threading
import tracemalloc
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from anylock._bench.workers.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS_OF = (2000, 100)
"""Of few tasks there are several rounds, until so many have waited; of few threads."""

SETTLING = 0.05
"""Seconds that threads take to fall asleep, once they are about to wait."""


def os_threads() -> int:
    """Count the threads of this process, those that Python does not know of too."""
    known = Path("/proc/self/task")
    if known.exists():
        return len(list(known.iterdir()))
    return threading.active_count()


class Probe:
    """Notes what happens from when the first one comes to when the last one is gone."""

    def __init__(self, *, traced: bool) -> None:
        self._traced = traced
        self.seconds: list[float] = []
        self.helpers = 0
        self.bytes = 0

    def begin(self) -> None:
        """Nobody has come yet."""
        self._threads = os_threads()
        if self._traced:
            tracemalloc.start()
        self._began = perf_counter()

    def all_wait(self, threads: int = 0, idle: float = 0.0) -> None:
        """All wait; so many threads are theirs, and so many seconds were not needed."""
        self._waited = perf_counter() - self._began - idle
        if self._traced:
            self.bytes, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        self.helpers = max(self.helpers, os_threads() - self._threads - threads)
        self._began = perf_counter()

    def end(self) -> None:
        """All are gone."""
        self.seconds.append(self._waited + perf_counter() - self._began)

    def sample(self, waiters: int) -> dict[str, float]:
        """Say what was found, per waiter."""
        return {
            "microseconds": statistics.median(self.seconds) / waiters * 1e6,
            "helpers": self.helpers,
            "bytes": self.bytes / waiters,
        }


async def _wait(lock: Any) -> None:
    async with lock:
        pass


def in_asyncio(make: Callable[[], Any], task: dict[str, Any], probe: Probe) -> None:
    """Let tasks of asyncio wait."""
    import asyncio

    async def one_round(lock: Any) -> None:
        async with lock:
            probe.begin()
            tasks = [asyncio.create_task(_wait(lock)) for _ in range(task["waiters"])]
            for _ in range(3):  # after which all of them wait
                await asyncio.sleep(0)
            probe.all_wait()
            if task["cancel"]:
                for each in tasks:
                    each.cancel()
                await asyncio.wait(tasks)
        await asyncio.wait(tasks)
        probe.end()

    async def main() -> None:
        lock = make()
        await _wait(lock)
        for _ in range(task["rounds"]):
            await one_round(lock)

    asyncio.run(main())


def in_trio(make: Callable[[], Any], task: dict[str, Any], probe: Probe) -> None:
    """Let tasks of trio wait."""
    import trio
    from trio.testing import wait_all_tasks_blocked

    async def one_round(lock: Any) -> None:
        async with trio.open_nursery() as nursery, lock:
            probe.begin()
            for _ in range(task["waiters"]):
                nursery.start_soon(_wait, lock)
            await wait_all_tasks_blocked()
            probe.all_wait()
            if task["cancel"]:
                nursery.cancel_scope.cancel()
        probe.end()

    async def main() -> None:
        lock = make()
        await _wait(lock)
        for _ in range(task["rounds"]):
            await one_round(lock)

    trio.run(main)


def in_threads(make: Callable[[], Any], task: dict[str, Any], probe: Probe) -> None:
    """Let threads wait, which nobody can cancel."""
    lock = make()
    waiters: int = task["waiters"]
    came: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        came.put(None)
        with lock:
            pass

    for _ in range(task["rounds"]):
        with lock:
            probe.begin()
            threads = [threading.Thread(target=wait) for _ in range(waiters)]
            for thread in threads:
                thread.start()
            for _ in threads:
                came.get()
            sleep(SETTLING)
            probe.all_wait(waiters, idle=SETTLING)
        for thread in threads:
            thread.join()
        probe.end()


def measure(task: dict[str, Any]) -> dict[str, float]:
    """Let so many wait, and say what that costs."""
    code = compile(task["contender"]["setup"], "<setup>", "exec")

    def make() -> Any:
        names: dict[str, Any] = {}
        exec(code, names)  # noqa: S102 - the text is that of the rows
        return names["lock"]

    places = {"asyncio": in_asyncio, "trio": in_trio, None: in_threads}
    enough = ROUNDS_OF[task["loop"] is None]
    rounds = 1 if task["traced"] else max(enough // task["waiters"], 1)
    probe = Probe(traced=task["traced"])
    places[task["loop"]](make, {**task, "rounds": rounds}, probe)
    return probe.sample(task["waiters"])


if __name__ == "__main__":
    serve(measure)
