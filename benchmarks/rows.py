"""What a row of a table is, and how one is written down."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

EventLoop = Literal["asyncio", "trio"]


@dataclass(frozen=True)
class Target:
    """What a row should reach.

    Args:
        bound: The limit.
        of: Whether the ratio to the peer is limited, or our own value.
        at_least: Whether the limit is a lower one.
    """

    bound: float
    of: Literal["ratio", "ours"] = "ratio"
    at_least: bool = False

    def __str__(self) -> str:
        """Give it as the design writes it."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


@dataclass(frozen=True)
class Contender:
    """A lock, or something of its family, and what is done with it.

    Args:
        label: What the table calls it.
        setup: Statements that leave it in a variable `lock`.
        statement: What is timed.
        needs: The modules that must be installed for it.
        finish: What follows after the last round, so that nobody is left waiting.
    """

    label: str
    setup: str
    statement: str
    needs: tuple[str, ...] = ()
    finish: str = ""


@dataclass(frozen=True)
class Row:
    """Ours against one peer or more, each pair in interpreters of its own.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        ours: Our lock.
        peers: Those it is compared with; the target is about the first.
        target: What was promised; None for a row that is only informative.
        loop: The event loop that runs, if any.
        tasks: How many tasks contend, or how many threads if there is no event loop.
    """

    key: str
    what: str
    ours: Contender
    peers: tuple[Contender, ...]
    target: Target | None = None
    loop: EventLoop | None = None
    tasks: int = 1


@dataclass(frozen=True)
class Mixture:
    """Threads and tasks that all want one lock, or the permits of one semaphore.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        ours: Our lock.
        peers: Those it is compared with; the targets are about the first.
        threads: How many threads there are.
        asyncio: How many tasks of asyncio, in a thread of their own.
        trio: How many tasks of trio, in a thread of their own.
        hold: Seconds for which each thread holds the lock; then the tasks, which
            do not, tell how long they waited.
        permits: How many may be inside at once.
        target: For the acquisitions per second of all, as a ratio.
        worst_wait: For the longest wait of a task in any run, in milliseconds.
    """

    key: str
    what: str
    ours: str
    peers: tuple[str, ...]
    threads: int
    asyncio: int = 0
    trio: int = 0
    hold: float = 0.0
    permits: int = 1
    target: Target | None = None
    worst_wait: Target | None = None


LONG_NAMES = {"FairAsyncRLock": "fair_async_rlock.FairAsyncRLock"}
"""Label -> the name that it abbreviates."""

WITH = "with lock:\n    pass"
ASYNC_WITH = "async with lock:\n    pass"
ACQUIRE = "lock.acquire()\nlock.release()"
AWAIT_ACQUIRE = "await lock.acquire()\nlock.release()"
TRY_FINALLY = "\ntry:\n    pass\nfinally:\n    lock.release()"
PAUSE_INSIDE = "async with lock:\n    await sleep(0)"


def made(label: str) -> tuple[str, tuple[str, ...]]:
    """Give the statements that make what is labelled so, and what must be installed.

    A label is the call that makes it: `make_lock('thread')` for ours,
    `asyncio.Semaphore(10)` for a peer, whose empty brackets are left out.
    """
    if label.startswith("make_"):
        factory, _, _ = label.partition("(")
        return f"from anylock import {factory}\nlock = {label}", ()
    name = LONG_NAMES.get(label, label)
    module, _, _ = name.partition(".")
    call = name if name.endswith(")") else f"{name}()"
    needs = () if module in sys.stdlib_module_names else (module,)
    return f"import {module}\nlock = {call}", needs


def using(
    label: str, statement: str, setup: str = "", *, finish: str = ""
) -> Contender:
    """Give a contender that executes `statement`."""
    make, needs = made(label)
    return Contender(label, f"{make}\n{setup}", statement, needs, finish)


def creating(label: str) -> Contender:
    """Give a contender that is made over and over."""
    make, needs = made(label)
    *imports, _ = make.splitlines()
    _, _, name_and_arguments = make.rpartition(" = ")
    name, bracket, arguments = name_and_arguments.partition("(")
    # Bound to a name of its own first: looking it up is not part of making it.
    setup = "\n".join([*imports, f"lock = {name}"])
    return Contender(label, setup, f"lock{bracket}{arguments}", needs)


def row(  # noqa: PLR0913 - an argument per column of the tables
    key: str,
    what: str,
    statement: str,
    labels: str,
    target: float | None = None,
    *,
    loop: EventLoop | None = None,
    tasks: int = 1,
    setup: str = "",
) -> Row:
    """Give a row in which all do the same; `labels` names ours first."""
    ours, *peers = (using(label, statement, setup) for label in labels.split())
    limit = None if target is None else Target(target)
    return Row(key, what, ours, tuple(peers), limit, loop, tasks)
