"""A walk through a tree while others change it: each level enters the same lock again.

`total` takes the lock and calls itself for every child, `move` takes it and calls
`resize`, which takes it as well because others call it by itself. All that is one
critical section, and only the outermost of them waits. A task owns the lock in the
same way, also where it calls `resize`, which uses `with`.

Run it as `python examples/walk_tree.py [thread] [asyncio] [trio]`.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import checkpoint

from anylock import Lock, make_rlock

WALKS = 20
WALKERS = 3


@dataclass
class Folder:
    """A folder with files of so many bytes, and with other folders."""

    size: int = 0
    folders: list[Folder] = field(default_factory=list["Folder"])


class Tree:
    """Folders, from which several walkers move bytes to and fro."""

    def __init__(self, lock: Lock) -> None:
        """Make a tree of 100 bytes.

        Args:
            lock: A re-entrant one.
        """
        self._lock = lock
        self.left = Folder(50)
        self.right = Folder(25, [Folder(10), Folder(15)])
        self.root = Folder(0, [self.left, Folder(0, [self.right])])

    def resize(self, folder: Folder, by: int) -> None:
        """Let a folder grow or shrink; by itself, or amid something larger."""
        with self._lock:
            folder.size += by

    def total(self, folder: Folder) -> int:
        """Walk through a folder and all that is in it, in a thread."""
        with self._lock:
            return folder.size + sum(map(self.total, folder.folders))

    def move(self, source: Folder, target: Folder, size: int) -> None:
        """Move bytes from one folder to another, in a thread."""
        with self._lock:
            self.resize(source, -size)
            time.sleep(0)  # others may run now
            self.resize(target, size)

    async def total_in_task(self, folder: Folder) -> int:
        """Walk through a folder and all that is in it, in a task."""
        async with self._lock:
            total = folder.size
            for child in folder.folders:
                await checkpoint()  # others may run now
                total += await self.total_in_task(child)
            return total

    async def move_in_task(self, source: Folder, target: Folder, size: int) -> None:
        """Move bytes from one folder to another, in a task."""
        async with self._lock:
            self.resize(source, -size)
            await checkpoint()  # others may run now
            self.resize(target, size)


def walk(tree: Tree, totals: list[int]) -> None:
    """Move a byte and walk, again and again, in a thread."""
    for _ in range(WALKS):
        tree.move(tree.left, tree.right, 1)
        totals.append(tree.total(tree.root))


async def walk_in_task(tree: Tree, totals: list[int]) -> None:
    """Move a byte and walk, again and again, in a task."""
    for _ in range(WALKS):
        await tree.move_in_task(tree.left, tree.right, 1)
        totals.append(await tree.total_in_task(tree.root))


def walk_in_threads(tree: Tree) -> list[int]:
    """Walk in some threads at the same time, and return what each walk found."""
    totals: list[int] = []
    walkers = [
        threading.Thread(target=walk, args=(tree, totals)) for _ in range(WALKERS)
    ]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join()
    return totals


async def walk_in_tasks(tree: Tree) -> list[int]:
    """Walk in some tasks at the same time, and return what each walk found."""
    totals: list[int] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(WALKERS):
            tasks.start_soon(walk_in_task, tree, totals)
    return totals


def report(who: str, totals: list[int]) -> None:
    """Tell how many walks found all that there is."""
    print(f"{who}: {totals.count(100)} of {len(totals)} walks found 100 bytes")


def main(*whos: str) -> None:
    """Walk in threads, and in tasks with locks of every kind; by default in asyncio."""
    for who in whos or ("thread", "asyncio"):
        if who == "thread":
            report(who, walk_in_threads(Tree(make_rlock("thread"))))
            continue
        for kind in ("async", "thread", "process"):
            tree = Tree(make_rlock(kind))
            report(f"{who}, {kind}", anyio.run(walk_in_tasks, tree, backend=who))


if __name__ == "__main__":
    main(*sys.argv[1:])
