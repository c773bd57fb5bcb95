"""Locks, used by one thread or task that nobody disturbs."""

from __future__ import annotations

from anylock._bench.findings import Target
from anylock._bench.peers import using
from anylock._bench.rows.writing import (
    ACQUIRE,
    ACQUIRE_IN_TIME,
    ASYNC_HOLD,
    ASYNC_WITH,
    AWAIT_ACQUIRE,
    HOLD,
    IN_A_TRIO_THREAD,
    TRIO_THREADS,
    TRY_FINALLY,
    WITH,
    created,
    row,
    various,
)

# A lock that is held is waited for, until the wait is cancelled.
ENTER, LEAVE = "await lock.__aenter__()", "await lock.__aexit__(None, None, None)"
GIVE_UP = """\
waiter = create_task(enter())
await sleep(0)
waiter.cancel()
await wait([waiter])"""
ENTERING = """
from asyncio import create_task, sleep, wait
async def enter():
    async with lock:
        pass"""
GIVE_UP_TRIO = """\
async with open_nursery() as nursery:
    nursery.start_soon(enter)
    await sleep(0)
    await sleep(0)
    nursery.cancel_scope.cancel()"""
ENTERING_TRIO = ENTERING.replace(
    "asyncio import create_task, sleep, wait", "trio import open_nursery, sleep"
)


PLAIN = (
    # Those with a target first.
    row(
        "with-thread",
        "with, thread kind",
        WITH,
        "make_lock('thread') threading.Lock aiologic.Lock locklib.SmartLock "
        "readerwriterlock.RWLockWrite",
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
        "make_lock('async') asyncio.Lock anyio.Lock(fast) aiologic.Lock "
        "aiorwlock.RWLock",
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
    created(
        "create-thread",
        "make_lock('thread')",
        "threading.Lock",
        "aiologic.Lock",
        target=Target(1500, of="ours"),
    ),
    created(
        "create-thread-class",
        "anylock.ThreadLock",
        "threading.Lock",
        target=Target(1500, of="ours"),
    ),
    row(
        "with-debug-thread",
        "with, debug lock, thread kind",
        WITH,
        "make_lock('thread',debug=True) make_lock('thread')",
        Target(5000, of="ours"),
    ),
    row(
        "with-debug-process",
        "with, debug lock, process kind",
        WITH,
        "make_lock('process',debug=True) make_lock('process')",
        Target(5000, of="ours"),
    ),
    row(
        "async-with-debug-asyncio",
        "async with, debug lock, async kind, asyncio",
        ASYNC_WITH,
        "make_lock('async',debug=True) make_lock('async')",
        Target(5000, of="ours"),
        loop="asyncio",
    ),
    # And what users do as well.
    created("create-async", "make_lock('async')", "asyncio.Lock", "anyio.Lock"),
    created("create-process", "make_lock('process')", "multiprocessing.Lock"),
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
        "make_lock('async') asyncio.Lock anyio.Lock(fast)",
        loop="asyncio",
    ),
    row(
        "acquire-trio",
        "acquire, release, async kind, trio",
        AWAIT_ACQUIRE,
        "make_lock('async') trio.Lock anyio.Lock",
        loop="trio",
    ),
    various(
        "try-acquire-thread",
        "try_acquire, release, thread kind",
        using("make_lock('thread')", "lock.try_acquire()\nlock.release()"),
        using("threading.Lock", "lock.acquire(False)\nlock.release()"),
    ),
    various(
        "hold-thread",
        "hold(timeout=1), thread kind",
        using("make_lock('thread')", HOLD),
        using("threading.Lock", ACQUIRE_IN_TIME),
    ),
    various(
        "hold-process",
        "hold(timeout=1), process kind",
        using("make_lock('process')", HOLD),
        using("multiprocessing.Lock", ACQUIRE_IN_TIME),
    ),
    various(
        "hold-asyncio",
        "hold(timeout=1), async kind, asyncio",
        using("make_lock('async')", ASYNC_HOLD),
        using(
            "asyncio.Lock",
            "await wait_for(lock.acquire(), 1)" + TRY_FINALLY,
            "from asyncio import wait_for",
        ),
        using(
            "anyio.Lock(fast)",
            "with fail_after(1):\n    await lock.acquire()" + TRY_FINALLY,
            "from anyio import fail_after",
        ),
        loop="asyncio",
    ),
    various(
        "hold-trio",
        "hold(timeout=1), async kind, trio",
        using("make_lock('async')", ASYNC_HOLD),
        using(
            "trio.Lock",
            "with fail_after(1):\n    await lock.acquire()" + TRY_FINALLY,
            "from trio import fail_after",
        ),
        loop="trio",
    ),
    various(
        "cancelled-asyncio",
        "a wait that is cancelled, async kind, asyncio",
        *(
            using(label, GIVE_UP, ENTERING, start=ENTER, finish=LEAVE)
            for label in ("make_lock('async')", "asyncio.Lock", "anyio.Lock(fast)")
        ),
        loop="asyncio",
    ),
    various(
        "cancelled-trio",
        "a wait that is cancelled, async kind, trio",
        *(
            using(label, GIVE_UP_TRIO, ENTERING_TRIO, start=ENTER, finish=LEAVE)
            for label in ("make_lock('async')", "trio.Lock", "anyio.Lock")
        ),
        loop="trio",
    ),
    various(
        "cancelled-thread-asyncio",
        "a wait that is cancelled, thread kind, asyncio",
        using("make_lock('thread')", GIVE_UP, ENTERING, start=ENTER, finish=LEAVE),
        using("aiologic.Lock", GIVE_UP, ENTERING, start=ENTER, finish=LEAVE),
        loop="asyncio",
    ),
    various(
        "async-with-asyncio-beside-trio",
        "async with, async kind, asyncio, trio imported",
        using("make_lock('async')", ASYNC_WITH, "import trio"),
        using("asyncio.Lock", ASYNC_WITH, "import trio"),
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
    various(
        "async-with-process-asyncio",
        "async with, process kind, asyncio",
        using("make_lock('process')", ASYNC_WITH),
        using(
            "multiprocessing.Lock",
            "await to_thread(lock.acquire)" + TRY_FINALLY,
            "from asyncio import to_thread",
        ),
        loop="asyncio",
    ),
    various(
        "async-with-process-trio",
        "async with, process kind, trio",
        using("make_lock('process')", ASYNC_WITH),
        using("multiprocessing.Lock", IN_A_TRIO_THREAD, TRIO_THREADS),
        loop="trio",
    ),
    row(
        "control-thread",
        "control: with, threading.Lock against its other name",
        WITH,
        "threading.Lock _thread.allocate_lock",
    ),
)
