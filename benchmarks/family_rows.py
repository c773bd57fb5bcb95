"""What family.py compares: the rows of its table, as data."""

from __future__ import annotations

from rows import (
    ASYNC_WITH,
    PAUSE_INSIDE,
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

WITH_TWICE = "with lock:\n    with lock:\n        pass"
ASYNC_WITH_TWICE = "async with lock:\n    async with lock:\n        pass"

# Two that do this wake each other by turns: who comes back from waiting can only find
# the other one waiting, because that notified before it gave the lock up. When both
# are through with their rounds, one of them still waits.
PING_PONG = "with lock:\n    lock.notify()\n    lock.wait()"
ASYNC_PING_PONG = "async with lock:\n    lock.notify()\n    await lock.wait()"
LAST_PING = "with lock:\n    lock.notify()"
ASYNC_LAST_PING = "async with lock:\n    lock.notify()"


def crowded(key: str, what: str, loop: EventLoop, tasks: int, labels: str) -> Row:
    """Give a row in which tasks stay inside over a pause, each in its turn."""
    return row(
        f"{key}-contended-{loop}-{tasks}",
        f"{what}: contended, async kind, {loop}, {tasks} tasks",
        PAUSE_INSIDE,
        labels,
        loop=loop,
        tasks=tasks,
        setup=f"from {loop} import sleep",
    )


def waking(label: str, loop: EventLoop | None) -> Contender:
    """Give a condition by which two wake each other."""
    if loop is None:
        return using(label, PING_PONG, finish=LAST_PING)
    statement = ASYNC_PING_PONG
    if label.startswith("aiologic."):  # its tasks await the condition itself
        statement = statement.replace("lock.wait()", "lock")
    return using(label, statement, finish=ASYNC_LAST_PING)


def woken(key: str, what: str, labels: str, loop: EventLoop | None = None) -> Row:
    """Give a row in which two wake each other by turns."""
    ours, *peers = (waking(label, loop) for label in labels.split())
    return Row(key, what, ours, tuple(peers), loop=loop, tasks=2)


# The rows with a target that are about time per use.
TARGET_ROWS = (
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
        "make_semaphore('async') "
        "asyncio.Semaphore anyio.Semaphore(1) aiologic.Semaphore",
        0.9,
        loop="asyncio",
    ),
    row(
        "rlock-thread",
        "rlock: with, thread kind",
        WITH,
        "make_rlock('thread') threading.RLock aiologic.RLock",
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
)

AT_LEAST_THRICE = Target(3, at_least=True)

# Nobody pauses inside, so those of one event loop are never there together: a second
# permit is for somebody of another thread. One permit shows what exclusion costs, and
# that it holds; two show what a semaphore is for.
MIXED = (
    ("rlock", "rlock:", "make_rlock('thread')", "aiologic.RLock", 1),
    (
        "semaphore",
        "semaphore of 1,",
        "make_semaphore('thread')",
        "aiologic.Semaphore",
        1,
    ),
    (
        "semaphore-2",
        "semaphore of 2,",
        "make_semaphore('thread',2)",
        "aiologic.Semaphore(2)",
        2,
    ),
)

MIXTURES = (
    *(
        Mixture(
            f"{key}-mixed-asyncio{'-trio' if trio else ''}",
            f"{what} mixed: 2 threads, 10 asyncio tasks"
            f"{f', {trio} trio tasks' if trio else ''}",
            ours,
            (peer,),
            threads=2,
            asyncio=10,
            trio=trio,
            permits=permits,
            target=AT_LEAST_THRICE,
        )
        for trio in (10, 0)
        for key, what, ours, peer, permits in MIXED
    ),
    *(
        Mixture(
            f"{member}-wait-asyncio",
            f"{member}: 1 asyncio task under 2 threads that hold 0.5 ms",
            f"make_{member}('thread')",
            (peer,),
            threads=2,
            asyncio=1,
            hold=0.0005,
        )
        for member, peer in (
            ("rlock", "aiologic.RLock"),
            ("semaphore", "aiologic.Semaphore"),
        )
    ),
    *(
        Mixture(
            f"{member}-mixed-threads",
            f"{member}: 2 threads only",
            f"make_{member}('thread')",
            (peer,),
            threads=2,
        )
        for member, peer in (
            ("rlock", "threading.RLock"),
            ("semaphore", "threading.Semaphore"),
        )
    ),
)

# No targets, but what users do as well.
SEMAPHORE_ROWS = (
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
    crowded(
        "semaphore-10",
        "semaphore of 10",
        "asyncio",
        100,
        "make_semaphore('async',10) "
        "asyncio.Semaphore(10) anyio.Semaphore(10) aiologic.Semaphore(10)",
    ),
    crowded(
        "semaphore-10",
        "semaphore of 10",
        "trio",
        100,
        "make_semaphore('async',10) "
        "trio.Semaphore(10) anyio.Semaphore(10) aiologic.Semaphore(10)",
    ),
    row(
        "semaphore-thread-asyncio",
        "semaphore: async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_semaphore('thread') aiologic.Semaphore asyncio.Semaphore",
        loop="asyncio",
    ),
    Row(
        "semaphore-process-asyncio",
        "semaphore: async with, process kind, asyncio",
        using("make_semaphore('process')", ASYNC_WITH),
        (
            using(
                "multiprocessing.Semaphore",
                "await to_thread(lock.acquire)\nlock.release()",
                "from asyncio import to_thread",
            ),
        ),
        loop="asyncio",
    ),
)

RLOCK_ROWS = (
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
    crowded(
        "rlock",
        "rlock",
        "asyncio",
        100,
        "make_rlock('async') FairAsyncRLock aiologic.RLock",
    ),
    row(
        "rlock-thread-asyncio",
        "rlock: async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_rlock('thread') aiologic.RLock FairAsyncRLock",
        loop="asyncio",
    ),
)


CONDITION_ROWS = (
    woken(
        "condition-thread",
        "condition: 2 threads wake each other, thread kind",
        "make_condition('thread') threading.Condition aiologic.Condition",
    ),
    woken(
        "condition-process",
        "condition: 2 threads wake each other, process kind",
        "make_condition('process') multiprocessing.Condition",
    ),
    woken(
        "condition-asyncio",
        "condition: 2 tasks wake each other, async kind, asyncio",
        "make_condition('async') asyncio.Condition anyio.Condition aiologic.Condition",
        "asyncio",
    ),
    woken(
        "condition-trio",
        "condition: 2 tasks wake each other, async kind, trio",
        "make_condition('async') trio.Condition anyio.Condition aiologic.Condition",
        "trio",
    ),
    woken(
        "control-condition",
        "control: 2 threads wake each other, threading.Condition against itself",
        "threading.Condition threading.Condition",
    ),
)

CREATION_ROWS = tuple(
    Row(
        f"create-{member}-{kind}",
        f"creating, {ours}",
        creating(ours),
        tuple(creating(peer) for peer in peers),
    )
    for member, kind, peers in (
        ("rlock", "thread", ("threading.RLock", "aiologic.RLock")),
        ("rlock", "async", ("FairAsyncRLock",)),
        ("semaphore", "thread", ("threading.Semaphore", "aiologic.Semaphore")),
        ("semaphore", "async", ("asyncio.Semaphore",)),
        ("condition", "thread", ("threading.Condition", "aiologic.Condition")),
        ("condition", "async", ("asyncio.Condition",)),
    )
    for ours in (f"make_{member}({kind!r})",)
)
