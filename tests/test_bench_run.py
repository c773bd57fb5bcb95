"""`python -m anylock bench` from row to row, with rows that are not real."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anylock.__main__ import INTERRUPTED, main
from anylock._bench import bench, catalogue, command, plan
from anylock._bench.effort import QUICK
from anylock._bench.findings import Skipped
from anylock._bench.report import Report
from anylock._bench.starting import BrokenWorkerError, Interrupted
from benches import MadeUp, Told, everything, nobody

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from anylock._bench.peers import Contender

pytest_plugins = ["demo_fixtures", "interrupt_fixtures"]
pytestmark = pytest.mark.usefixtures("plain_screen")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make these rows all that there are."""

    def put(*rows: MadeUp) -> None:
        def chosen(_names: Iterable[str] | None) -> list[MadeUp]:
            return list(rows)

        monkeypatch.setattr(bench, "chosen", chosen)

    return put


def one(_contender: Contender) -> int:
    return 1


def missing(*names: str) -> Callable[[str], object]:
    def find_spec(name: str) -> object:
        return None if name in names else importlib.util.find_spec(name)

    return find_spec


def test_all_rows(stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stage(MadeUp("first", one), MadeUp("second", one))
    assert main(["bench"]) == 0
    captured = capsys.readouterr()
    assert "what first is" in captured.out
    assert "what second is" in captured.out
    assert "load at the end" in captured.out
    assert not captured.err


def test_json_file(stage: Any, tmp_path: Path) -> None:
    stage(MadeUp("first", one))
    file = tmp_path / "found.json"
    assert main(["bench", "--quick", "--json", str(file)]) == 0
    report = Report.from_json(file.read_text(encoding="utf-8"))
    assert report.complete
    assert report.environment["effort"] == "quick"
    assert [finding.what for finding in report.findings] == ["what first is"]


def test_json_on_stdout(stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stage(MadeUp("first", one))
    assert main(["bench", "--full", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["environment"]["effort"] == "full"
    assert "what first is" in captured.err


def test_a_file_that_cannot_be_written_is_told_before(
    stage: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Contender] = []
    stage(MadeUp("first", ran.append))
    assert main(["bench", "--json", str(tmp_path / "no" / "found.json")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert not ran


@pytest.mark.usefixtures("interrupts_raise")
def test_interrupted(
    stage: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_contender: Contender) -> int:
        signal.raise_signal(signal.SIGINT)
        raise Interrupted

    stage(MadeUp("first", one), MadeUp("second", interrupt), MadeUp("third", one))
    file = tmp_path / "found.json"
    assert main(["bench", "--json", str(file)]) == INTERRUPTED
    captured = capsys.readouterr()
    assert "what first is" in captured.out
    assert "what second is" not in captured.out
    assert "what third is" not in captured.out
    assert "interrupted" in captured.err
    assert not Report.from_json(file.read_text(encoding="utf-8")).complete


def test_broken(stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(contender: Contender) -> int:
        if contender.label == "a.Lock":
            message = "it broke"
            raise BrokenWorkerError(message)
        return 1

    stage(MadeUp("first", broken), MadeUp("second", one))
    assert main(["bench"]) == bench.BROKE
    captured = capsys.readouterr()
    assert "broken, first: a.Lock: it broke" in captured.out
    assert "what first is" not in captured.out
    assert "what second is" in captured.out


def test_the_rows_that_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def chosen(names: object) -> list[MadeUp]:
        asked.append(names)
        return []

    monkeypatch.setattr(bench, "chosen", chosen)
    assert main(["bench", "--only", "with-thread", "family", "--only", "import"]) == 0
    assert asked == [["with-thread", "family", "import"]]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("with-tread", "there is no row 'with-tread'; did you mean with-thread"),
        ("???", "there is no row '???' (--list names all)"),
    ],
)
def test_a_row_that_there_is_not(
    name: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["bench", "--only", name])
    assert exited.value.code == 2
    assert hint in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"plain \(about [0-9]+ (s|min)\)", line) for line in lines)
    assert "  with-thread" in lines
    assert lines[-1].startswith("all of them: about ")


def test_the_list_says_how_long_all_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (MadeUp("first", one, turns=7), MadeUp("second", one, turns=8))
    monkeypatch.setattr(bench, "PARTS", {"both": rows, "again": rows * 2})
    assert main(["bench", "--list", "--full"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "both (about 30 s)",
        *("  first", "  second"),
        "again (about 60 s)",
        *("  first", "  second") * 2,
        "all of them: about 2 min",
    ]


@pytest.mark.parametrize(
    ("program", "parts"),
    [
        ("core", ["plain", "crowds", "waiters", "costs"]),
        ("family", ["family"]),
        ("machine", ["machine"]),
        ("rwlock", ["rwlock"]),
    ],
)
def test_a_program_for_some_parts(
    program: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, object]] = []

    def run(options: argparse.Namespace) -> int:
        asked.append((options.effort, options.only))
        return 7

    monkeypatch.setattr(bench, "run", run)
    path = Path(__file__).parent.parent / "benchmarks" / f"{program}.py"
    for more in ([], ["--only", "with-thread"]):
        monkeypatch.setattr(sys, "argv", [str(path), "--quick", *more])
        with pytest.raises(SystemExit) as exited:
            runpy.run_path(str(path), run_name="__main__")
        assert exited.value.code == 7
    assert asked == [("quick", parts), ("quick", ["with-thread"])]


def test_every_part_has_its_program() -> None:
    folder = Path(__file__).parent.parent / "benchmarks"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [part for part in catalogue.PARTS if f'"{part}"' not in text] == []


def test_again_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "found.json"
    file.write_text(everything().as_json(), encoding="utf-8")
    pictures = tmp_path / "some" / "pictures"
    status = main(["bench", "--from", str(file), "--plot", str(pictures)])
    assert status == bench.BROKE  # it says of one row that it broke
    captured = capsys.readouterr()
    assert "CPython 3.99" in captured.out
    drawn = {line.rpartition("/")[2] for line in captured.err.splitlines()}
    assert drawn == {path.name for path in pictures.iterdir()}
    assert "fairness.svg" in drawn


def test_from_what_is_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    file.write_text("{}", encoding="utf-8")
    assert main(["bench", "--from", str(file)]) == command.FAILED
    assert "no report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("absent", "options", "hint"),
    [
        ("rich", [], "pip install 'anylock[cli]'"),
        ("matplotlib", ["--plot", "pictures"], "pip install 'anylock[plot]'"),
    ],
)
def test_without_an_extra(
    absent: str,
    options: list[str],
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "find_spec", missing(absent))
    assert main(["bench", *options]) == command.FAILED
    assert hint in capsys.readouterr().err


# How a row is run.


def made(row: MadeUp) -> plan.Plan:
    return row.plan(QUICK, Told())


def test_contenders_take_turns() -> None:
    ran: list[str] = []

    def run(contender: Contender) -> int:
        ran.append(contender.label)
        return len(ran)

    row = MadeUp("first", run, ("a", "b", "c"), turns=3, warm_up=True)
    advanced: list[tuple[str, float]] = []

    def advance(key: str, seconds: float) -> None:
        advanced.append((key, seconds))

    planned = made(row)
    items = list(planned.measured(advance))
    assert [label for _, label in zip(range(12), ran, strict=True)] == [
        *("c", "a", "b"),
        *("a", "b", "c"),
        *("b", "c", "a"),
        *("c", "a", "b"),
    ]
    # The first turn warms up.
    assert row.concluded == [{"a": [4, 9, 11], "b": [5, 7, 12], "c": [6, 8, 10]}]
    assert len(items) == 1
    assert advanced == [("first", 1.0)] * 12
    assert planned.expected == 12.0


def test_absent_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "find_spec", missing("alpha", "gamma"))
    row = MadeUp("first", one, turns=1)
    planned = made(row)
    ours, theirs = planned.contenders
    planned = replace(
        planned,
        contenders=(ours, replace(theirs, needs=("alpha", "sys", "gamma"))),
    )
    skipped, _ = planned.measured(nobody)
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "a.Lock: alpha, gamma not installed"
    assert row.concluded == [{ours.label: [1]}]
    assert planned.expected == 1.0


def test_what_the_whole_row_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "find_spec", missing("trio"))
    row = MadeUp("first", one, needs=("trio",))
    planned = made(row)
    (skipped,) = planned.measured(nobody)
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "trio not installed"
    assert planned.expected == 0.0
    assert not row.concluded
