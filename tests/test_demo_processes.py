"""The worker processes of the demo.

Spawned: what runs tests may have threads, and should not fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anylock._demo import processes
from anylock._demo.processes import WorkerDiedError, run_workers

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["demo_fixtures"]
pytestmark = pytest.mark.usefixtures("nothing_left_behind")

SPAWN = multiprocessing.get_context("spawn")


def work_for_ever(report: Callable[[], bool]) -> None:
    while report():
        pass


def work_on(share: str, report: Callable[[], bool]) -> None:
    """Stand for what may happen to a worker."""
    report()
    if share == "raise":
        message = "no work today"
        raise LookupError(message)
    if share == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if share == "for ever":
        work_for_ever(report)


def never_start() -> None:
    raise AssertionError


def end_at_once(status: int) -> None:
    os._exit(status)


class Unloadable:
    """Kills the worker that unpickles it, before that says a word."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return end_at_once, (7,)


def test_workers_work() -> None:
    reports: list[None] = []

    def report() -> bool:
        reports.append(None)
        return True

    run_workers(SPAWN, work_on, (), ["", ""], report)
    assert len(reports) == 2


def test_workers_are_ended_when_one_raises() -> None:
    with pytest.raises(LookupError, match="no work today"):
        run_workers(SPAWN, work_on, (), ["for ever", "raise"], lambda: True)


def test_a_worker_tells_what_it_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here in this process: the parent of a real one ends it when it has heard."""

    def keep_handler(*_args: object) -> None:
        pass

    monkeypatch.setattr(signal, "signal", keep_handler)
    ours, theirs = multiprocessing.Pipe()
    with ours:
        ours.send("raise")
        processes._obey(theirs, [], work_on, ())
        told = [ours.recv() for _ in range(3)]
    assert told[:2] == [processes._READY, processes._REPORT]
    assert isinstance(told[2], LookupError)


def test_workers_are_ended_when_one_dies() -> None:
    with pytest.raises(WorkerDiedError, match="ended early, with exit code -9"):
        run_workers(SPAWN, work_on, (), ["for ever", "die"], lambda: True)


def test_workers_are_ended_when_one_cannot_start() -> None:
    with pytest.raises(WorkerDiedError, match="exit code 7"):
        run_workers(SPAWN, never_start, (Unloadable(),), ["", ""], lambda: True)


def test_workers_are_ended_when_their_reports_are_answered_by_no() -> None:
    run_workers(SPAWN, work_on, (), ["for ever", "for ever"], lambda: False)


def test_workers_end_when_their_parent_is_killed(start_method: str) -> None:
    # Each process has the writing end of a pipe open, so the end of the file comes
    # when all of them are gone.
    program = f"""if True:
        import multiprocessing, os, sys
        from anylock._demo.processes import run_workers
        from test_demo_processes import work_on
        def report():
            print("at work", flush=True)
            return True
        if __name__ == "__main__":
            context = multiprocessing.get_context({start_method!r})
            run_workers(context, work_on, (), ["for ever"] * 2, report)
    """
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "at work\n"
        parent.kill()
        rest = parent.stdout.read()
    assert "Traceback" not in rest
