"""A library class that leaves the kind of lock to its users.

The class has one lock and one critical section, in two colours. Threads call `take`,
tasks call `take_in_task`, and both exclude one another, because a lock speaks both
colours. How far it reaches is the user's choice: "async" is enough where one event
loop and its worker threads share the stock, "thread" for all threads and event loops
of a process, "process" for several processes.

Run it as `python examples/library_class.py [async] [thread] [process]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

import anyio
from anyio import to_thread

from anylock import make_lock, synchronized

CUSTOMERS = 10


class Stock:
    """How much is left of something, kept in a file."""

    def __init__(self, path: Path, kind: str = "thread") -> None:
        """Open the stock.

        Args:
            path: The file; it has the number and nothing else.
            kind: Who takes from the stock at the same time; see `make_lock`.
        """
        self._path = path
        self._lock = make_lock(kind, name=path.name)

    @synchronized("_lock")
    def take(self, number: int) -> None:
        """Take away some, in a thread."""
        left = int(self._path.read_text(encoding="ascii"))
        self._path.write_text(str(left - number), encoding="ascii")

    @synchronized("_lock")
    async def take_in_task(self, number: int) -> None:
        """Take away some, in a task."""
        path = anyio.Path(self._path)
        left = int(await path.read_text(encoding="ascii"))
        await path.write_text(str(left - number), encoding="ascii")


def sell(stock: Stock) -> None:
    """Be a shop of its own, in a process of its own."""
    for _ in range(CUSTOMERS):
        stock.take(1)


async def sell_in_tasks(stock: Stock) -> None:
    """Serve customers in tasks and in worker threads, all at the same time."""
    async with anyio.create_task_group() as tasks:
        for _ in range(CUSTOMERS):
            tasks.start_soon(stock.take_in_task, 1)
            tasks.start_soon(to_thread.run_sync, stock.take, 1)


def main(*kinds: str, library: str = "asyncio") -> None:
    """Sell with each kind of lock; with all of them by default."""
    for kind in kinds or ("async", "thread", "process"):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "stock.txt")
            path.write_text("100", encoding="ascii")
            stock = Stock(path, kind)
            # The stock goes to another process with its lock, if that is made for it.
            shops = [multiprocessing.Process(target=sell, args=(stock,))]
            if kind != "process":
                shops.clear()
            for shop in shops:
                shop.start()
            anyio.run(sell_in_tasks, stock, backend=library)
            for shop in shops:
                shop.join()
            print(f"{kind}: {path.read_text(encoding='ascii')} of 100 left")


if __name__ == "__main__":
    main(*sys.argv[1:])
