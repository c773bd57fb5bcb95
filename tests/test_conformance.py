"""Every member of the family, in every kind, keeps its contract.

On every backend, and between processes.
"""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from anylock import (
    LockKind,
    ProcessLock,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from anylock.testing import (
    CONDITION_RULES,
    RLOCK_RULES,
    RULES,
    SEMAPHORE_RULES,
    check_condition,
    check_lock,
    check_rlock,
    check_semaphore,
)
from backends import BACKENDS, Backend, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import AsyncLock, Condition, Lock, Semaphore

PROCESS_RULES = {"processes_exclude", "tasks_wait_for_processes"}
LOOP_RULES = {"closed_loop", "loops_exclude", "loops_in_turn", "closed_loop_waits"}

PERMITS = {"bounded": True, "unbounded": False}
"""Semaphores, by name: whether they are bounded."""

bounded = pytest.mark.parametrize("bounded", PERMITS.values(), ids=PERMITS)


def semaphores(kind: LockKind, *, bounded: bool) -> Callable[[int], Semaphore]:
    return lambda value: make_semaphore(kind, value, bounded=bounded, name="permits")


CONDITIONS: dict[str, Callable[[LockKind], Condition]] = {
    "own-lock": lambda kind: make_condition(kind, name="a condition"),
    "lock": lambda kind: make_condition(kind, make_lock(kind)),
    "rlock": lambda kind: make_condition(kind, make_rlock(kind)),
}
"""Conditions, by what their lock is."""

conditions = pytest.mark.parametrize("make", CONDITIONS.values(), ids=CONDITIONS)


def test_every_kind_keeps_the_contract(kind: LockKind, backend: Backend) -> None:
    check_lock(lambda: make_lock(kind, name="a lock"), backends=[backend.anyio_backend])


def test_every_kind_of_rlock_does(kind: LockKind, backend: Backend) -> None:
    def factory() -> Lock:
        return make_rlock(kind, name="a lock")

    check_rlock(factory, backends=[backend.anyio_backend])


@bounded
def test_every_kind_of_semaphore_does(
    kind: LockKind,
    bounded: bool,  # noqa: FBT001 - a parameter of the test
    backend: Backend,
) -> None:
    check_semaphore(
        semaphores(kind, bounded=bounded),
        bounded=bounded,
        backends=[backend.anyio_backend],
    )


@conditions
def test_every_kind_of_condition_does(
    kind: LockKind, make: Callable[[LockKind], Condition], backend: Backend
) -> None:
    check_condition(lambda: make(kind), backends=[backend.anyio_backend])


@pytest.mark.usefixtures("trio")
def test_fast_acquire_keeps_the_contract() -> None:
    def factory() -> AsyncLock:
        return make_lock("async", fast_acquire=True)

    check_lock(factory, backends=["asyncio", "trio"])
    check_rlock(lambda: make_rlock("async", fast_acquire=True), backends=["trio"])
    check_semaphore(
        lambda value: make_semaphore("async", value, fast_acquire=True),
        backends=["trio"],
    )


def test_reset_after_fork_keeps_the_contract() -> None:
    check_lock(lambda: make_lock("thread", reset_after_fork=True), backends=["asyncio"])
    check_rlock(
        lambda: make_rlock("thread", reset_after_fork=True),
        backends=["asyncio"],
    )
    check_semaphore(
        lambda value: make_semaphore("thread", value, reset_after_fork=True),
        backends=["asyncio"],
    )


def test_all_backends_use_one_lock(kind: LockKind) -> None:
    backends = [b.anyio_backend for b in BACKENDS if missing(b) is None]
    check_lock(
        lambda: make_lock(kind),
        backends=backends,
        without=set(RULES) - LOOP_RULES,
    )
    check_rlock(
        lambda: make_rlock(kind),
        backends=backends,
        without=set(RLOCK_RULES) - LOOP_RULES,
    )
    check_semaphore(
        lambda value: make_semaphore(kind, value),
        backends=backends,
        without=set(SEMAPHORE_RULES) - LOOP_RULES,
    )
    check_condition(
        lambda: make_condition(kind),
        backends=backends,
        without=set(CONDITION_RULES) - LOOP_RULES,
    )


def test_processes_keep_the_contract(start_method: str, backend: Backend) -> None:
    context = multiprocessing.get_context(start_method)
    check_lock(
        lambda: ProcessLock("between processes", context=context),
        backends=[backend.anyio_backend],
        context=context,
        without=set(RULES) - PROCESS_RULES,
    )


def test_processes_share_an_rlock(start_method: str, backend: Backend) -> None:
    context = multiprocessing.get_context(start_method)
    check_rlock(
        lambda: make_rlock("process", name="between processes", context=context),
        backends=[backend.anyio_backend],
        context=context,
        without=set(RLOCK_RULES) - PROCESS_RULES,
    )


@bounded
def test_processes_share_a_semaphore(
    start_method: str,
    bounded: bool,  # noqa: FBT001 - a parameter of the test
    backend: Backend,
) -> None:
    context = multiprocessing.get_context(start_method)

    def factory(value: int) -> Semaphore:
        return make_semaphore("process", value, bounded=bounded, context=context)

    check_semaphore(
        factory,
        bounded=bounded,
        backends=[backend.anyio_backend],
        context=context,
        without=set(SEMAPHORE_RULES) - PROCESS_RULES - {"permits_for_processes"},
    )


def test_processes_share_a_condition(start_method: str, backend: Backend) -> None:
    context = multiprocessing.get_context(start_method)
    check_condition(
        lambda: make_condition("process", context=context),
        backends=[backend.anyio_backend],
        context=context,
        without=set(CONDITION_RULES) - PROCESS_RULES - {"processes_notify"},
    )
