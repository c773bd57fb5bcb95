"""What the benchmarks measure with: that it measures what it says, and ends.

Each worker runs in an interpreter of its own, as it does for users. What it finds is
looked at for sense, never for how much it is.
"""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from anylock._bench import starting
from anylock._bench.measure.crowds import Body
from anylock._bench.peers import Contender, creating, using
from anylock._bench.rows.crowds import ALTERNATING, EMPTY
from anylock._bench.rows.family import WAKING
from anylock._bench.spread import GRID
from anylock._bench.starting import BrokenWorkerError, Interrupted, Starter
from anylock._bench.workers import idle, size, statement, waiting
from anylock._bench.workers.crowd import SIDES

if TYPE_CHECKING:
    from pathlib import Path

THREAD, ASYNC, PROCESS = (
    f"make_lock('{kind}')" for kind in ("thread", "async", "process")
)
MACHINE = "make_lock('machine')"

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork()")


@pytest.fixture
def starter(tmp_path: Path) -> Starter:
    return Starter(threading.Event(), tmp_path)


def nowhere(_path: Path) -> bool:
    return False


# Statements.


@pytest.mark.parametrize("loop", [None, "asyncio", "trio"])
def test_a_statement_is_executed_between_start_and_finish(
    loop: str | None, request: pytest.FixtureRequest
) -> None:
    if loop == "trio":
        request.getfixturevalue("trio")
    setup = "import builtins\nlock = builtins.noted"
    contender = Contender(
        "noted",
        setup,
        "lock.append('round')",
        start="lock.append('start')",
        finish="lock.append('finish')",
    )
    noted: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.noted", noted, raising=False)
        run = statement.timer(asdict(contender), loop, "nowhere")
        assert run(3) > 0
    assert noted == ["start", *["round"] * (3 * statement.UNROLLED), "finish"]


def test_a_statement_is_timed(starter: Starter) -> None:
    pytest.importorskip("pyperf")
    task: dict[str, Any] = {
        "contender": asdict(using(THREAD, "with lock:\n    pass")),
        "loop": None,
        "rounds": None,
        "values": 2,
        "value": 0.0001,
    }
    calibrated = starter.work("statement", task)
    assert calibrated["rounds"] >= 1
    sample = starter.work("statement", {**task, "rounds": calibrated["rounds"]})
    assert sample["rounds"] == calibrated["rounds"]
    assert len(sample["nanoseconds"]) == 2
    assert min(sample["nanoseconds"]) > 0
    assert not sample["trio"]


def test_a_statement_beside_trio(starter: Starter) -> None:
    pytest.importorskip("pyperf")
    pytest.importorskip("trio")
    sample = starter.work(
        "statement",
        {
            "contender": asdict(
                using(ASYNC, "async with lock:\n    pass", "import trio")
            ),
            "loop": "asyncio",
            "rounds": 1,
            "values": 1,
            "value": 0.0001,
        },
    )
    assert sample["trio"]


# Crowds.


def crowd(  # noqa: PLR0913 - as much as a task says
    starter: Starter,
    contender: Contender,
    sides: dict[str, int],
    body: Body = EMPTY,
    *,
    permits: int = 1,
    traced: bool = False,
) -> Any:
    task = {
        "contender": asdict(contender),
        "bodies": (body.traced if traced else body).as_task(contender),
        "sides": sides,
        "seconds": 0.01,
        "traced": traced,
        "permits": permits,
    }
    return starter.work("crowd", task)


@pytest.mark.parametrize(
    ("label", "sides"),
    [
        (THREAD, {"threads": 2, "asyncio tasks": 3}),
        (ASYNC, {"asyncio tasks": 2}),
        pytest.param(PROCESS, {"processes": 2}, marks=forks),
        pytest.param(MACHINE, {"processes": 2}, marks=forks),
    ],
)
def test_a_crowd(label: str, sides: dict[str, int], starter: Starter) -> None:
    sample = crowd(starter, using(label), sides)
    assert {side: len(counts) for side, counts in sample["counts"].items()} == sides
    assert sample["seconds"] > 0
    assert "traced" not in sample


@pytest.mark.usefixtures("trio")
def test_a_crowd_with_trio(starter: Starter) -> None:
    sides = {"trio tasks": 2, "threads": 1}
    sample = crowd(starter, using(THREAD), sides, ALTERNATING, traced=True)
    assert set(sample["counts"]) == set(sides) < set(SIDES)
    assert "trio tasks" in sample["traced"]["waits"]


@forks
def test_processes_tell_of_what_they_noted(starter: Starter) -> None:
    sample = crowd(starter, using(PROCESS), {"processes": 2}, ALTERNATING, traced=True)
    traced = sample["traced"]
    assert len(traced["waits"]["processes"]) == len(GRID)
    assert {who for who, _, _ in traced["spans"]} == {2, 3}


def test_a_crowd_that_wakes_each_other(starter: Starter) -> None:
    for side in ("threads", "asyncio tasks"):
        kind = "thread" if side == "threads" else "async"
        condition = using(f"make_condition('{kind}')")
        sample = crowd(starter, condition, {side: 2}, WAKING)
        assert len(sample["counts"][side]) == 2


def test_what_does_not_exclude_is_found_out(starter: Starter) -> None:
    # Each adds one to what it has read before the other one came.
    racing = Body(
        "seen = board[1]\nsleep(1e-4)\nboard[1] = seen + 1", "", finishes=("", "")
    )
    with pytest.raises(BrokenWorkerError, match="lost updates: it did not exclude"):
        crowd(starter, using(THREAD), {"threads": 2}, racing)


