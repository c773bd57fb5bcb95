"""The workers of the soak, one by one and without chance."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockTimeout
from anylock._soak import workers
from anylock._soak.workers import Worker, report_what_nobody_catches
from backends import Backend, run
from soak_stage import ALL, Company, Decided, after, named, subject_of
from staging import PATIENCE, all_done, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.subjects import Subject

ALL_HAPPENS, NOTHING_HAPPENS = 0.0, 1.0

with_threads = pytest.mark.parametrize(
    "subject", [one for one in ALL if one.threads], ids=named
)
with_tasks = pytest.mark.parametrize(
    "subject", [one for one in ALL if one.loops_at_a_time], ids=named
)


def worker_of(
    company: Company, chance: float, *preferred: object, doomed: bool = False
) -> Worker:
    worker = Worker(company.crew, 0, doomed=doomed)
    decided: Any = Decided(chance, *preferred)
    worker.random = decided
    return worker


class FakeChild:
    """A forked child that has ended when it is asked for the third time."""

    def __init__(self) -> None:
        self.asked = 0

    def ended(self) -> bool:
        self.asked += 1
        return self.asked == 3

    def join(self) -> None:
        while not self.ended():
            pass


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[FakeChild]:
    """The children that were forked outside and inside, none of them real."""
    forked: list[FakeChild] = []

    def fork(*_args: object) -> FakeChild:
        forked.append(FakeChild())
        return forked[-1]

    monkeypatch.setattr(workers, "fork_outside", fork)
    monkeypatch.setattr(workers, "fork_inside", fork)
    return forked


# Threads.


@with_threads
@pytest.mark.parametrize("way", ["with", "hold", "try"])
@pytest.mark.parametrize("chance", [ALL_HAPPENS, NOTHING_HAPPENS])
def test_a_thread_works(subject: Subject, way: str, chance: float) -> None:
    company = Company(subject, after(3))
    worker_of(company, chance, way).work()
    company.check()
    assert company.suffered == {}
    assert 3 <= company.entries <= 4
    twice = subject.reentrant or subject.waits
    more = subject.read_write or (twice and chance == ALL_HAPPENS)
    assert company.entries == (4 if more else 3)


def test_a_thread_forks_outside_and_inside(children: list[FakeChild]) -> None:
    company = Company(subject_of("thread"), after(1), forks=True)
    worker_of(company, ALL_HAPPENS, "with").work()
    company.check()
    assert company.suffered == {"fork": 2}
    assert [child.asked for child in children] == [3, 3]


def test_a_thread_that_need_not_fork_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(subject_of("thread", "semaphore of 3"), forks=True)
    asked: list[object] = []

    def fork(*arguments: object) -> None:
        asked.append(arguments)

    monkeypatch.setattr(workers, "fork_inside", fork)
    worker_of(company, ALL_HAPPENS).attempt("with")
    company.check()
    assert (company.entries, company.suffered) == (1, {})
    assert len(asked) == 1


@pytest.mark.parametrize(("way", "suffered"), [("hold", {"time-out": 1}), ("try", {})])
def test_a_thread_that_does_not_get_in(way: str, suffered: dict[str, int]) -> None:
    company = Company(subject_of("thread"))
    with company.lock, in_thread(lambda: worker_of(company, ALL_HAPPENS).attempt(way)):
        pass
    company.check()
    assert (company.entries, company.suffered) == (0, suffered)


# Tasks.


@with_tasks
@pytest.mark.parametrize("way", ["async with", "hold", "cancelled", "try"])
@pytest.mark.parametrize("chance", [ALL_HAPPENS, NOTHING_HAPPENS])
def test_a_task_works(
    backend: Backend,
    subject: Subject,
    way: str,
    chance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    company = Company(subject, after(1))
    worker = worker_of(company, chance, way)
    patient = (way in {"hold", "cancelled"}) * (1 + subject.read_write)
    moments = chain([PATIENCE] * patient, repeat(0.0))
    monkeypatch.setattr(worker, "_moment", partial(next, moments))
    run(backend, worker.work_in_task)
    company.check()
    assert company.entries >= 1
    assert company.suffered == {}


@pytest.mark.parametrize("way", ["async with", "hold", "try"])
def test_a_doomed_task_works(way: str) -> None:
    company = Company(subject_of("thread", "rlock"), after(2))
    worker = worker_of(company, ALL_HAPPENS, "cancelled", way, doomed=True)
    anyio.run(worker.work_in_task)
    company.check()
    assert company.entries >= 2


def test_a_doomed_task_does_not_try_a_condition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    company = Company(subject_of("thread", "condition"), after(2))
    worker = worker_of(company, NOTHING_HAPPENS, "try", "async with", doomed=True)
    monkeypatch.delattr(Worker, "_inside_after_try")
    anyio.run(worker.work_in_task)
    company.check()
    assert company.board.entries() == {"with": 0, "async with": 2}


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_task_has_odd_jobs_in_between(kind: str) -> None:
    company = Company(subject_of(kind), after(4))
    anyio.run(worker_of(company, ALL_HAPPENS, "async with", "with").work_in_task)
    company.check()
    assert company.board.entries() == {"with": 2, "async with": 2}


@pytest.mark.parametrize(
    ("way", "suffered"),
    [("hold", {"time-out": 1}), ("cancelled", {"cancellation": 1}), ("try", {})],
)
def test_a_task_that_does_not_get_in(
    backend: Backend, way: str, suffered: dict[str, int]
) -> None:
    company = Company(subject_of("thread"))

    async def main() -> None:
        async with company.lock:
            await all_done(worker_of(company, ALL_HAPPENS, way, 1e-3).attempt_in_task)

    run(backend, main)
    company.check()
    assert (company.entries, company.suffered) == (0, suffered)


def test_a_task_is_told_of_a_deadlock(backend: Backend) -> None:
    company = Company(subject_of("thread"))

    async def main() -> None:
        async with company.lock:
            await worker_of(company, NOTHING_HAPPENS, "with")._odd_job()

    run(backend, main)
    company.check()
    assert (company.entries, company.suffered) == (0, {"deadlock told": 1})


def test_a_task_forks(backend: Backend, children: list[FakeChild]) -> None:
    company = Company(subject_of("thread"), forks=True)
    run(backend, worker_of(company, ALL_HAPPENS)._odd_job)
    company.check()
    assert company.suffered == {"fork": 1}
    assert [child.asked for child in children] == [3]


def test_a_task_of_an_async_lock_sends_a_thread(backend: Backend) -> None:
    company = Company(subject_of("async"))
    run(backend, worker_of(company, NOTHING_HAPPENS, "with")._odd_job)
    company.check()
    assert company.board.entries() == {"with": 1, "async with": 0}


@pytest.mark.parametrize(
    ("doomed", "message", "reported"),
    [
        (False, "coroutine is already executing", True),
        (True, "coroutine is already executing", False),
        (True, "something else", True),
    ],
)
def test_a_task_reports_what_it_raises(
    *, doomed: bool, message: str, reported: bool
) -> None:
    class Raising:
        async def __aenter__(self) -> None:
            raise RuntimeError(message)

        async def __aexit__(self, *_exc_info: object) -> None:
            """Never: nobody gets in."""

    company = Company(subject_of("thread"), lock=Raising())
    worker = worker_of(company, NOTHING_HAPPENS, "async with", doomed=doomed)
    anyio.run(worker.work_in_task)
    assert [message in text for text in company.reported] == [True] * reported
    assert company.board.wanting() == []


# The crew.


@pytest.mark.parametrize(("ends", "over"), [(0.0, True), (inf, False)])
def test_a_process_may_end_before_the_round(*, ends: float, over: bool) -> None:
    company = Company(subject_of("thread"))
    assert replace(company.crew, ends=ends).over is over


def test_what_is_raised_is_reported() -> None:
    company = Company(subject_of("thread"))

    def raising() -> None:
        raise LockTimeout(1.5, None)

    company.crew.guarded(list)
    assert not company.reported
    company.crew.guarded(raising)
    assert "in raising" in company.reported[0]
    assert company.crew.over


def test_what_nobody_catches_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(subject_of("thread"))
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    report_what_nobody_catches(company.crew)
    error = LookupError("nobody's")
    raised: Any = SimpleNamespace(
        exc_type=LookupError,
        exc_value=error,
        exc_traceback=None,
        err_msg="Exception ignored in",
        object="it",
    )
    hook: Callable[[Any], None] = sys.unraisablehook
    hook(raised)
    assert company.reported == ["Exception ignored in 'it'\nLookupError: nobody's\n"]
