"""What core.py compares: the rows of its table, as data."""

from __future__ import annotations

from rows import (
    ACQUIRE,
    ASYNC_WITH,
    AWAIT_ACQUIRE,
    PAUSE_INSIDE,
    TRY_FINALLY,
    WITH,
    Contender,
    EventLoop,
    Mixture,
    Row,
    Target,
    creating,
    row,
    using,
)


def contended(loop: EventLoop, tasks: int, peers: str) -> Row:
    """Give a row in which tasks hold the lock over a pause, each in its turn."""
    return row(
        f"contended-{loop}-{tasks}",
        f"contended, async kind, {loop}, {tasks} tasks",
        PAUSE_INSIDE,
        f"make_lock('async') {peers}",
        1.1,
        loop=loop,
        tasks=tasks,
        setup=f"from {loop} import sleep",
    )


# The rows with a target that are about time per use.
TARGET_ROWS = (
    row(
        "with-thread",
        "with, thread kind",
        WITH,
        "make_lock('thread') threading.Lock aiologic.Lock",
        0.85,
    ),
    row(
        "with-process",
        "with, process kind",
        WITH,
        "make_lock('process') multiprocessing.Lock",
        0.5,
    ),
    row(
        "async-with-asyncio",
        "async with, async kind, asyncio",
        ASYNC_WITH,
        "make_lock('async') asyncio.Lock anyio.Lock aiologic.Lock",
        0.8,
        loop="asyncio",
    ),
    row(
        "async-with-trio",
        "async with, async kind, trio",
        ASYNC_WITH,
        "make_lock('async') trio.Lock anyio.Lock aiologic.Lock",
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
        creating("make_lock('thread')"),
        (creating("threading.Lock"), creating("aiologic.Lock")),
        Target(1500, of="ours"),
    ),
    Row(
        "create-thread-class",
        "creating, ThreadLock()",
        creating("anylock.ThreadLock"),
        (creating("threading.Lock"),),
        Target(1500, of="ours"),
    ),
)

# Not in the design's table, but what users do as well.
FURTHER_ROWS = (
    row(
        "acquire-thread",
        "acquire, release, thread kind",
        ACQUIRE,
        "make_lock('thread') threading.Lock",
    ),
    row(
        "acquire-process",
        "acquire, release, process kind",
        ACQUIRE,
        "make_lock('process') multiprocessing.Lock",
    ),
    row(
        "acquire-asyncio",
        "acquire, release, async kind, asyncio",
        AWAIT_ACQUIRE,
        "make_lock('async') asyncio.Lock",
        loop="asyncio",
    ),
    row(
        "acquire-trio",
        "acquire, release, async kind, trio",
        AWAIT_ACQUIRE,
        "make_lock('async') trio.Lock",
        loop="trio",
    ),
    Row(
        "try-acquire-thread",
        "try_acquire, release, thread kind",
        using("make_lock('thread')", "lock.try_acquire()\nlock.release()"),
        (using("threading.Lock", "lock.acquire(False)\nlock.release()"),),
    ),
    Row(
        "hold-thread",
        "hold(timeout=1), thread kind",
        using("make_lock('thread')", "with lock.hold(timeout=1):\n    pass"),
        (using("threading.Lock", "lock.acquire(timeout=1)" + TRY_FINALLY),),
    ),
    Row(
        "hold-asyncio",
        "hold(timeout=1), async kind, asyncio",
        using("make_lock('async')", "async with lock.hold(timeout=1):\n    pass"),
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
        using("make_lock('async')", ASYNC_WITH, "import trio"),
        (using("asyncio.Lock", ASYNC_WITH, "import trio"),),
        loop="asyncio",
    ),
    row(
        "async-with-thread-asyncio",
        "async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_lock('thread') aiologic.Lock asyncio.Lock",
        loop="asyncio",
    ),
    row(
        "async-with-thread-trio",
        "async with, thread kind, trio",
        ASYNC_WITH,
        "make_lock('thread') aiologic.Lock trio.Lock",
        loop="trio",
    ),
    row(
        "contended-thread-asyncio",
        "contended, thread kind, asyncio, 50 tasks",
        PAUSE_INSIDE,
        "make_lock('thread') aiologic.Lock asyncio.Lock",
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
        using("make_lock('process')", ASYNC_WITH),
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

MIXTURES = (
    Mixture(
        "mixed-asyncio-trio",
        "mixed: 2 threads, 10 asyncio tasks, 10 trio tasks",
        "make_lock('thread')",
        ("aiologic.Lock",),
        threads=2,
        asyncio=10,
        trio=10,
        target=Target(3, at_least=True),
    ),
    Mixture(
        "mixed-asyncio",
        "mixed: 2 threads, 10 asyncio tasks",
        "make_lock('thread')",
        ("aiologic.Lock",),
        threads=2,
        asyncio=10,
        target=Target(3, at_least=True),
    ),
    Mixture(
        "wait-asyncio",
        "1 asyncio task under 2 threads that hold 0.5 ms",
        "make_lock('thread')",
        ("aiologic.Lock",),
        threads=2,
        asyncio=1,
        hold=0.0005,
        worst_wait=Target(50, of="ours"),
    ),
    Mixture(
        "wait-trio",
        "1 trio task under 2 threads that hold 0.5 ms",
        "make_lock('thread')",
        ("aiologic.Lock",),
        threads=2,
        trio=1,
        hold=0.0005,
        worst_wait=Target(50, of="ours"),
    ),
    Mixture(
        "mixed-threads",
        "2 threads only",
        "make_lock('thread')",
        ("threading.Lock", "aiologic.Lock"),
        threads=2,
    ),
)
