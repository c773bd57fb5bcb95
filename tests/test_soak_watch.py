"""A round of the soak from outside: its processes, and what is told of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from anylock._soak import arena, watch
from anylock._soak.board import Row
from anylock._soak.kills import KILLS
from anylock._soak.plan import Cast, Loop, Plan
from anylock._soak.watch import Outcome, Watch
from soak_stage import subject_of
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.arena import Stage


def plan_of(kind: str, *casts: Cast, seconds: float = 60.0) -> Plan:
    return Plan(
        seed="0/3",
        subject=subject_of(kind),
        seconds=seconds,
        start_method="spawn",
        switch_interval=None,
        forks=False,
        kills=None,
        cast=casts,
        rows=4,
    )


def go_on(_outcome: Outcome) -> bool:
    return True


THREAD = Cast(threads=(0,), loops=(), storm=None, life=None)
OTHERS = Cast((1,), (Loop("asyncio", "over", (2, 3)),), storm=None, life=None)


# With real processes, which are spawned: nobody else is in them.


@pytest.mark.parametrize(
    ("kind", "casts"), [("thread", [OTHERS]), ("process", [THREAD, OTHERS])]
)
def test_a_round(kind: str, casts: list[Cast]) -> None:
    def not_all_are_in(outcome: Outcome) -> bool:
        return not all(outcome.entries.values())

    outcome = Watch(plan_of(kind, *casts), PATIENCE, not_all_are_in).run()
    assert outcome.violations == []
    assert all(outcome.entries.values())


def test_a_round_lasts_until_somebody_was_in() -> None:
    """Its seconds do not count while the processes start."""
    outcome = Watch(plan_of("thread", THREAD, seconds=1e-9), PATIENCE, go_on).run()
    assert outcome.violations == []
    assert outcome.entries["with"] > 0


@pytest.mark.skipif(not KILLS, reason="nobody is killed here")
def test_a_round_of_kills() -> None:
    def not_all_is_done(outcome: Outcome) -> bool:
        return outcome.faults["process killed"] < 2 or outcome.entries["with"] < 20

    plan = replace(plan_of("machine", THREAD, OTHERS), kills=0.05)
    watch = Watch(plan, PATIENCE, not_all_is_done)
    outcome = watch.run()
    assert outcome.violations == []
    assert outcome.faults["process killed"] >= 2
    assert outcome.faults["process ended"] == 0
    assert not watch._folder.exists()


def test_a_round_that_is_ended_from_outside() -> None:
    outcome = Watch(plan_of("thread", THREAD), PATIENCE, lambda _outcome: False).run()
    assert outcome.violations == []


# With processes that are not real.


class Process:
    """What would be a process calls a function in this one, which says how it ends."""

    pid: int | None = None
    sentinel = None

    def __init__(self, act: Callable[[], int | None]) -> None:
        self._act = act
        self.exitcode: int | None = None
        self.killed = False

    def start(self) -> None:
        self.exitcode = self._act()

    def is_alive(self) -> bool:
        return self.exitcode is None

    def join(self, _timeout: float | None = None) -> None:
        """Nothing to wait for."""

    def kill(self) -> None:
        self.killed = True


class Rehearsal:
    """A round of such processes.

    Args:
        act: Is given what the process is, the stage and its place there. It returns
            the exit code, or None if the process goes on.
        kind: What the round is of.
        patience: Seconds after which something is taken never to happen.
        meanwhile: What happens between two glances.
    """

    def __init__(
        self,
        act: Callable[[Stage, str], int | None],
        kind: str = "thread",
        patience: float = PATIENCE,
        meanwhile: Callable[[], object] = list,
    ) -> None:
        self._act = act
        self._meanwhile = meanwhile
        self.processes: dict[str, Process] = {}
        self.watch = Watch(plan_of(kind, THREAD), patience, go_on)
        context: Any = SimpleNamespace(Process=self._make)
        self.watch._context = context

    def _make(self, target: object, args: tuple[Any, ...]) -> Process:
        stage, place = args if target is arena.work else (*args, "last")
        self.processes[place] = Process(lambda: self._act(stage, place))
        return self.processes[place]

    def _wait(self, _sentinels: object, _timeout: float) -> None:
        self._meanwhile()

    def run(self) -> list[str]:
        """Return the violations, without the plan."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(watch, "wait", self._wait)
            violations = self.watch.run().violations
        plan = f"{self.watch._plan}: "
        assert all(text.startswith(plan) for text in violations)
        return [text.removeprefix(plan) for text in violations]


