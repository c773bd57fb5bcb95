"""What core.py compares: the rows of its table, as data."""

from __future__ import annotations

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
    """A lock and what is done with it.

    Args:
        label: What the table calls it.
        setup: Statements that leave the lock in a variable `lock`.
        statement: What is timed.
        needs: The distributions that must be installed for it.
    """

    label: str
    setup: str
    statement: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """Ours against one peer or more, each pair in interpreters of its own.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        ours: Our lock.
        peers: Those it is compared with; the target is about the first.
        target: From the design; None for a row that is only informative.
        loop: The event loop that runs, if any.
        tasks: How many tasks contend.
    """

    key: str
    what: str
    ours: Contender
    peers: tuple[Contender, ...]
    target: Target | None = None
    loop: EventLoop | None = None
    tasks: int = 1


MAKE = "from anylock import make_lock\nlock = make_lock({kind!r})"
LOCKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "thread": (MAKE.format(kind="thread"), ()),
    "process": (MAKE.format(kind="process"), ()),
    "async": (MAKE.format(kind="async"), ()),
    "threading.Lock": ("import threading\nlock = threading.Lock()", ()),
    "multiprocessing.Lock": (
        "import multiprocessing\nlock = multiprocessing.Lock()",
        (),
    ),
    "asyncio.Lock": ("import asyncio\nlock = asyncio.Lock()", ()),
    "trio.Lock": ("import trio\nlock = trio.Lock()", ("trio",)),
    "anyio.Lock": ("import anyio\nlock = anyio.Lock()", ("anyio",)),
    "aiologic.Lock": ("import aiologic\nlock = aiologic.Lock()", ("aiologic",)),
}
"""Label -> how to make it, what must be installed."""

WITH = "with lock:\n    pass"
ASYNC_WITH = "async with lock:\n    pass"
ACQUIRE = "lock.acquire()\nlock.release()"
AWAIT_ACQUIRE = "await lock.acquire()\nlock.release()"
TRY_FINALLY = "\ntry:\n    pass\nfinally:\n    lock.release()"
PAUSE_INSIDE = "async with lock:\n    await sleep(0)"


def using(label: str, statement: str, setup: str = "") -> Contender:
    """Give a contender of `LOCKS` that executes `statement`."""
    make, needs = LOCKS[label]
    return Contender(label, f"{make}\n{setup}", statement, needs)


