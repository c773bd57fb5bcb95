"""One process of the soak, in this one: what it does, and what it finds left behind."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import broken_subjects
from anylock._soak import arena, forks
from anylock._soak.arena import Stage, check_free, inspect, work
from anylock._soak.board import Board, Row, Violation
from anylock._soak.plan import Cast, Loop, Plan
from children import in_child
from soak_stage import ALL, Company, broken, named, subject_of
from staging import PATIENCE, acquire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anylock._soak.subjects import Subject


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a process of the soak does to itself."""
    handler = signal.getsignal(signal.SIGINT)
    interval = sys.getswitchinterval()
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    signal.signal(signal.SIGINT, handler)
    sys.setswitchinterval(interval)
    faulthandler.unregister(forks.DUMP)
    gc.enable()


def plan_of(subject: Subject, cast: Cast, **traits: Any) -> Plan:
    plan = Plan(
        "0/0",
        subject,
        0.0,
        "spawn",
        None,
        forks=False,
        kills=None,
        cast=(cast,),
        rows=3,
    )
    return replace(plan, **traits)


def cast_of(*threads: int, **traits: Any) -> Cast:
    return replace(Cast(threads, loops=(), storm=None, life=None), **traits)


class Theatre:
    """The stage of one process, and what that has reported."""

    def __init__(
        self, plan: Plan, lock: Any = None, patience: float = PATIENCE
    ) -> None:
        self.board = Board(plan.rows, plan.subject.room, multiprocessing)
        self.reported: list[str] = []
        reports = SimpleNamespace(put=self.reported.append)
        self.stage = Stage(plan, self.board, lock, patience, reports)


# What it does.


@pytest.mark.parametrize("shared", [True, False])
def test_threads_and_loops_work(*, shared: bool) -> None:
    subject = subject_of("thread")
    cast = cast_of(0, 1, loops=(Loop("asyncio", "over", (2,)),), life=0.05)
    plan = plan_of(subject, cast, switch_interval=1e-4)
    theatre = Theatre(plan, subject.made(None, Path()) if shared else None)
    work(theatre.stage, "0.1")
    theatre.board.check()
    assert theatre.reported == []
    assert all(theatre.board.entries().values())
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert sys.getswitchinterval() == pytest.approx(1e-4)


def test_the_weather_is_in_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def weather(_crew: object, row: int) -> None:
        seen.extend([row, threading.current_thread(), gc.isenabled()])

    monkeypatch.setattr(arena, "weather", weather)
    theatre = Theatre(plan_of(subject_of("thread"), cast_of(storm=2)))
    theatre.board.end()
    work(theatre.stage, "0.0")
    assert theatre.reported == []
    assert seen == [2, threading.main_thread(), False]


def test_what_a_thread_raises_is_reported() -> None:
    theatre = Theatre(plan_of(subject_of("thread"), cast_of(0)), lock=object())
    work(theatre.stage, "0.0")
    assert len(theatre.reported) == 1
    assert "Traceback" in theatre.reported[0]
    assert theatre.board.over


def test_a_process_that_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):  # noqa: N818 - as planned
        pass

    def exit_now(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(arena, "os", SimpleNamespace(_exit=exit_now))
    subject = subject_of("thread", "semaphore of 1")
    lock = subject.made(None, Path())
    acquire(lock)
    # Patience ends a process as well; the thread waits by `with`, for good.
    plan = plan_of(replace(subject, make=lambda: lock), cast_of(0))

    def waiting_worker(*_args: object) -> SimpleNamespace:
        return SimpleNamespace(work=lock.acquire)

    monkeypatch.setattr(arena, "Worker", waiting_worker)
    theatre = Theatre(plan, patience=0.0)
    with pytest.raises(Ended, match="1"):
        work(theatre.stage, "0.0")
    lock.release()


def test_without_a_signal_that_prints_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "DUMP", None)
    subject = subject_of("thread")
    theatre = Theatre(plan_of(subject, cast_of()), subject.made(None, Path()))
    inspect(theatre.stage)
    assert theatre.reported == []
    unregister: Any = faulthandler.unregister  # says whether there was anything
    assert not unregister(forks.DUMP)


@pytest.mark.parametrize("mine", [True, False])
def test_who_has_made_a_lock_checks_it_in_the_end(*, mine: bool) -> None:
    subject = broken_subjects.LEFT_LOCKED
    lock = None if mine else subject.made(None, Path())
    theatre = Theatre(plan_of(subject, cast_of()), lock, patience=0.01)
    work(theatre.stage, "0.0")
    assert ["it was left locked" in text for text in theatre.reported] == [True] * mine


def test_what_was_left_is_reported() -> None:
    subject = subject_of("thread")
    lock = subject.made(None, Path())
    lock.acquire()
    theatre = Theatre(plan_of(subject, cast_of()), lock, patience=0.01)
    inspect(theatre.stage)
    assert len(theatre.reported) == 1
    assert "Violation: it was left locked, and nobody is there" in theatre.reported[0]


# What it finds left behind.


@pytest.mark.parametrize("subject", ALL, ids=named)
def test_what_is_free_is_found_free(subject: Subject) -> None:
    company = Company(subject)
    check_free(company.crew)
    check_free(company.crew)


def test_a_permit_that_was_left() -> None:
    company = Company(subject_of("thread", "semaphore of 3"), patience=0.01)
    acquire(company.lock)
    with pytest.raises(Violation, match="it was left with 2 permits, and nobody is"):
        check_free(company.crew)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (broken_subjects.LEFT_LOCKED, "it was left locked, and nobody is there"),
        (broken_subjects.REFUSING, r"it is free, but try_acquire\(\) is refused"),
        (broken_subjects.GENEROUS, "more than 1 get in"),
    ],
)
def test_what_is_not_free(subject: Subject, message: str) -> None:
    with pytest.raises(Violation, match=message):
        check_free(Company(subject, patience=0.01).crew)


def test_what_becomes_free_a_little_later() -> None:
    """As if a helper that nobody waits for had it for a moment."""

    class Later(broken_subjects.NoLock):
        def __init__(self) -> None:
            self.looks = [True, True, False]
            self.tries = [False, True, False]

        def locked(self) -> bool:
            return self.looks.pop(0)

        def try_acquire(self) -> bool:
            return self.tries.pop(0)

    company = broken(Later(), loops_at_a_time=0)
    check_free(replace(company.crew, patience=PATIENCE))
    assert (company.lock.looks, company.lock.tries) == ([], [])


def test_who_died_inside_last_is_told_in_the_end() -> None:
    company = Company(subject_of("machine"))
    board = company.board
    held = Row(board, 0).visit("with")
    in_child(company.lock.acquire)
    next(held)
    board.doom([0], os.getpid())
    check_free(company.crew)
    assert board.inside() == 0
    board.check()