def hang_while(what: str) -> str:
    return f"hang: nobody got in for 0 s, while {what}; the stacks are above"


def end_well(stage: Stage, _place: str) -> int:
    stage.board.end()
    return 0


def hang(_stage: Stage, _place: str) -> None:
    return None


@pytest.mark.parametrize(
    ("kind", "places"), [("thread", ["0.0"]), ("process", ["0.0", "last"])]
)
def test_what_processes_share_is_inspected(kind: str, places: list[str]) -> None:
    rehearsal = Rehearsal(end_well, kind)
    assert rehearsal.run() == []
    assert list(rehearsal.processes) == places


def test_a_process_that_ends_early_is_replaced() -> None:
    def act(stage: Stage, place: str) -> int:
        return 0 if place == "0.0" else end_well(stage, place)

    rehearsal = Rehearsal(act)
    assert rehearsal.run() == []
    assert list(rehearsal.processes) == ["0.0", "0.1"]
    assert rehearsal.watch._outcome().faults["process ended"] == 1


def test_a_process_that_fails() -> None:
    def act(_stage: Stage, _place: str) -> int:
        return 7

    assert Rehearsal(act).run() == ["a process ended with exit code 7"]


def test_what_a_process_reports_ends_the_round() -> None:
    def act(stage: Stage, _place: str) -> None:
        stage.reports.put("something is wrong\n")

    rehearsal = Rehearsal(act, "process")
    assert rehearsal.run() == ["something is wrong"]
    assert [(place, p.killed) for place, p in rehearsal.processes.items()] == [
        ("0.0", True)
    ]


def test_what_the_board_says_in_the_end() -> None:
    def act(stage: Stage, place: str) -> int:
        next(visits := Row(stage.board, 0).visit("with"))
        kept.append(visits)
        return end_well(stage, place)

    kept: list[object] = []
    assert Rehearsal(act).run() == ["1 are inside still, and nobody is there"]


def test_nobody_gets_in_any_more() -> None:
    def act(stage: Stage, _place: str) -> None:
        list(Row(stage.board, 0).visit("with"))
        Row(stage.board, 1).wants()
        Row(stage.board, 3).wants()

    rehearsal = Rehearsal(act, patience=0.0)
    assert rehearsal.run() == [hang_while("2 wanted to (workers [1, 3])")]
    assert rehearsal.processes["0.0"].killed


def test_who_gets_in_now_and_then_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def go_on() -> None:
        nonlocal now
        now += 2.0
        if now % 4 == 0:
            list(Row(rehearsal.watch._board, 0).visit("with"))
        if now == 20.0:
            rehearsal.watch._board.end()
            rehearsal.processes["0.0"].exitcode = 0

    rehearsal = Rehearsal(hang, patience=5.0, meanwhile=go_on)
    monkeypatch.setattr(watch, "monotonic", lambda: now)
    assert rehearsal.run() == []
    assert rehearsal.watch._outcome().entries["with"] == 5


@pytest.mark.parametrize(
    ("pid", "dump", "asked"), [(5, 12, [(5, 12)]), (None, 12, []), (5, None, [])]
)
def test_processes_that_do_not_end_tell_where_they_are(
    pid: int | None,
    dump: int | None,
    asked: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signals: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        signals.append((pid, number))

    monkeypatch.setattr(watch, "os", SimpleNamespace(kill=kill))
    monkeypatch.setattr(watch, "sleep", abs)  # returns at once
    monkeypatch.setattr(watch, "DUMP", dump)
    monkeypatch.setattr(Process, "pid", pid)
    assert Rehearsal(hang, patience=0.0).run() == [
        hang_while("the processes should have ended")
    ]
    assert signals == asked
    assert capsys.readouterr().err == "\nStacks of process 5:\n" * len(asked)


def test_who_was_killed_is_replaced_when_its_children_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def act(stage: Stage, place: str) -> int:
        if place == "0.0":
            rehearsal.watch._killer.killed.add(0)
            return -9
        return end_well(stage, place)

    rehearsal = Rehearsal(act, "machine")
    children = [[], [], ["the sentinel"]]

    def look(_sentinels: object, timeout: float) -> list[str] | None:
        return children.pop(0) if timeout == 0 else None

    monkeypatch.setattr(rehearsal, "_wait", look)
    assert rehearsal.run() == []
    assert list(rehearsal.processes) == ["0.0", "0.1", "last"]
    assert children == []
