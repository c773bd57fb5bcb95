"""What type checkers must make of the family: read by mypy and pyright.

As in typing_ok.py, each line with an "ignore" must *not* type-check.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from multiprocessing import synchronize
from typing import TYPE_CHECKING

from anylock import (
    AsyncCondition,
    AsyncRLock,
    AsyncSemaphore,
    Condition,
    Hold,
    Lock,
    LockKind,
    ProcessCondition,
    ProcessRLock,
    ProcessSemaphore,
    Semaphore,
    ThreadCondition,
    ThreadRLock,
    ThreadSemaphore,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
    synchronized,
)

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


if TYPE_CHECKING:
    from collections.abc import Awaitable  # noqa: F401 - in a string below

SPAWN = multiprocessing.get_context("spawn")


def overloads_of_rlocks(kind: LockKind, text: str) -> None:
    assert_type(make_rlock("thread", name="mine"), ThreadRLock)
    assert_type(make_rlock("thread", reset_after_fork=True), ThreadRLock)
    assert_type(make_rlock("process", context=SPAWN), ProcessRLock)
    assert_type(make_rlock("async", fast_acquire=True), AsyncRLock)
    assert_type(make_rlock(), Lock)
    assert_type(make_rlock(kind), Lock)
    assert_type(make_rlock(text, name="mine"), Lock)
    make_rlock("thread", context=SPAWN)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    make_rlock("async", True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def overloads_of_semaphores(kind: LockKind, text: str) -> None:
    assert_type(make_semaphore("thread"), ThreadSemaphore)
    assert_type(make_semaphore("thread", 3, bounded=True, name="x"), ThreadSemaphore)
    assert_type(make_semaphore("process", 3, context=SPAWN), ProcessSemaphore)
    assert_type(make_semaphore("async", value=3, fast_acquire=True), AsyncSemaphore)
    assert_type(make_semaphore(), Semaphore)
    assert_type(make_semaphore(None, 3), Semaphore)
    assert_type(make_semaphore(kind, bounded=True), Semaphore)
    assert_type(make_semaphore(text), Semaphore)
    make_semaphore("thread", "3")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    make_semaphore(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def overloads_of_conditions(kind: LockKind, lock: Lock) -> None:
    assert_type(make_condition("thread"), ThreadCondition)
    assert_type(make_condition("thread", make_lock("thread")), ThreadCondition)
    assert_type(make_condition("thread", make_rlock("thread")), ThreadCondition)
    assert_type(make_condition("process", make_rlock("process")), ProcessCondition)
    assert_type(make_condition("process", context=SPAWN), ProcessCondition)
    assert_type(make_condition("async", make_lock("async")), AsyncCondition)
    assert_type(make_condition(), Condition)
    assert_type(make_condition(kind), Condition)
    assert_type(make_condition(lock=lock), Condition)
    ThreadCondition(make_lock("async"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ThreadCondition(threading.Lock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def adapters_keep_the_contracts() -> None:
    """Each adapter satisfies its Protocol, without a cast."""
    locks: list[Lock] = [
        *(make_rlock("thread"), make_rlock("process"), make_rlock("async")),
        *(make_condition("thread"), make_condition("process"), make_condition("async")),
    ]
    semaphores: list[Semaphore] = [
        *(make_semaphore("thread"), make_semaphore("process"), make_semaphore("async")),
    ]
    conditions: list[Condition] = [
        *(make_condition("thread"), make_condition("process"), make_condition("async")),
    ]
    for lock in locks:
        synchronized(lock)
    for semaphore in semaphores:
        portable(semaphore)
    for condition in conditions:
        portable_condition(condition)
    locks.append(make_semaphore())  # it has what a lock has
    semaphores.append(make_lock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    conditions.append(make_rlock())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def portable(semaphore: Semaphore) -> None:
    assert_type(semaphore.kind, str)
    assert_type(semaphore.value, int)
    assert_type(semaphore.hold(1.5), Hold)
    assert_type(semaphore.try_acquire(), bool)
    assert_type(semaphore.locked(), bool)
    semaphore.release()
    semaphore.release(2)
    with semaphore, semaphore.hold():
        pass
    semaphore.release("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    semaphore.value = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def portable_condition(condition: Condition) -> None:
    assert_type(condition.wait(1.5), "bool | Awaitable[bool]")
    condition.notify()
    condition.notify(2)
    condition.notify_all()
    with condition, condition.hold(1):
        pass


def native_names(stdlib: synchronize.Semaphore) -> None:
    assert_type(make_semaphore("thread").acquire(False), bool)
    assert_type(make_semaphore("thread").acquire(timeout=1.5), bool)
    assert_type(make_semaphore("process").acquire(block=True, timeout=1.5), bool)
    assert_type(make_rlock("thread").acquire(True, 1.5), bool)
    assert_type(make_rlock("process").acquire(blocking=False), bool)
    assert_type(make_condition("thread").wait(1.5), bool)
    assert_type(make_condition("thread").wait_for(lambda: [1], 1.5), "list[int]")
    assert_type(make_condition("process").wait_for(lambda: "a"), str)
    threading.Condition(make_rlock("thread"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    multiprocessing.Condition(make_rlock("process"))
    native_names(make_semaphore("process"))
    del stdlib


async def native_names_in_tasks() -> None:
    assert_type(await make_rlock("async").acquire(), bool)
    assert_type(await make_semaphore("async").acquire(timeout=1.5), bool)
    assert_type(await make_condition("async").wait(1.5), bool)
    assert_type(await make_condition("async").wait_for(lambda: [1]), "list[int]")
    assert_type(await make_condition("thread").async_wait(1.5), bool)
    assert_type(await make_condition("thread").async_wait_for(lambda: "a", 1.5), str)
    async with make_semaphore("thread").hold() as held, make_rlock("async") as entered:
        assert_type(held, ThreadSemaphore)
        assert_type(entered, None)
    make_condition("process").async_wait()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
