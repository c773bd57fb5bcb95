"""The faults that the workers of the soak do not make themselves: loops and signals."""

from __future__ import annotations

import gc
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from anylock._soak import storm, workers
from anylock._soak.loops import run_loops
from anylock._soak.plan import Loop
from anylock._soak.storm import weather
from backends import TRIO, require
from soak_stage import Company, Decided, after, after_fault, subject_of
from staging import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["asyncio", "trio"])
def library(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen == "trio":
        require(TRIO)
    return chosen


# Event loops.


def test_a_loop_runs_until_the_round_is_over(library: str) -> None:
    company = Company(subject_of("thread"), after(20))
    run_loops(company.crew, Loop(library, "over", (0, 1, 2)))
    company.check()
    assert company.entries >= 20
    assert "loop cancelled" not in company.suffered


def test_loops_are_cancelled(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(subject_of("thread"), after_fault("loop cancelled", 2))

    def decided(_seed: str) -> Decided:
        return Decided(0.0)  # at once

    monkeypatch.setattr(workers, "Random", decided)
    run_loops(company.crew, Loop(library, "cancelled", (0, 1)))
    company.check()
    assert company.suffered["loop cancelled"] == 2


def test_loops_are_closed_while_their_tasks_wait() -> None:
    company = Company(subject_of("thread"), after_fault("loop closed", 2))
    company.lock.acquire()
    run_loops(company.crew, Loop("asyncio", "closed", (0, 1)))
    company.lock.release()

    def all_gone() -> bool:
        gc.collect()
        return company.board.wanting() == []

    until(all_gone)
    company.check()
    assert company.entries == 0
    assert company.suffered["loop closed"] == 2


# Signals.


class Weather:
    """Sends the signals by hand, where they can do no harm to coverage's tracer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timers: list[tuple[float, ...]] = []
        self.tracers: list[Any] = []
        self.process = 1
        monkeypatch.setattr(signal, "setitimer", self._set_timer)
        tracing = SimpleNamespace(
            gettrace=lambda: "the tracer",
            settrace=self.tracers.append,
            platform=sys.platform,
        )
        monkeypatch.setattr(storm, "sys", tracing)
        monkeypatch.setattr(storm, "os", SimpleNamespace(getpid=lambda: self.process))

    def _set_timer(self, _timer: int, *seconds: float) -> None:
        self.timers.append(seconds)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Weather]:
    before = signal.getsignal(signal.SIGALRM)
    yield Weather(monkeypatch)
    assert signal.getsignal(signal.SIGALRM) is before


class StruckLock:
    """Nobody's lock, on whose way in or out a signal comes, once."""

    def __init__(self, where: str, weather: Weather | None = None) -> None:
        self.calls: list[str] = []
        self._where = where
        self._weather = weather

    def __enter__(self) -> None:
        self._happens("in")

    def __exit__(self, *_exc_info: object) -> None:
        self._happens("out")

    def _happens(self, what: str) -> None:
        self.calls.append(what)
        if what == self._where and self.calls.count(what) == 1:
            if self._weather is not None:
                self._weather.process = 2
            signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize(
    ("where", "calls"),
    [("in", ["in", "in", "out", "in", "out"]), ("out", ["in", "out", "in", "out"])],
)
def test_who_is_struck_comes_again(
    where: str, calls: list[str], by_hand: Weather
) -> None:
    lock = StruckLock(where)
    company = Company(subject_of("thread"), after(2), lock=lock)
    weather(company.crew, 0)
    company.check()
    assert company.suffered == {"signal": 1}
    assert lock.calls == calls
    assert by_hand.timers == [(storm._PERIOD, storm._PERIOD), (0,)]
    assert by_hand.tracers == [None, "the tracer"]


@pytest.mark.usefixtures("by_hand")
def test_nobody_is_struck_while_updating(monkeypatch: pytest.MonkeyPatch) -> None:
    visit = workers.Worker.visit

    def struck(worker: workers.Worker) -> None:
        signal.raise_signal(signal.SIGALRM)
        visit(worker)

    monkeypatch.setattr(workers.Worker, "visit", struck)
    company = Company(subject_of("thread"), after(2), lock=StruckLock("never"))
    weather(company.crew, 0)
    company.check()
    assert (company.entries, company.suffered) == (2, {})


def test_nobody_is_struck_in_a_forked_child(by_hand: Weather) -> None:
    lock = StruckLock("in", by_hand)
    company = Company(subject_of("thread"), after(2), lock=lock)
    weather(company.crew, 0)
    company.check()
    assert (company.entries, company.suffered) == (2, {})


@pytest.mark.usefixtures("by_hand")
def test_nobody_is_struck_on_a_way_out_that_is_not_safe() -> None:
    subject = replace(subject_of("thread"), storm_on_way_out=False)
    company = Company(subject, after(2), lock=StruckLock("out"))
    weather(company.crew, 0)
    company.check()
    assert (company.entries, company.suffered) == (2, {})
