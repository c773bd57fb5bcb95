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


def crowded(
    member: str, loop: EventLoop, tasks: int, labels: str, within: str = ""
) -> Row:
    """Give a row in which tasks stay inside over a pause, each in its turn."""
    return row(
        f"{member}-contended-{loop}-{tasks}",
        f"{member}: contended, async kind{within}, {loop}, {tasks} tasks",
        PAUSE_INSIDE,
        labels,
        loop=loop,
        tasks=tasks,
        setup=f"from {loop} import sleep",
    )


def woken(what: str, key: str, labels: str, loop: EventLoop | None = None) -> Row:
    """Give a row in which two wake each other by turns, by one condition."""
    return row(
        key,
        what,
        ASYNC_PING_PONG if loop else PING_PONG,
        labels,
        loop=loop,
        tasks=2,
        finish=ASYNC_LAST_PING if loop else LAST_PING,
    )


# The rows of issue 3 that are about time per use.
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
MIXTURES = (
    *(
        Mixture(
            f"{key}-mixed-asyncio-trio",
            f"{what} mixed: 2 threads, 10 asyncio tasks, 10 trio tasks",
            ours,
            (peer,),
            threads=2,
            asyncio=10,
            trio=10,
            permits=permits,
            target=AT_LEAST_THRICE,
        )
        for key, what, ours, peer, permits in (
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
            peers,
            threads=2,
        )
        for member, peers in (
            ("rlock", ("threading.RLock", "aiologic.RLock")),
            ("semaphore", ("threading.Semaphore", "aiologic.Semaphore")),
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
        "semaphore",
        "asyncio",
        100,
        "make_semaphore('async',10) "
        "asyncio.Semaphore(10) anyio.Semaphore(10) aiologic.Semaphore(10)",
        within=" of 10",
    ),
    crowded(
        "semaphore",
        "trio",
        100,
        "make_semaphore('async',10) "
        "trio.Semaphore(10) anyio.Semaphore(10) aiologic.Semaphore(10)",
        within=" of 10",
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
        "rlock", "asyncio", 100, "make_rlock('async') FairAsyncRLock aiologic.RLock"
    ),
    row(
        "rlock-thread-asyncio",
        "rlock: async with, thread kind, asyncio",
        ASYNC_WITH,
        "make_rlock('thread') aiologic.RLock FairAsyncRLock",
        loop="asyncio",
    ),
)


def awaited(label: str) -> Contender:
    """Give a condition on which tasks wait by awaiting the condition itself."""
    return using(
        label,
        ASYNC_PING_PONG.replace("lock.wait()", "lock"),
        finish=ASYNC_LAST_PING,
    )


CONDITION_ROWS = (
    woken(
        "condition: 2 threads wake each other, thread kind",
        "condition-thread",
        "make_condition('thread') threading.Condition aiologic.Condition",
    ),
    woken(
        "condition: 2 threads wake each other, process kind",
        "condition-process",
        "make_condition('process') multiprocessing.Condition",
    ),
    woken(
        "condition: 2 tasks wake each other, async kind, asyncio",
        "condition-asyncio",
        "make_condition('async') asyncio.Condition anyio.Condition",
        "asyncio",
    ),
    woken(
        "condition: 2 tasks wake each other, async kind, trio",
        "condition-trio",
        "make_condition('async') trio.Condition anyio.Condition",
        "trio",
    ),
    woken(
        "control: 2 threads wake each other, threading.Condition against itself",
        "control-condition",
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
