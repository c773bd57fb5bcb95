"""Five workers, and a server that answers two requests at a time.

A semaphore with two permits lets two of them in, and the others wait their turn. It is
the same for threads, for processes, and for tasks of asyncio and trio.

Run it as `python examples/limit_requests.py [thread] [process] [asyncio] [trio]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from anylock import Semaphore, make_semaphore

if TYPE_CHECKING:
    from collections.abc import Generator
    from multiprocessing.synchronize import Barrier

LIMIT = 2
WORKERS = 5
REQUESTS = 4
SECONDS = 0.005


class Server:
    """Somebody who counts how many requests come at the same time."""

    def __init__(self) -> None:
        """Begin to count."""
        self._open = multiprocessing.Value("i", 0)  # in memory that processes share
        self._most = multiprocessing.Value("i", 0)

    @contextmanager
    def request(self) -> Generator[None]:
        """Be one request, from its beginning to its end."""
        with self._open.get_lock():
            self._open.value += 1
            self._most.value = max(self._most.value, self._open.value)
        yield
        with self._open.get_lock():
            self._open.value -= 1

    @property
    def most(self) -> int:
        """How many requests there have been at the same time."""
        most: int = self._most.value
        return most


def work(
    semaphore: Semaphore, server: Server, start: threading.Barrier | Barrier
) -> None:
    """Send requests, from a thread or a process."""
    start.wait()
    for _ in range(REQUESTS):
        with semaphore, server.request():
            time.sleep(SECONDS)  # the server thinks


async def work_in_task(semaphore: Semaphore, server: Server) -> None:
    """Send requests, from a task of asyncio or trio."""
    for _ in range(REQUESTS):
        async with semaphore:
            with server.request():
                await anyio.sleep(SECONDS)  # the server thinks


def work_in(kind: str, server: Server) -> None:
    """Start threads or processes; these get the semaphore when they are started."""
    in_threads = kind == "thread"
    semaphore = make_semaphore(kind, LIMIT)
    start = (threading if in_threads else multiprocessing).Barrier(WORKERS)
    make = threading.Thread if in_threads else multiprocessing.Process
    workers = [
        make(target=work, args=(semaphore, server, start)) for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


async def work_in_tasks(server: Server) -> None:
    """Start tasks in the event loop that runs this."""
    semaphore = make_semaphore("async", LIMIT)
    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(work_in_task, semaphore, server)


def main(*kinds: str) -> None:
    """Work with each kind of worker; threads, processes and asyncio by default."""
    for kind in kinds or ("thread", "process", "asyncio"):
        server = Server()
        if kind in {"thread", "process"}:
            work_in(kind, server)
        else:
            anyio.run(work_in_tasks, server, backend=kind)
        print(f"{kind}: {WORKERS} workers, at most {server.most} requests at a time")


if __name__ == "__main__":
    main(*sys.argv[1:])
