"""The kind "machine", beside `multiprocessing.Lock` and locks on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.findings import Target
from anylock._bench.measure.costs import Idle
from anylock._bench.measure.crowds import Body, Throughput
from anylock._bench.peers import using
from anylock._bench.rows.crowds import SLOWLY_ALTERNATING, waited
from anylock._bench.rows.writing import (
    ACQUIRE,
    ACQUIRE_IN_TIME,
    ASYNC_WITH,
    HOLD,
    IN_A_TRIO_THREAD,
    TRIO_THREADS,
    WITH,
    created,
    named,
    row,
    various,
)

if TYPE_CHECKING:
    from anylock._bench.plan import Row


OURS = "make_lock('machine')"
FAIR = "make_lock('machine',fair=True)"
TIMED = "make_lock('machine').hold(60)"
STANDARD = "multiprocessing.Lock"
FILE_LOCKS = "fasteners.InterProcessLock portalocker.Lock filelock.FileLock"

SPINNING = Body.holding("spin(2e-4)", "")

MACHINE: tuple[Row, ...] = (
    row("with-machine", "with, machine kind, free", WITH, f"{OURS} {STANDARD}", 30),
    row(
        "with-machine-file-locks",
        "with, machine kind, free, beside locks on files",
        WITH,
        f"{OURS} {FILE_LOCKS}",
        0.15,
    ),
    row(
        "with-machine-fair",
        "with, machine kind, free, fair=True",
        WITH,
        f"{FAIR} {OURS}",
    ),
    row(
        "async-with-machine-asyncio",
        "async with, machine kind, free, asyncio",
        ASYNC_WITH,
        f"{OURS} filelock.AsyncFileLock",
        loop="asyncio",
    ),
    various(
        "async-with-machine-trio",
        "async with, machine kind, free, trio",
        using(OURS, ASYNC_WITH),
        using("fasteners.InterProcessLock", IN_A_TRIO_THREAD, TRIO_THREADS),
        loop="trio",
    ),
    row(
        "acquire-machine",
        "acquire, release, machine kind, free",
        ACQUIRE,
        f"{OURS} {STANDARD} {FILE_LOCKS}",
    ),
    various(
        "hold-machine",
        "hold(timeout=1), machine kind, free",
        using(OURS, HOLD),
        using(STANDARD, ACQUIRE_IN_TIME),
        using("fasteners.InterProcessLock", ACQUIRE_IN_TIME),
        using("filelock.FileLock", ACQUIRE_IN_TIME),
    ),
    created("create-machine", OURS, *FILE_LOCKS.split()),
    Throughput(
        "throughput-machine",
        "contended, machine kind, hold 200us",
        named(f"{OURS} {FAIR} {STANDARD} {FILE_LOCKS}"),
        SPINNING,
        side="processes",
        numbers=(1, 2, 4),
    ),
    waited(
        "hand-off-machine",
        "2 processes that hand it to each other, machine kind",
        f"{OURS} {STANDARD}",
        SLOWLY_ALTERNATING,
        {"processes": 2},
        None,
        Target(2.5),
    ),
    waited(
        "hand-off-machine-file-locks",
        "2 processes that hand it to each other, beside locks on files",
        f"{OURS} filelock.FileLock(default) {FILE_LOCKS}",
        SLOWLY_ALTERNATING,
        {"processes": 2},
        None,
        Target(0.01),
    ),
    waited(
        "hand-off-machine-timed",
        "2 processes that hand it to each other, and wait 60 s at most, or queue up",
        f"{TIMED} {OURS} {FAIR}",
        SLOWLY_ALTERNATING,
        {"processes": 2},
        None,
    ),
    waited(
        "fairness-machine",
        "4 processes that come straight back, hold 200us, machine kind, fair=True",
        f"{FAIR} {OURS} {STANDARD}",
        SPINNING,
        {"processes": 4},
        "processes",
        Target(20_000, of="ours"),
    ),
    Idle(
        "idle-machine",
        "processor time of one process that waits",
        named(f"{OURS} {STANDARD} {FILE_LOCKS}"),
        Target(0.1, of="ours"),
    ),
    Idle(
        "idle-machine-timed",
        "processor time of one process that waits 60 s at most",
        named(f"{TIMED} {STANDARD} fasteners.InterProcessLock"),
    ),
)
