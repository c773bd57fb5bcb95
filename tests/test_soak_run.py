"""The soak from round to round, with rounds that are not real."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from anylock.__main__ import INTERRUPTED, main
from anylock._soak import soak
from anylock._soak.command import KINDS
from anylock._soak.soak import VIOLATED
from anylock._soak.watch import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.plan import Plan

pytest_plugins = ["interrupt_fixtures"]


class Rounds:
    """What is run instead of rounds: each has one acquisition and one time-out."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.patience: set[float] = set()
        self.violations: dict[int, str] = {}
        self.interrupted_in: int | None = None
        self.went_on: list[bool] = []

    def watch(
        self, plan: Plan, patience: float, glance: Callable[[Outcome], bool]
    ) -> Rounds:
        self.kinds.append(plan.subject.kind)
        self.patience.add(patience)
        self._glance = glance
        return self

    def run(self) -> Outcome:
        number = len(self.kinds) - 1
        if number == self.interrupted_in:
            signal.raise_signal(signal.SIGINT)
        outcome = Outcome()
        outcome.entries["with"] = 1
        outcome.worst["async with"] = number / 1000
        outcome.faults["time-out"] = 1000
        if number in self.violations:
            outcome.violations.append(self.violations[number])
        self.went_on.append(self._glance(outcome))
        return outcome


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    rounds = Rounds()
    monkeypatch.setattr(soak, "Watch", rounds.watch)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return rounds


def rows_of(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in table.splitlines()
        if line.startswith("│")
    ]


def test_every_kind_has_its_turn(
    rounds: Rounds, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["soak", "--seconds=0.00001", "--seed=7", "--patience=3"]) == 0
    assert tuple(rounds.kinds) == KINDS
    assert rounds.patience == {3.0}
    assert rounds.went_on == [True] * 4
    captured = capsys.readouterr()
    assert "4 rounds in 0 s, seed 7" in captured.out
    assert "VIOLATED" not in captured.err
    rows = rows_of(captured.out)
    assert ["acquisitions by with", *["1"] * 4] in rows
    assert ["time-out", *["1,000"] * 4] in rows
    assert ["worst wait, async with", "0 ms", "1 ms", "2 ms", "3 ms"] in rows
    assert ["violations", *["none"] * 4] in rows


def test_rounds_until_the_time_is_over(
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(soak, "monotonic", lambda: float(len(rounds.kinds)))
    arguments = [
        "soak",
        "--seconds=4",
        "--kind=thread",
        "--kind=async",
        "--kind=thread",
    ]
    assert main(arguments) == 0
    assert rounds.kinds == ["thread", "async", "thread", "async"]
    captured = capsys.readouterr()
    assert "4 rounds in 4 s, seed " in captured.out
    assert ["time-out", "2,000", "2,000"] in rows_of(captured.out)


def test_the_first_violation_ends_it(
    rounds: Rounds, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds.violations[1] = "two were inside:\nthis and that"
    arguments = "soak --kind thread --kind process --seed 5 --seconds 60"
    assert main(arguments.split()) == VIOLATED
    captured = capsys.readouterr()
    assert ["violations", "none", "violated"] in rows_of(captured.out)
    assert captured.err.splitlines()[-4:] == [
        "anylock soak: two were inside:",
        "anylock soak: this and that",
        "anylock soak: VIOLATED, with seed 5",
        f"anylock soak: the same plan again: python -m anylock {arguments}",
    ]


@pytest.mark.usefixtures("interrupts_raise")
def test_an_interrupt_ends_it(
    rounds: Rounds, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds.interrupted_in = 1
    assert main(["soak"]) == INTERRUPTED
    assert rounds.went_on == [True, False]
    assert "2 rounds in " in capsys.readouterr().out


@pytest.mark.parametrize("missing", [True, False])
def test_without_trio(
    *,
    missing: bool,
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def find_spec(name: str) -> str | None:
        return None if missing else name

    monkeypatch.setattr(soak, "find_spec", find_spec)
    assert main(["soak", "--seconds=0.00001", "--kind=async"]) == 0
    assert rounds.kinds == ["async"]
    assert (
        capsys.readouterr().err
        == (
            "anylock soak: without trio, which is not installed: "
            "pip install 'anylock[trio]'\n"
        )
        * missing
    )


def test_the_live_line(
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal then
    assert main(["soak", "--seconds=0.00001", "--kind=async"]) == 0
    assert rounds.kinds == ["async"]
    drawn = capsys.readouterr().err
    assert "0/0 s" in drawn
    assert "1 acquisitions, 1,000 faults " in drawn
    assert "round 0, async " in drawn
