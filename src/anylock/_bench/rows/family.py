"""Semaphores, re-entrant locks and conditions.

Semaphores have one permit where nothing else is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.findings import Target
from anylock._bench.measure.crowds import Body, Mixture, Throughput
from anylock._bench.peers import using
from anylock._bench.rows.crowds import (
    EMPTY,
    MIXED_BODY,
    THREADS_SLEEP,
    contended,
    waited,
)
from anylock._bench.rows.writing import ASYNC_WITH, WITH, created, named, row, various

if TYPE_CHECKING:
    from anylock._bench.plan import Row


WITH_TWICE = "with lock:\n    with lock:\n        pass"
ASYNC_WITH_TWICE = "async with lock:\n    async with lock:\n        pass"

STATEMENTS = (
    row(
        "semaphore-thread",
        "semaphore: with, thread kind",
        WITH,
        "make_semaphore('thread') threading.Semaphore aiologic.Semaphore",
        0.3,
    ),
    row(
        "semaphore-process",
        "semaphore: with, process kind",
        WITH,
        "make_semaphore('process') multiprocessing.Semaphore",
        0.5,
    ),
    row(
        "semaphore-asyncio",
        "semaphore: async with, async kind, asyncio",
        ASYNC_WITH,
        "make_semaphore('async') asyncio.Semaphore anyio.Semaphore(fast) "
        "aiologic.Semaphore",
        0.9,
        loop="asyncio",
    ),
    row(
        "rlock-thread",
        "rlock: with, thread kind",
        WITH,
        "make_rlock('thread') threading.RLock aiologic.RLock locklib.SmartRLock",
        1.0,
    ),
    row(
        "rlock-process",
        "rlock: with, process kind",
        WITH,
        "make_rlock('process') multiprocessing.RLock",
        0.5,
    ),
    row(
        "rlock-asyncio",
        "rlock: async with, async kind, asyncio",
        ASYNC_WITH,
        "make_rlock('async') FairAsyncRLock aiologic.RLock",
        0.6,
        loop="asyncio",
    ),
    row(
        "bounded-thread",
        "bounded semaphore: with, thread kind",
        WITH,
        "make_semaphore('thread',bounded=True) "
        "threading.BoundedSemaphore aiologic.BoundedSemaphore",
    ),
    row(
        "bounded-process",
        "bounded semaphore: with, process kind",
        WITH,
        "make_semaphore('process',bounded=True) multiprocessing.BoundedSemaphore",
    ),
    row(
        "bounded-asyncio",
        "bounded semaphore: async with, async kind, asyncio",
        ASYNC_WITH,
        "make_semaphore('async',bounded=True) "
        "asyncio.BoundedSemaphore aiologic.BoundedSemaphore",
        loop="asyncio",
    ),
    row(
        "semaphore-trio",
        "semaphore: async with, async kind, trio",
        ASYNC_WITH,
        "make_semaphore('async') "
        "trio.Semaphore(1) anyio.Semaphore(1) aiologic.Semaphore",
        loop="trio",
    ),
    row(
        "semaphore-thread-asyncio",
        "semaphore: async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_semaphore('thread') aiologic.Semaphore asyncio.Semaphore",
        loop="asyncio",
    ),
    row(
        "semaphore-debug-thread",
        "semaphore: with, debug, thread kind",
        WITH,
        "make_semaphore('thread',debug=True) make_semaphore('thread')",
        Target(5000, of="ours"),
    ),
    row(
        "rlock-debug-thread",
        "rlock: with, debug, thread kind",
        WITH,
        "make_rlock('thread',debug=True) make_rlock('thread')",
        Target(5000, of="ours"),
    ),
    various(
        "semaphore-process-asyncio",
        "semaphore: async with, process kind, asyncio",
        using("make_semaphore('process')", ASYNC_WITH),
        using(
            "multiprocessing.Semaphore",
            "await to_thread(lock.acquire)\nlock.release()",
            "from asyncio import to_thread",
        ),
        loop="asyncio",
    ),
    row(
        "rlock-twice-thread",
        "rlock: with, inside of with, thread kind",
        WITH_TWICE,
        "make_rlock('thread') threading.RLock aiologic.RLock",
    ),
    row(
        "rlock-twice-process",
        "rlock: with, inside of with, process kind",
        WITH_TWICE,
        "make_rlock('process') multiprocessing.RLock",
    ),
    row(
        "rlock-twice-asyncio",
        "rlock: async with, inside of async with, async kind, asyncio",
        ASYNC_WITH_TWICE,
        "make_rlock('async') FairAsyncRLock aiologic.RLock",
        loop="asyncio",
    ),
    row(
        "rlock-trio",
        "rlock: async with, async kind, trio",
        ASYNC_WITH,
        # trio has no re-entrant lock: its plain one is there to compare with.
        "make_rlock('async') aiologic.RLock trio.Lock",
        loop="trio",
    ),
    row(
        "rlock-twice-trio",
        "rlock: async with, inside of async with, async kind, trio",
        ASYNC_WITH_TWICE,
        "make_rlock('async') aiologic.RLock",
        loop="trio",
    ),
    row(
        "rlock-thread-asyncio",
        "rlock: async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_rlock('thread') aiologic.RLock FairAsyncRLock",
        loop="asyncio",
    ),
    *(
        created(f"create-{member}-{kind}", f"make_{member}({kind!r})", *peers)
        for member, kind, peers in (
            ("rlock", "thread", ("threading.RLock", "aiologic.RLock")),
            ("rlock", "async", ("FairAsyncRLock",)),
            ("semaphore", "thread", ("threading.Semaphore", "aiologic.Semaphore")),
            ("semaphore", "async", ("asyncio.Semaphore",)),
            ("condition", "thread", ("threading.Condition", "aiologic.Condition")),
            ("condition", "async", ("asyncio.Condition",)),
        )
    ),
)

# Two that do this wake each other by turns: who comes back from waiting can only find
# the other one waiting, because that notified before it gave the lock up. When they are
# told to stop, the first one that notices lets the other one notice.
PING_PONG = "with lock:\n    board[1] += 1\n    lock.notify()\n    {}"
LAST_PING = "with lock:\n    lock.notify()"
WAKING = Body(
    PING_PONG.format("lock.wait()"),
    "async " + PING_PONG.format("await AWAITED"),
    finishes=(LAST_PING, f"async {LAST_PING}"),
)


def woken(key: str, what: str, side: str, labels: str) -> Throughput:
    """Give a row in which two wake each other."""
    return Throughput(
        key,
        f"{what}, {side}",
        named(labels),
        WAKING,
        side=side,
        numbers=(2,),
        pictured=False,
    )


CONDITIONS = (
    woken(
        "condition-thread",
        "condition: wake each other, thread kind",
        "threads",
        "make_condition('thread') threading.Condition aiologic.Condition",
    ),
    woken(
        "condition-process",
        "condition: wake each other, process kind",
        "threads",
        "make_condition('process') multiprocessing.Condition",
    ),
    woken(
        "condition-asyncio",
        "condition: wake each other, async kind",
        "asyncio tasks",
        "make_condition('async') asyncio.Condition anyio.Condition aiologic.Condition",
    ),
    woken(
        "condition-trio",
        "condition: wake each other, async kind",
        "trio tasks",
        "make_condition('async') trio.Condition anyio.Condition aiologic.Condition",
    ),
    woken(
        "control-condition",
        "control: wake each other, threading.Condition against itself",
        "threads",
        "threading.Condition threading.Condition(None)",
    ),
)

AT_LEAST_THRICE = Target(3, at_least=True)

# Nobody pauses inside, so those of one event loop are never there together: a second
# permit is for somebody of another thread. One permit shows what exclusion costs, and
# that it holds; two show what a semaphore is for.
_MIXED = (
    ("rlock", "rlock", "make_rlock('thread') aiologic.RLock", 1),
    ("semaphore", "semaphore of 1", "make_semaphore('thread') aiologic.Semaphore", 1),
    (
        "semaphore-2",
        "semaphore of 2",
        "make_semaphore('thread',2) aiologic.Semaphore(2)",
        2,
    ),
)

CROWDS: tuple[Row, ...] = (
    *(
        Throughput(
            f"{member}-threads",
            f"{member}: contended, thread kind",
            named(f"make_{member}('thread') {peers}"),
            EMPTY,
            side="threads",
            numbers=(2,),
            pictured=False,
        )
        for member, peers in (
            ("rlock", "threading.RLock aiologic.RLock"),
            ("semaphore", "threading.Semaphore aiologic.Semaphore"),
        )
    ),
    *(
        Mixture(
            f"{key}-mixed-asyncio{'-trio' if trio else ''}",
            f"{what}, mixed: 2 threads, 10 asyncio tasks{', 10 trio tasks' * trio}",
            named(labels),
            MIXED_BODY,
            permits,
            sides={
                "threads": 2,
                "asyncio tasks": 10,
                **({"trio tasks": 10} if trio else {}),
            },
            target=AT_LEAST_THRICE,
        )
        for trio in (True, False)
        for key, what, labels, permits in _MIXED
    ),
    *(
        waited(
            f"{member}-wait-asyncio",
            f"{member}: 1 asyncio task under 2 threads that hold 0.5 ms",
            f"make_{member}('thread') {peer}",
            THREADS_SLEEP,
            {"threads": 2, "asyncio tasks": 1},
            "asyncio tasks",
        )
        for member, peer in (
            ("rlock", "aiologic.RLock"),
            ("semaphore", "aiologic.Semaphore"),
        )
    ),
    contended(
        "semaphore-10-contended-asyncio",
        "semaphore of 10: contended, async kind",
        "make_semaphore('async',10) asyncio.Semaphore(10) anyio.Semaphore(10,fast) "
        "aiologic.Semaphore(10)",
        "asyncio tasks",
        permits=10,
    ),
    contended(
        "semaphore-10-contended-trio",
        "semaphore of 10: contended, async kind",
        "make_semaphore('async',10) trio.Semaphore(10) anyio.Semaphore(10) "
        "aiologic.Semaphore(10)",
        "trio tasks",
        permits=10,
    ),
    contended(
        "rlock-contended-asyncio",
        "rlock: contended, async kind",
        "make_rlock('async') FairAsyncRLock aiologic.RLock",
        "asyncio tasks",
    ),
)

FAMILY: tuple[Row, ...] = (*STATEMENTS, *CONDITIONS, *CROWDS)
