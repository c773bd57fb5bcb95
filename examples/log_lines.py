"""Log lines that do not interleave, whoever writes them.

Each line is written piece by piece, as tracebacks and progress reports are. The lock
keeps its pieces together.

Run it as `python examples/log_lines.py [thread] [process] [asyncio] [trio]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from anylock import Lock, make_lock

WORKERS = 4
LINES = 25
PIECES = ("ask, ", "wait, ", "answer\n")


def write(path: Path, piece: str) -> None:
    """Append one piece to the log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(piece)


def log(lock: Lock, path: Path) -> None:
    """Write lines from a thread or a process."""
    for _ in range(LINES):
        with lock:
            for piece in PIECES:
                write(path, piece)
                time.sleep(0)  # others may run now


async def log_in_task(lock: Lock, path: Path) -> None:
    """Write lines from a task of asyncio or trio."""
    for _ in range(LINES):
        async with lock:
            for piece in PIECES:
                write(path, piece)
                await checkpoint()  # others may run now


def log_from(kind: str, path: Path) -> None:
    """Start threads or processes; these are given the lock when they are started."""
    lock = make_lock(kind, name=path.name)
    start = threading.Thread if kind == "thread" else multiprocessing.Process
    workers = [start(target=log, args=(lock, path)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


async def log_from_tasks(path: Path) -> None:
    """Start tasks in the event loop that runs this."""
    lock = make_lock("async", name=path.name)
    async with anyio.create_task_group() as tasks:
        for _ in range(WORKERS):
            tasks.start_soon(log_in_task, lock, path)


def whole_lines(path: Path) -> int:
    """Count the lines whose pieces are together."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return lines.count("".join(PIECES))


def main(*kinds: str) -> None:
    """Log from each kind of worker; threads, processes and asyncio by default."""
    for kind in kinds or ("thread", "process", "asyncio"):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "service.log")
            if kind in {"thread", "process"}:
                log_from(kind, path)
            else:
                anyio.run(log_from_tasks, path, backend=kind)
            print(f"{kind}: {whole_lines(path)} of {WORKERS * LINES} lines are whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
