"""A shared counter: one critical section, whoever counts.

Run it as `python examples/shared_counter.py [thread] [process] [asyncio] [trio]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from ctypes import c_int
from multiprocessing.sharedctypes import RawValue

import anyio
from anyio.lowlevel import checkpoint

from anylock import Lock, make_lock

WORKERS = 4
TIMES = 250


def count(lock: Lock, counter: c_int) -> None:
    """Add 1 again and again, from a thread or a process."""
    for _ in range(TIMES):
        with lock:
            value = counter.value
            time.sleep(0)  # others may run now
            counter.value = value + 1


async def count_in_task(lock: Lock, counter: c_int) -> None:
    """Add 1 again and again, from a task of asyncio or trio."""
    for _ in range(TIMES):
        async with lock:
            value = counter.value
            await checkpoint()  # others may run now
            counter.value = value + 1


def count_in(kind: str, counter: c_int) -> None:
    """Start threads or processes; these are given the lock when they are started."""
    lock = make_lock(kind)
    start = threading.Thread if kind == "thread" else multiprocessing.Process
    workers = [start(target=count, args=(lock, counter)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


async def count_in_tasks(counter: c_int) -> None:
    """Start tasks in the event loop that runs this."""
    lock = make_lock("async")
    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(count_in_task, lock, counter)


def main(*kinds: str) -> None:
    """Count with each kind of worker; threads, processes and asyncio by default."""
    for kind in kinds or ("thread", "process", "asyncio"):
        counter = RawValue(c_int, 0)  # in memory that processes share
        if kind in {"thread", "process"}:
            count_in(kind, counter)
        else:
            anyio.run(count_in_tasks, counter, backend=kind)
        print(f"{kind}: {counter.value} of {WORKERS * TIMES}")


if __name__ == "__main__":
    main(*sys.argv[1:])
