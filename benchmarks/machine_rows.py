"""What machine.py compares: the rows of its table, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rows import WITH, Contender, Row, Target

FILE = "import tempfile\npath = tempfile.mkdtemp() + '/lock'\n"
"""Leaves the path of a lock file, in a folder of its own."""

OURS = "make_lock('machine', path=path)"
FAIR = "make_lock('machine', path=path, fair=True)"
TIMED = "make_lock('machine', path=path).hold(60)"
STANDARD = "multiprocessing.Lock()"
FILE_LOCKS = (
    "fasteners.InterProcessLock(path)",
    "portalocker.Lock(path)",
    "filelock.FileLock(path)",
)
"""At their defaults; the one that is quickest when free comes first."""


def at_path(call: str, before: str = "") -> Contender:
    """Give a lock that is made by that call, of a `path` if it needs one."""
    if call.startswith("make_lock"):
        setup = f"from anylock import make_lock\nlock = {call}"
        return Contender(call, before + setup, WITH)
    module, _, _ = call.partition(".")
    needs = () if module == "multiprocessing" else (module,)
    setup = f"import {module}\nlock = {call}"
    return Contender(call, before + setup, WITH, needs)


def on_file(call: str) -> Contender:
    """Give such a lock, on a file of its own."""
    return at_path(call, FILE)


@dataclass(frozen=True)
class Relay:
    """Processes that have one lock in turn.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        mode: What is measured: how long it takes from the release in one process to
            the entry in another; how long processes that come again and again wait at
            most; how much of a processor who waits takes.
        unit: Of that.
        ours: Our lock.
        peers: Those it is compared with; the target is about the first.
        target: What was promised, if anything.
        processes: How many there are.
        hold: Seconds for which each holds the lock.
    """

    key: str
    what: str
    mode: Literal["hand-off", "hammer", "idle"]
    unit: str
    ours: str
    peers: tuple[str, ...]
    target: Target | None = None
    processes: int = 2
    hold: float = 0.01


ROWS = (
    Row(
        "with-machine",
        "with, machine kind, free",
        on_file(OURS),
        (on_file(STANDARD),),
        Target(30),
    ),
    Row(
        "with-machine-file-locks",
        "with, machine kind, free, beside locks on files",
        on_file(OURS),
        tuple(map(on_file, FILE_LOCKS)),
        Target(0.15),
    ),
    Row(
        "with-machine-fair",
        "with, machine kind, free, fair=True",
        on_file(FAIR),
        (on_file(OURS),),
    ),
)

RELAYS = (
    Relay(
        "hand-off",
        "from the release in one process to the entry in another",
        "hand-off",
        "us",
        OURS,
        (STANDARD,),
        Target(2.5),
    ),
    Relay(
        "hand-off-file-locks",
        "likewise, beside locks on files",
        "hand-off",
        "us",
        OURS,
        ("filelock.FileLock(path)", *FILE_LOCKS[:2]),
        Target(0.01),
    ),
    Relay(
        "hand-off-timed",
        "likewise, to who waits 60 s at most, and to who queues up",
        "hand-off",
        "us",
        TIMED,
        (OURS, FAIR),
    ),
    Relay(
        "fair",
        "longest wait of 4 hammering processes that hold it 200 us, fair=True",
        "hammer",
        "ms",
        FAIR,
        (OURS, STANDARD),
        Target(20, "ours"),
        processes=4,
        hold=0.0002,
    ),
    Relay(
        "idle",
        "processor time of one process that waits",
        "idle",
        "ms/s",
        OURS,
        (STANDARD, *FILE_LOCKS),
        Target(0.1, "ours"),
    ),
    Relay(
        "idle-timed",
        "processor time of one process that waits 60 s at most",
        "idle",
        "ms/s",
        TIMED,
        (STANDARD, FILE_LOCKS[0]),
    ),
)