def row(  # noqa: PLR0913 - an argument per column of the tables below
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


def contended(loop: EventLoop, tasks: int, peers: str) -> Row:
    """Give a row in which tasks hold the lock over a pause, each in its turn."""
    return row(
        f"contended-{loop}-{tasks}",
        f"contended, async kind, {loop}, {tasks} tasks",
        PAUSE_INSIDE,
        f"async {peers}",
        1.1,
        loop=loop,
        tasks=tasks,
        setup=f"from {loop} import sleep",
    )


# The rows of the design's section 5 that are about time per use.
TARGET_ROWS = (
    row(
        "with-thread",
        "with, thread kind",
        WITH,
        "thread threading.Lock aiologic.Lock",
        0.85,
    ),
    row(
        "with-process", "with, process kind", WITH, "process multiprocessing.Lock", 0.5
    ),
    row(
        "async-with-asyncio",
        "async with, async kind, asyncio",
        ASYNC_WITH,
        "async asyncio.Lock anyio.Lock aiologic.Lock",
        0.8,
        loop="asyncio",
    ),
    row(
        "async-with-trio",
        "async with, async kind, trio",
        ASYNC_WITH,
        "async trio.Lock anyio.Lock aiologic.Lock",
        1.0,
        loop="trio",
    ),
    contended("asyncio", 2, "asyncio.Lock anyio.Lock aiologic.Lock"),
    contended("asyncio", 100, "asyncio.Lock anyio.Lock aiologic.Lock"),
    contended("asyncio", 1000, "asyncio.Lock"),
    contended("trio", 2, "trio.Lock anyio.Lock aiologic.Lock"),
    contended("trio", 100, "trio.Lock anyio.Lock aiologic.Lock"),
    contended("trio", 1000, "trio.Lock"),
)

CREATION_ROWS = (
    Row(
        "create-thread",
        "creating, make_lock('thread')",
        Contender("thread", "from anylock import make_lock as lock", "lock('thread')"),
        (
            Contender("threading.Lock", "from threading import Lock as lock", "lock()"),
            Contender(
                "aiologic.Lock",
                "from aiologic import Lock as lock",
                "lock()",
                ("aiologic",),
            ),
        ),
        Target(1500, of="ours"),
    ),
    Row(
        "create-thread-class",
        "creating, ThreadLock()",
        Contender("thread", "from anylock import ThreadLock as lock", "lock()"),
        (Contender("threading.Lock", "from threading import Lock as lock", "lock()"),),
        Target(1500, of="ours"),
    ),
)

# Not in the design's table, but what users do as well.
FURTHER_ROWS = (
    row(
        "acquire-thread",
        "acquire, release, thread kind",
        ACQUIRE,
        "thread threading.Lock",
    ),
    row(
        "acquire-process",
        "acquire, release, process kind",
        ACQUIRE,
        "process multiprocessing.Lock",
    ),
    row(
        "acquire-asyncio",
        "acquire, release, async kind, asyncio",
        AWAIT_ACQUIRE,
        "async asyncio.Lock",
        loop="asyncio",
    ),
    row(
        "acquire-trio",
        "acquire, release, async kind, trio",
        AWAIT_ACQUIRE,
        "async trio.Lock",
        loop="trio",
    ),
    Row(
        "try-acquire-thread",
        "try_acquire, release, thread kind",
        using("thread", "lock.try_acquire()\nlock.release()"),
        (using("threading.Lock", "lock.acquire(False)\nlock.release()"),),
    ),
    Row(
        "hold-thread",
        "hold(timeout=1), thread kind",
        using("thread", "with lock.hold(timeout=1):\n    pass"),
        (using("threading.Lock", "lock.acquire(timeout=1)" + TRY_FINALLY),),
    ),
    Row(
        "hold-asyncio",
        "hold(timeout=1), async kind, asyncio",
        using("async", "async with lock.hold(timeout=1):\n    pass"),
        (
            using(
                "asyncio.Lock",
                "await wait_for(lock.acquire(), 1)" + TRY_FINALLY,
                "from asyncio import wait_for",
            ),
        ),
        loop="asyncio",
    ),
    Row(
        "async-with-asyncio-beside-trio",
        "async with, async kind, asyncio, trio imported",
        using("async", ASYNC_WITH, "import trio"),
        (using("asyncio.Lock", ASYNC_WITH, "import trio"),),
        loop="asyncio",
    ),
    row(
        "async-with-thread-asyncio",
        "async with, thread kind, asyncio",
        ASYNC_WITH,
        "thread aiologic.Lock asyncio.Lock",
        loop="asyncio",
    ),
    row(
        "async-with-thread-trio",
        "async with, thread kind, trio",
        ASYNC_WITH,
        "thread aiologic.Lock trio.Lock",
        loop="trio",
    ),
    row(
        "contended-thread-asyncio",
        "contended, thread kind, asyncio, 50 tasks",
        PAUSE_INSIDE,
        "thread aiologic.Lock asyncio.Lock",
        loop="asyncio",
        tasks=50,
        setup="from asyncio import sleep",
    ),
    row(
        "control-thread",
        "control: with, threading.Lock against itself",
        WITH,
        "threading.Lock threading.Lock",
    ),
    row(
        "control-asyncio",
        "control: contended, asyncio.Lock against itself, asyncio, 100 tasks",
        PAUSE_INSIDE,
        "asyncio.Lock asyncio.Lock",
        loop="asyncio",
        tasks=100,
        setup="from asyncio import sleep",
    ),
    Row(
        "async-with-process-asyncio",
        "async with, process kind, asyncio",
        using("process", ASYNC_WITH),
        (
            using(
                "multiprocessing.Lock",
                "await to_thread(lock.acquire)" + TRY_FINALLY,
                "from asyncio import to_thread",
            ),
        ),
        loop="asyncio",
    ),
)

TIMED_ROWS = (*TARGET_ROWS, *CREATION_ROWS, *FURTHER_ROWS)

SIZE_KEY = "size-thread"
SIZE_TARGET = Target(700, of="ours")
SIZED = CREATION_ROWS[0]

IMPORT_KEY = "import"
IMPORT_TARGET = Target(3, of="ours")
UNWANTED_TARGET = Target(0, of="ours")
UNWANTED = ("anyio", "asyncio", "multiprocessing", "trio")
"""What neither `import anylock` nor a thread lock may import."""

OUR_IMPORTS = ("import anylock", "import anylock; anylock.make_lock('thread')")
PEER_IMPORTS = (
    Contender("import threading", "", "import threading"),
    Contender("import asyncio", "", "import asyncio"),
    Contender("import aiologic", "", "import aiologic", ("aiologic",)),
)


@dataclass(frozen=True)
class Mixture:
    """Threads and tasks that all want one lock.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        threads: How many threads there are.
        asyncio: How many tasks of asyncio, in a thread of their own.
        trio: How many tasks of trio, in a thread of their own.
        hold: Seconds for which each thread holds the lock; then the tasks, which
            do not, tell how long they waited.
        peers: Those it is compared with; the targets are about the first.
        target: For the acquisitions per second of all, as a ratio.
        worst_wait: For the longest wait of a task in any run, in milliseconds.
    """

    key: str
    what: str
    threads: int
    asyncio: int = 0
    trio: int = 0
    hold: float = 0.0
    peers: tuple[str, ...] = ("aiologic.Lock",)
    target: Target | None = None
    worst_wait: Target | None = None


MIXTURES = (
    Mixture(
        "mixed-asyncio-trio",
        "mixed: 2 threads, 10 asyncio tasks, 10 trio tasks",
        threads=2,
        asyncio=10,
        trio=10,
        target=Target(3, at_least=True),
    ),
    Mixture(
        "mixed-asyncio",
        "mixed: 2 threads, 10 asyncio tasks",
        threads=2,
        asyncio=10,
        target=Target(3, at_least=True),
    ),
    Mixture(
        "wait-asyncio",
        "1 asyncio task under 2 threads that hold 0.5 ms",
        threads=2,
        asyncio=1,
        hold=0.0005,
        worst_wait=Target(50, of="ours"),
    ),
    Mixture(
        "wait-trio",
        "1 trio task under 2 threads that hold 0.5 ms",
        threads=2,
        trio=1,
        hold=0.0005,
        worst_wait=Target(50, of="ours"),
    ),
    Mixture(
        "mixed-threads",
        "2 threads only",
        threads=2,
        peers=("threading.Lock", "aiologic.Lock"),
    ),
)
