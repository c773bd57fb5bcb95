"""The conditions, by random programs: no notification lost, and the lock at the end."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anylock import _notices
from anylock._async.rlock import AsyncRLock
from anylock._notices import Notices
from backends import ASYNCIO, TRIO, Backend, require
from condition_machine import ConditionMachine
from machine_runs import HUNT, do_nothing, first_violation, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_condition_of_threads_and_tasks(kind: LockKind) -> None:
    run(partial(ConditionMachine, kind), times=2)


@pytest.mark.parametrize("loop", [ASYNCIO, TRIO], ids=str)
def test_condition_of_tasks(loop: Backend) -> None:
    require(loop)
    run(partial(ConditionMachine, "async", loop), times=2)


# That the machine finds what is wrong: one fault each.


def keep_the_notification(patch: pytest.MonkeyPatch) -> None:
    """Who was notified and is cancelled does not pass it on."""
    notify = Notices.notify

    def notify_unless_passed_on(notices: Any, n: int | None = None) -> None:
        if n is not None:
            notify(notices, n)

    patch.setattr(Notices, "notify", notify_unless_passed_on)


def notify_the_last(patch: pytest.MonkeyPatch) -> None:
    def last(notices: Any) -> Any:
        return next(reversed(notices._waiters), None)

    patch.setattr(Notices, "_first", last)


def notify_one_more(patch: pytest.MonkeyPatch) -> None:
    notify = Notices.notify

    def notify_too_many(notices: Any, n: int = 1) -> None:
        notify(notices, n + 1)

    patch.setattr(Notices, "notify", notify_too_many)


def stay_in_the_queue(patch: pytest.MonkeyPatch) -> None:
    """Who waits no more is notified in place of others."""

    def withdraw(_: Any, waiter: Any) -> bool:
        return not waiter.granted

    patch.setattr(Notices, "withdraw", withdraw)


def end_without_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Who is cancelled does not take the lock again if it has to wait for it."""

    async def attempt(take_back: Any, _close: Any, kept: Any) -> None:
        await take_back(kept)

    patch.setattr(_notices, "_take_back", attempt)


def come_back_once(patch: pytest.MonkeyPatch) -> None:
    """Of a re-entrant lock that was entered twice only one is taken back."""
    patch.setattr(AsyncRLock, "_restore", do_nothing)


@pytest.mark.parametrize(
    ("kind", "fault", "sign"),
    [
        pytest.param(
            *("async", keep_the_notification, "it goes on"),
            marks=pytest.mark.skipif(
                not HUNT, reason="half a minute, so it is for hunts: ANYLOCK_HUNT"
            ),
        ),
        ("thread", end_without_the_lock, ".. came in beside|..: not held|locked"),
        ("async", notify_the_last, ".. overtook"),
        ("async", notify_one_more, ".. was notified by nobody"),
        ("async", stay_in_the_queue, "it goes on"),
        ("async", come_back_once, "..: not held"),
    ],
)
def test_a_fault_is_found(
    kind: LockKind,
    fault: Callable[[pytest.MonkeyPatch], None],
    sign: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch)
    assert re.match(sign, first_violation(partial(ConditionMachine, kind)))