def test_permits_that_get_lost_are_found_out(starter: Starter) -> None:
    taking = Body("lock.try_acquire()\nboard[1] += 1", "")
    semaphore = using("make_semaphore('thread',2)")
    with pytest.raises(BrokenWorkerError, match="came out with 0 permits"):
        crowd(starter, semaphore, {"threads": 1}, taking, permits=2)
    sound = using("make_semaphore('thread',2)")
    assert crowd(starter, sound, {"threads": 3}, permits=2)["counts"]


def test_a_permit_that_is_on_its_way_back_is_not_lost(starter: Starter) -> None:
    setup = """\
from anylock import ThreadSemaphore
class Late(ThreadSemaphore):
    seen = iter([0, 1, 2])
    @property
    def value(self):
        return next(self.seen)
lock = Late(2)"""
    assert crowd(starter, Contender("late", setup), {"threads": 1}, permits=2)


def test_who_does_not_tell_its_permits_is_believed(starter: Starter) -> None:
    threads = Contender("silent", "import threading\nlock = threading.Semaphore(2)")
    assert crowd(starter, threads, {"threads": 1}, permits=2)


def test_permits_that_nobody_can_count(starter: Starter) -> None:
    semaphore = using("threading.Semaphore(2)")
    assert crowd(starter, semaphore, {"threads": 1}, permits=2)["counts"]


def test_who_breaks_does_not_keep_the_others(starter: Starter) -> None:
    breaking = Body("lock.acquire()\nraise ZeroDivisionError", "")
    with pytest.raises(BrokenWorkerError, match="ZeroDivisionError"):
        crowd(starter, using(THREAD), {"threads": 2}, breaking)


@forks
def test_a_process_that_breaks(starter: Starter) -> None:
    breaking = Body("raise ZeroDivisionError", "")
    with pytest.raises(BrokenWorkerError, match="a process ended with status"):
        crowd(starter, using(PROCESS), {"processes": 1}, breaking)


# Waiters.


@pytest.mark.parametrize(
    ("loop", "cancel"),
    [
        (None, False),
        *((loop, cancel) for loop in ("asyncio", "trio") for cancel in (False, True)),
    ],
)
def test_waiters(
    loop: str | None,
    cancel: bool,  # noqa: FBT001 - pytest passes it by its name
    starter: Starter,
    request: pytest.FixtureRequest,
) -> None:
    if loop == "trio":
        request.getfixturevalue("trio")
    task = {
        "contender": asdict(using(THREAD)),
        "waiters": 50,
        "loop": loop,
        "cancel": cancel,
    }
    sample = starter.work("waiting", {**task, "traced": False})
    assert sample["microseconds"] > 0
    assert sample["bytes"] == 0
    assert sample["helpers"] <= 1
    traced = starter.work("waiting", {**task, "traced": True})
    assert traced["bytes"] > 0


def test_threads_are_counted_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert waiting.os_threads() >= threading.active_count()
    monkeypatch.setattr("pathlib.Path.exists", nowhere)
    assert waiting.os_threads() == threading.active_count()


# What they cost besides.


def test_sizes(starter: Starter) -> None:
    task = {"contender": asdict(creating(THREAD)), "many": 10_000}
    sample = starter.work("size", task)
    assert sample["parts"] > 0
    assert sample["traced"] > 0


def test_a_size_is_of_all_parts_and_of_no_shared_one() -> None:
    lone: list[object] = []
    assert size.size_of_parts([lone, lone, str, 3]) > size.size_of_parts([lone, str])
    assert size.size_of_parts([[], []]) > size.size_of_parts([None, None])
    gc.collect()


def test_no_resident_size_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pathlib.Path.exists", nowhere)
    assert size.resident_size(list, 10) is None


@forks
@pytest.mark.parametrize("label", [PROCESS, MACHINE])
def test_idle(label: str, starter: Starter) -> None:
    task = {"contender": asdict(using(label)), "seconds": 0.01}
    assert starter.work(idle.__name__.rpartition(".")[2], task) >= 0


# How they are started.


def test_a_worker_that_breaks(starter: Starter) -> None:
    with pytest.raises(BrokenWorkerError, match=r"(?s)ended with status 1.*KeyError"):
        starter.work("idle", {})


def test_a_worker_that_hangs(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PATIENCE", 0.4)
    task = {"contender": asdict(using(PROCESS)), "seconds": 1000}
    with pytest.raises(BrokenWorkerError, match=r"did not end within 0\.4 s"):
        starter.work("idle", task)


def test_nothing_is_started_after_an_interrupt(tmp_path: Path) -> None:
    interrupted = threading.Event()
    interrupted.set()
    with pytest.raises(Interrupted):
        Starter(interrupted, tmp_path).work("idle", {})


@forks
def test_an_interrupt_kills_the_worker_and_what_it_has_forked(tmp_path: Path) -> None:
    interrupted = threading.Event()
    told = tmp_path / "told"
    os.mkfifo(told)
    setup = f"""import os
from anylock import make_lock
lock = make_lock('process')
kept = []
os.register_at_fork(after_in_child=lambda: kept.append(open({str(told)!r}, 'w')))"""

    def interrupt() -> None:
        # It ends once the child, which has it open, is no more.
        with told.open(encoding="utf-8") as end:
            interrupted.set()
            end.read()

    thread = threading.Thread(target=interrupt)
    thread.start()
    contender = Contender("forking", setup)
    task = {"contender": asdict(contender), "seconds": 1000}
    with pytest.raises(Interrupted):
        Starter(interrupted, tmp_path).work("idle", task)
    thread.join()
