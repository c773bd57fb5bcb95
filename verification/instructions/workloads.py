"""What is counted, as data: what users of each kind do most, where nobody waits.

And, for the async kind, a lock that goes from one task to the other. The other kinds
give theirs away when some milliseconds are over: nobody can count on that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventLoop = Literal["asyncio", "trio"]


@dataclass(frozen=True)
class Contender:
    """A lock, or something of its family, and what is done with it.

    Args:
        label: The call that makes it.
        statement: What is counted.
        loop: The event loop that runs, if any.
        tasks: How many tasks want it.
    """

    label: str
    statement: str
    loop: EventLoop | None = None
    tasks: int = 1

    @property
    def setup(self) -> str:
        """Statements that leave it in a variable `lock`; there is a `path` for it."""
        name, _, _ = self.label.partition("(")
        module, _, _ = name.rpartition(".")
        imported = f"import {module}" if module else f"from anylock import {name}"
        # What is made over and over is not looked up each time.
        made = name if self.statement.startswith("lock(") else self.label
        return f"{imported}\nlock = {made}"


@dataclass(frozen=True)
class Workload:
    """Ours, and what it is measured by.

    Args:
        key: What it is called.
        ours: Our lock.
        peer: What the standard library, or trio, has in its place. It is counted to
            be shown beside ours, and is not compared.
    """

    key: str
    ours: Contender
    peer: Contender

    @property
    def loop(self) -> EventLoop | None:
        """The event loop that runs, if any."""
        return self.ours.loop


WITH = "with lock:\n    pass"
HOLD = "with lock.hold(timeout=1):\n    pass"
NOTIFY = "with lock:\n    lock.notify()"
ACQUIRE = "lock.acquire()\nlock.release()"
TRY_ACQUIRE = "lock.try_acquire()\nlock.release()"
ASYNC_WITH = f"async {WITH}"
ASYNC_HOLD = f"async {HOLD}"
ASYNC_NOTIFY = f"async {NOTIFY}"
ASYNC_ACQUIRE = f"await {ACQUIRE}"
HAND_OFF = "async with lock:\n    await sleep(0)"

THREAD = "make_lock('thread')"
PROCESS = "make_lock('process')"
MACHINE = "make_lock('machine', path=path)"
FAIR = "make_lock('machine', path=path, fair=True)"
MACHINE_READ = "make_rwlock('machine', path=path).read"
MACHINE_WRITE = "make_rwlock('machine', path=path).write"
ASYNC = "make_lock('async')"

IN_PYTHON = Contender("threading.Semaphore()", WITH)
"""Where the standard library has nothing of the sort: a lock of its that is Python."""


def of_threads(
    key: str,
    ours: str,
    peer: str | Contender = IN_PYTHON,
    statement: str = WITH,
) -> Workload:
    """Give a workload; both do the same unless a contender is given."""
    if isinstance(peer, str):
        peer = Contender(peer, statement)
    return Workload(key, Contender(ours, statement), peer)


def of_tasks(loop: EventLoop) -> tuple[Workload, ...]:
    """Give the workloads of the tasks of an event loop."""

    def entered(key: str, ours: str, peer: str = "Lock()") -> Workload:
        there = Contender(f"{loop}.{peer}", ASYNC_WITH, loop)
        return Workload(f"{loop}-{key}", Contender(ours, ASYNC_WITH, loop), there)

    def done(key: str, statement: str, tasks: int = 1, peer: str = "Lock") -> Workload:
        there = Contender(
            f"{loop}.{peer}()", statement.replace(HOLD, WITH), loop, tasks
        )
        label = ASYNC.replace("lock", peer.lower())
        return Workload(
            f"{loop}-{key}", Contender(label, statement, loop, tasks), there
        )

    bridged = (
        entered("thread-read", "make_rwlock('thread').read"),
        entered("thread-write", "make_rwlock('thread').write"),
        entered("thread-rlock", "make_rlock('thread')"),
        entered("thread-semaphore", "make_semaphore('thread')", "Semaphore(1)"),
        entered("process-lock", PROCESS),
        entered("machine-lock", MACHINE),
        entered("machine-fair", FAIR),
        entered("machine-read", MACHINE_READ),
        entered("machine-write", MACHINE_WRITE),
    )
    return (
        entered("lock", ASYNC),
        entered("rlock", "make_rlock('async')"),
        entered("semaphore", "make_semaphore('async')", "Semaphore(1)"),
        entered("read", "make_rwlock('async').read"),
        entered("write", "make_rwlock('async').write"),
        done("hold", ASYNC_HOLD),
        done("acquire", ASYNC_ACQUIRE),
        done("hand-off", HAND_OFF, tasks=2),
        done("condition", ASYNC_NOTIFY, peer="Condition"),
        entered("thread-lock", THREAD),
        # Counted once: their checkpoints are those of the lock.
        *(() if loop == "trio" else bridged),
    )


WORKLOADS = (
    of_threads("thread-lock", THREAD, "threading.Lock()"),
    of_threads("thread-acquire", THREAD, "threading.Lock()", ACQUIRE),
    of_threads("thread-rlock", "make_rlock('thread')", "threading.RLock()"),
    of_threads("thread-semaphore", "make_semaphore('thread')", "threading.Semaphore()"),
    of_threads(
        "thread-try-acquire",
        THREAD,
        Contender("threading.Lock()", ACQUIRE),
        TRY_ACQUIRE,
    ),
    of_threads("thread-hold", THREAD, statement=HOLD),
    of_threads("thread-read", "make_rwlock('thread').read"),
    of_threads("thread-write", "make_rwlock('thread').write"),
    of_threads(
        "thread-bounded-semaphore",
        "make_semaphore('thread', bounded=True)",
        "threading.BoundedSemaphore()",
    ),
    of_threads(
        "thread-condition",
        "make_condition('thread')",
        "threading.Condition()",
        NOTIFY,
    ),
    of_threads("thread-create", THREAD, statement="lock('thread')"),
    of_threads("async-create", ASYNC, statement="lock('async')"),
    of_threads("process-lock", PROCESS, "multiprocessing.Lock()"),
    of_threads("process-acquire", PROCESS, "multiprocessing.Lock()", ACQUIRE),
    of_threads("process-rlock", "make_rlock('process')", "multiprocessing.RLock()"),
    of_threads(
        "process-semaphore",
        "make_semaphore('process')",
        "multiprocessing.Semaphore()",
    ),
    of_threads("machine-lock", MACHINE),
    of_threads("machine-acquire", MACHINE, statement=ACQUIRE),
    of_threads("machine-hold", MACHINE, statement=HOLD),
    of_threads("machine-try-acquire", MACHINE, statement=TRY_ACQUIRE),
    of_threads("machine-fair", FAIR),
    of_threads("machine-read", MACHINE_READ),
    of_threads("machine-write", MACHINE_WRITE),
    *of_tasks("asyncio"),
    *of_tasks("trio"),
)


def contenders(workloads: list[Workload]) -> list[Contender]:
    """Give those that are counted, in their order: a peer of several but once."""
    return list(dict.fromkeys(c for each in workloads for c in (each.ours, each.peer)))
