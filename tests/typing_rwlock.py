"""What type checkers must make of read-write locks: read by mypy and pyright.

As in typing_ok.py, each line with an "ignore" must *not* type-check.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anylock import (
    AsyncRWLock,
    Hold,
    Lock,
    LockKind,
    MachineRWLock,
    RWLock,
    ThreadRWLock,
    make_lock,
    make_rwlock,
    synchronized,
)

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type

if TYPE_CHECKING:
    from pathlib import Path


def overloads(kind: LockKind, text: str, path: Path) -> None:
    assert_type(make_rwlock("thread", name="mine"), ThreadRWLock)
    assert_type(make_rwlock("thread", reset_after_fork=True), ThreadRWLock)
    assert_type(make_rwlock("async", fast_acquire=True), AsyncRWLock)
    assert_type(make_rwlock("machine", name="mine"), MachineRWLock)
    assert_type(make_rwlock("machine", path=path), MachineRWLock)
    assert_type(make_rwlock(), RWLock)
    assert_type(make_rwlock(kind), RWLock)
    assert_type(make_rwlock(text, name="mine"), RWLock)
    make_rwlock("machine", fair=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    make_rwlock("async", True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def adapters_keep_the_contract() -> None:
    """Each adapter satisfies its Protocol, without a cast, and so do its sides."""
    locks: list[RWLock] = [
        *(make_rwlock("thread"), make_rwlock("machine"), make_rwlock("async")),
    ]
    for lock in locks:
        portable(lock)
    sides: list[Lock] = [
        *(make_rwlock("thread").read, make_rwlock("thread").write),
        *(make_rwlock("machine").read, make_rwlock("machine").write),
        *(make_rwlock("async").read, make_rwlock("async").write),
    ]
    for side in sides:
        synchronized(side)
    sides.append(make_rwlock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    locks.append(make_lock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def portable(lock: RWLock) -> None:
    assert_type(lock.kind, str)
    assert_type(lock.name, "str | None")
    assert_type(lock.read, Lock)
    assert_type(lock.write.hold(1.5), Hold)
    with lock.read, lock.write.hold():
        pass
    lock.read = lock.write  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with lock:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def native() -> None:
    threads, tasks = make_rwlock("thread"), make_rwlock("async")
    assert_type(threads.write.acquire(True, 1.5), bool)
    assert_type(await tasks.write.acquire(timeout=1.5), bool)
    async with threads.read, tasks.read.hold(1) as held:
        assert_type(held.locked(), bool)
