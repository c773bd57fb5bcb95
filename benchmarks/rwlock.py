"""How read-write locks compare: python benchmarks/rwlock.py [--quick] [--json FILE].

The table is that of core.py, which says how to read it. Where reads and writes are
mixed, all do nine of the one and one of the other, over and over, and what is given is
the time of these ten. Peers are used as their documents show it.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Literal

from comparisons import timed
from report import Measurements, main
from rows import Contender, EventLoop, Row

Side = Literal["read", "write"]
SIDES: tuple[Side, ...] = ("read", "write")

PEERS = {
    None: ("fasteners.ReaderWriterLock", "readerwriterlock.RWLockFair"),
    "asyncio": ("aiorwlock.RWLock",),
}
"""Event loop, if any -> the peers that there are for it."""

SETUPS = {
    "fasteners.ReaderWriterLock": (
        "import fasteners\nlock = fasteners.ReaderWriterLock()"
    ),
    "readerwriterlock.RWLockFair": (
        "from readerwriterlock import rwlock\nlock = rwlock.RWLockFair()"
    ),
    "aiorwlock.RWLock": "import aiorwlock\nlock = aiorwlock.RWLock()",
}

ENTERED: dict[str, dict[Side, str]] = {
    "fasteners.ReaderWriterLock": {
        "read": "lock.read_lock()",
        "write": "lock.write_lock()",
    },
    "readerwriterlock.RWLockFair": {
        "read": "lock.gen_rlock()",
        "write": "lock.gen_wlock()",
    },
    "aiorwlock.RWLock": {"read": "lock.reader", "write": "lock.writer"},
}
"""What is entered by `with`, or `async with`; of ours it is `lock.read`."""


def contender(label: str, statement: str, loop: EventLoop | None) -> Contender:
    """Give a lock, and a statement in which `READ` and `WRITE` stand for its sides."""
    entered = ENTERED.get(label, {"read": "lock.read", "write": "lock.write"})
    for side in SIDES:
        with_ = "async with" if loop else "with"
        statement = statement.replace(side.upper(), f"{with_} {entered[side]}:")
    setup = SETUPS.get(label, f"from anylock import make_rwlock\nlock = {label}")
    if loop:
        setup += f"\nfrom {loop} import sleep"
    needs = (label.partition(".")[0],) if label in SETUPS else ()
    return Contender(label, setup, statement, needs)


def alone(side: Side, ours: str, what: str, loop: EventLoop | None = None) -> Row:
    """Give a row in which somebody enters one side, again and again."""
    kind = ours.split("'")[1]
    key = f"{side}-{kind}" if kind == loop or not loop else f"{side}-{kind}-{loop}"
    statement = f"{side.upper()}\n    pass"
    mine, *peers = (contender(each, statement, loop) for each in (ours, *PEERS[loop]))
    return Row(key, f"{side}: {what}", mine, tuple(peers), loop=loop)


def mixed(
    ours: str, what: str, body: str, tasks: int, loop: EventLoop | None = None
) -> Row:
    """Give a row in which many read nine times, and write once."""
    kind = ours.split("'")[1]
    statement = f"for _ in '123456789':\n    READ\n        {body}\nWRITE\n    {body}"
    mine, *peers = (contender(each, statement, loop) for each in (ours, *PEERS[loop]))
    key = f"mixed-{kind}-{f'{loop}-' if loop else ''}{tasks}"
    what = f"9 reads and a write: {what}"
    return Row(key, what, mine, tuple(peers), loop=loop, tasks=tasks)


THREADS, TASKS = "make_rwlock('thread')", "make_rwlock('async')"
PAUSE = "await sleep(0)"

ROWS = (
    *(alone(side, THREADS, "with, thread kind") for side in SIDES),
    *(
        alone(side, TASKS, "async with, async kind, asyncio", "asyncio")
        for side in SIDES
    ),
    *(
        alone(side, THREADS, "async with, thread kind, asyncio", "asyncio")
        for side in SIDES
    ),
    mixed(THREADS, "with, thread kind, 4 threads", "pass", 4),
    mixed(TASKS, "async with and a pause, async kind, 10 tasks", PAUSE, 10, "asyncio"),
    mixed(
        THREADS, "async with and a pause, thread kind, 10 tasks", PAUSE, 10, "asyncio"
    ),
)

MEASUREMENTS: Measurements = {each.key: partial(timed, each) for each in ROWS}

if __name__ == "__main__":
    sys.exit(main("anylock's read-write locks", MEASUREMENTS))
