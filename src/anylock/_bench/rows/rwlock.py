"""Read-write locks: each side alone, and many that read more often than they write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.measure.crowds import Body, Throughput
from anylock._bench.rows.writing import Loop, named, row

if TYPE_CHECKING:
    from anylock._bench.plan import Row

THREADS = (
    "make_rwlock('thread') fasteners.ReaderWriterLock readerwriterlock.RWLockFair()"
)
TASKS = "make_rwlock('async') aiorwlock.RWLock(fast)"
THREADS_IN_TASKS = "make_rwlock('thread') aiorwlock.RWLock(fast)"
PROCESSES = "make_rwlock('machine') fasteners.InterProcessReaderWriterLock"

_ALONE: tuple[tuple[str, str, str, Loop | None], ...] = (
    ("thread", "with, thread kind", THREADS, None),
    ("machine", "with, machine kind", PROCESSES, None),
    ("asyncio", "async with, async kind, asyncio", TASKS, "asyncio"),
    (
        "thread-asyncio",
        "async with, thread kind, asyncio",
        THREADS_IN_TASKS,
        "asyncio",
    ),
)

# Tasks stay inside for a turn of their loop, or else no two would ever meet.
NINE_READS_AND_A_WRITE = """\
for _ in '123456789':
    {0} READ:
        {1}
{0} WRITE:
    board[1] += 1
    {1}"""
MOSTLY_READING = Body(
    NINE_READS_AND_A_WRITE.format("with", "pass"),
    NINE_READS_AND_A_WRITE.format("async with", "await pause(0)"),
)

RWLOCK: tuple[Row, ...] = (
    *(
        row(
            f"rwlock-{side}-{key}",
            f"rwlock: {what}, to {side}",
            f"{'async ' * bool(loop)}with {side.upper()}:\n    pass",
            labels,
            loop=loop,
        )
        for side in ("read", "write")
        for key, what, labels, loop in _ALONE
    ),
    *(
        Throughput(
            f"rwlock-mixed-{key}",
            f"rwlock: 9 reads and a write, {kind} kind",
            named(labels),
            MOSTLY_READING,
            side=side,
            numbers=(number,),
            pictured=False,
        )
        for key, kind, labels, side, number in (
            ("threads", "thread", THREADS, "threads", 4),
            ("asyncio", "async", TASKS, "asyncio tasks", 10),
            ("thread-asyncio", "thread", THREADS_IN_TASKS, "asyncio tasks", 10),
        )
    ),
)
