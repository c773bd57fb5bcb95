"""The forked children of the soak: what they find wrong, and how they end."""

from __future__ import annotations

import faulthandler
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout
from anylock._soak import forks
from anylock._soak.board import Row, Violation
from anylock._soak.forks import DUMP, Child, fork_inside, fork_outside
from children import Signal
from soak_stage import ALL, Company, broken, named, subject_of
from staging import PATIENCE, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.subjects import Subject

# Of the process that runs the tests: that it has other threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


# How they end.


def test_a_child_that_ends() -> None:
    Child(PATIENCE, list).join()


def test_a_child_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise LookupError

    with pytest.raises(Violation, match="a forked child failed, with status 256"):
        Child(PATIENCE, fail).join()
    assert "LookupError" in capfd.readouterr().err


def test_a_child_that_hangs_tells_where(capfd: pytest.CaptureFixture[str]) -> None:
    ready = Signal()

    def hang_in_here() -> None:
        faulthandler.register(DUMP, file=2, all_threads=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [DUMP])
        ready.set()
        threading.Event().wait()

    child = Child(0.0, hang_in_here)
    ready.wait()
    with pytest.raises(Violation, match="a forked child hangs"):
        child.join()
    ready.close()
    assert "hang_in_here" in capfd.readouterr().err


# What they do. They are run in this very process, instead of forked.


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Run what children would do, and note their patience."""
    patience: list[float] = []

    def run(seconds: float, function: Callable[[], object]) -> None:
        patience.append(seconds)
        function()

    monkeypatch.setattr(forks, "Child", run)
    return patience


forking = pytest.mark.parametrize("subject", [s for s in ALL if s.forks], ids=named)


@forking
def test_a_child_uses_the_lock(subject: Subject, run_here: list[float]) -> None:
    company = Company(subject)
    fork_outside(company.crew, Row(company.board, 0))
    company.board.check()
    assert company.entries == (1 if subject.shared else 0)
    assert run_here == [company.patience * 0.7]


@pytest.mark.usefixtures("run_here")
def test_a_child_that_cannot_have_its_copy() -> None:
    company = Company(subject_of("thread"))
    with in_thread(company.lock.acquire):
        pass
    fork_outside(company.crew, Row(company.board, 0))
    assert company.lock.locked()


@forking
def test_a_child_of_one_who_is_inside(subject: Subject, run_here: list[float]) -> None:
    company = Company(subject)
    # As new in a child it is not in this process, where it is held.
    if not subject.fresh_in_children:
        company.lock.acquire()
    fork_inside(company.crew, Row(company.board, 0))
    assert len(run_here) == (0 if subject.room > 1 else 1)


class Open:
    """A lock that is free."""

    def try_acquire(self) -> bool:
        return True

    def locked(self) -> bool:
        return False


@pytest.mark.usefixtures("run_here")
@pytest.mark.parametrize(
    ("shared", "message"),
    [
        (True, r"a child got in by try_acquire\(\) while its parent was inside"),
        (False, "a child is not inside though its parent was when it forked"),
    ],
)
def test_a_child_that_finds_it_open(*, shared: bool, message: str) -> None:
    company = broken(Open(), shared=shared)
    with pytest.raises(Violation, match=message):
        fork_inside(company.crew, Row(company.board, 0))


@pytest.mark.usefixtures("run_here")
def test_a_child_in_which_a_thread_fails() -> None:
    class Failing:
        def hold(self, _timeout: float) -> Any:
            raise LookupError

    company = broken(Failing(), shared=True)
    with pytest.raises(LookupError):
        fork_outside(company.crew, Row(company.board, 0))


# Of a parent that is killed.


@pytest.mark.usefixtures("run_here")
def test_a_child_of_the_dead_may_get_in() -> None:
    company = Company(subject_of("machine"))
    row = Row(company.board, 0)
    company.board.doom([0], 1)
    fork_inside(company.crew, row)
    company.check()
    assert company.entries == 1
    assert not company.lock.locked()


@pytest.mark.usefixtures("run_here")
@pytest.mark.parametrize("killed", [False, True])
def test_a_child_of_the_dead_reports_what_it_raises(*, killed: bool) -> None:
    company = Company(subject_of("machine"), patience=0.01)
    if killed:
        company.board.doom([0], 1)
    with company.lock, pytest.raises(LockTimeout):
        fork_outside(company.crew, Row(company.board, 0))
    assert ["LockTimeout" in text for text in company.reported] == [True] * killed
