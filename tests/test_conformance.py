"""Every kind of lock keeps the contract, on every backend, and between processes."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from anylock import LockKind, ProcessLock, make_lock
from anylock.testing import RULES, check_lock
from backends import BACKENDS, Backend, missing

if TYPE_CHECKING:
    from anylock import AsyncLock

PROCESS_RULES = {"processes_exclude", "tasks_wait_for_processes"}


def test_every_kind_keeps_the_contract(kind: LockKind, backend: Backend) -> None:
    check_lock(lambda: make_lock(kind, name="a lock"), backends=[backend.anyio_backend])


@pytest.mark.usefixtures("trio")
def test_fast_acquire_keeps_the_contract() -> None:
    def factory() -> AsyncLock:
        return make_lock("async", fast_acquire=True)

    check_lock(factory, backends=["asyncio", "trio"])


def test_reset_after_fork_keeps_the_contract() -> None:
    check_lock(lambda: make_lock("thread", reset_after_fork=True), backends=["asyncio"])


def test_all_backends_use_one_lock(kind: LockKind) -> None:
    check_lock(
        lambda: make_lock(kind),
        backends=[b.anyio_backend for b in BACKENDS if missing(b) is None],
        without=set(RULES) - {"closed_loop", "loops_exclude", "loops_in_turn"},
    )


def test_processes_keep_the_contract(start_method: str, backend: Backend) -> None:
    context = multiprocessing.get_context(start_method)
    check_lock(
        lambda: ProcessLock("between processes", context=context),
        backends=[backend.anyio_backend],
        context=context,
        without=set(RULES) - PROCESS_RULES,
    )
