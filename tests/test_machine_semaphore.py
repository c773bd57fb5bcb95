"""The semaphores, by random programs: so many at a time, and no permit lost."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anylock._async._base import AsyncBase
from anylock._async.semaphore import AsyncSemaphore
from anylock._thread.semaphore import ThreadBoundedSemaphore, ThreadSemaphore
from backends import ASYNCIO, TRIO, Backend, require
from machine_runs import (
    do_nothing,
    first_violation,
    lose_the_grant,
    run,
    serve_the_last,
)
from semaphore_machine import SemaphoreMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_semaphore_of_threads_and_tasks(kind: LockKind) -> None:
    run(partial(SemaphoreMachine, kind))


@pytest.mark.parametrize("loop", [ASYNCIO, TRIO], ids=str)
def test_semaphore_of_tasks(loop: Backend) -> None:
    require(loop)
    run(partial(SemaphoreMachine, "async", loop))


# That the machine finds what is wrong: one fault each.


def forget_the_rest(patch: pytest.MonkeyPatch) -> None:
    give_back = ThreadSemaphore._give_back

    def give_back_one(semaphore: Any, bridge: Any, _: int) -> None:
        give_back(semaphore, bridge, 1)

    patch.setattr(ThreadSemaphore, "_give_back", give_back_one)


def have_no_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ThreadBoundedSemaphore, "_refuse", do_nothing)


def lose_the_grant_of_a_task(patch: pytest.MonkeyPatch) -> None:
    def refuse(semaphore: Any, waiter: Any) -> None:
        semaphore._arrived(waiter)

    patch.setattr(AsyncSemaphore, "_refuse", refuse)


def leave_the_cancelled_in_the_queue(patch: pytest.MonkeyPatch) -> None:
    def withdraw(semaphore: Any, waiter: Any) -> None:
        if waiter.granted:
            semaphore._refuse(waiter)

    patch.setattr(AsyncBase, "_withdraw", withdraw)


def keep_it_in_sight(patch: pytest.MonkeyPatch) -> None:
    """A permit is granted, and free for others until the task runs."""
    pass_on, accept = AsyncSemaphore._pass_on, AsyncSemaphore._accept

    def pass_on_in_sight(semaphore: Any) -> None:
        semaphore._value += bool(semaphore._waiters)
        pass_on(semaphore)

    def accept_it(semaphore: Any, waiter: Any, actor: Any) -> None:
        semaphore._value -= 1
        accept(semaphore, waiter, actor)

    patch.setattr(AsyncSemaphore, "_pass_on", pass_on_in_sight)
    patch.setattr(AsyncSemaphore, "_accept", accept_it)


@pytest.mark.parametrize(
    ("kind", "fault", "sign"),
    [
        ("thread", lose_the_grant, "value|it goes on"),
        ("thread", forget_the_rest, "value|it goes on"),
        ("thread", serve_the_last, ".. overtook|..: in, not {'refused'}"),
        ("thread", have_no_bound, "..: out, not {|.. came in beside|value"),
        ("async", lose_the_grant_of_a_task, "value|it goes on"),
        ("async", leave_the_cancelled_in_the_queue, "value|it goes on"),
        ("async", keep_it_in_sight, "value|.. came in beside"),
    ],
)
def test_a_fault_is_found(
    kind: LockKind,
    fault: Callable[[pytest.MonkeyPatch], None],
    sign: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch)
    assert re.match(sign, first_violation(partial(SemaphoreMachine, kind)))
