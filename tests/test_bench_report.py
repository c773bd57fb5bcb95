"""The report of the benchmarks: to JSON and back, and as a table."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from anylock._bench import display, environment
from anylock._bench.display import factor, left, number, progress, show
from anylock._bench.report import Report, UnreadableReportError
from benches import everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest_plugins = ["demo_fixtures"]
pytestmark = pytest.mark.usefixtures("plain_screen")


def constantly(value: object) -> Callable[[object], object]:
    """Give a function that always returns the same."""

    def function(_argument: object) -> object:
        return value

    return function


def shown(report: Report) -> str:
    out = io.StringIO()
    show(report, out)
    return out.getvalue()


def test_json_round_trip() -> None:
    report = everything()
    report.complete = False
    assert Report.from_json(report.as_json()) == report


def test_json_has_the_verdicts() -> None:
    said = json.loads(everything().as_json())
    verdicts = [one["verdict"] for one in said["findings"]]
    assert verdicts[:3] == ["holds", "FAILS by 400%", "unclear"]
    assert said["environment"]["python"] == "CPython 3.99"
    assert said["skipped"] == [
        {"key": "row", "what": "with", "reason": "f.Lock: f not installed"}
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"environment": {}}', "null", '{"environment": 3}']
)
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(UnreadableReportError, match="no report"):
        Report.from_json(text)


def test_the_table() -> None:
    text = shown(everything())
    lines = [line for line in text.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    first = ["with", "a.Lock", "2", "2", "ns", "0.50 (0.40 to 0.60)", "<= 0.85"]
    assert rows[0] == [*first, "holds"]
    assert rows[1][:2] == ["", "b.Lock"]
    assert "outliers: 1 of" in rows[1][-1]
    assert ["", "d.Lock", "1", "", "ns", "", "", ""] in rows
    (own,) = (row for row in rows if row[1] == "e.Lock")
    assert own[-2] == "<= 0.95 ns"
    assert own[-1].startswith("unclear, no")


def test_the_table_puts_what_is_of_one_aspect_together() -> None:
    lines = [line for line in shown(everything()).splitlines() if "us" in line]
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in lines]
    wanted = [["wait: median", "a.Lock"], ["", "b.Lock"], ["worst", "a.Lock"]]
    assert [cell for cell in cells if cell in wanted] == wanted


def test_the_table_says_where_and_what_is_missing() -> None:
    text = shown(everything())
    assert "CPython 3.99" in text
    assert "4, [2] usable" in text
    assert "left out, row: f.Lock: f not installed" in text
    assert "broken, other: g.Lock: [it] broke" in text


def test_nothing_is_shown_of_nothing() -> None:
    text = shown(Report({"python": "CPython 3.99"}))
    assert text.split() == ["python", "CPython", "3.99"]


def test_a_table_for_a_file_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    widths = {len(line) for line in shown(everything()).splitlines()}
    assert 80 < max(widths) <= 140


@pytest.mark.parametrize(
    ("value", "said"),
    [(1234567.8, "1,234,568"), (99.94, "99.9"), (0.12345, "0.123"), (0, "0")],
)
def test_a_number_has_about_three_digits(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("ratio", "said"), [(12.3, "12"), (1.234, "1.23"), (0.012345, "0.0123")]
)
def test_a_ratio_has_the_digits_that_mean_something(ratio: float, said: str) -> None:
    assert factor(ratio) == said


@pytest.mark.parametrize(
    ("took", "done", "expected", "said"),
    [
        (0, 0, 60, "about 60 s left"),
        (20, 10, 40, "about 60 s left"),
        (600, 300, 1200, "about 30 min left"),
        (5, 50, 40, "about 0 s left"),
    ],
)
def test_time_left(took: float, done: float, expected: float, said: str) -> None:
    assert left(took, done, expected) == said


def test_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    times = iter([0.0, 100.0])
    monkeypatch.setattr(display, "monotonic", lambda: next(times))
    with progress(400.0) as advance:
        advance("with-thread", 100.0)
    captured = capsys.readouterr()
    assert "with-thread" in captured.err
    assert "about 5 min left" in captured.err
    assert not captured.out


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(400.0) as advance:
        advance("with-thread", 100.0)
    assert capsys.readouterr() == ("", "")


# Where it ran.


def test_surroundings() -> None:
    said = environment.surroundings()
    assert all(said.values())
    assert {"python", "GIL", "CPU", "cores", "load at the start"} <= set(said)
    assert all(isinstance(value, str) for value in said.values())


def test_what_is_not_installed() -> None:
    assert environment.installed("anylock-is-not-called-so") == "not installed"


def test_cpu(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert environment.cpu(info)
    info.write_text("flags : many\nmodel name\t: Abacus 3000\n", encoding="utf-8")
    assert environment.cpu(info) == "Abacus 3000"
    info.write_text("flags : many\n", encoding="utf-8")
    assert environment.cpu(info)


def test_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (1.0, 2.5, 3.25))
    assert environment.load() == "1.00 2.50 3.25"
    monkeypatch.delattr("os.getloadavg")
    assert environment.load() == "unknown"


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", constantly({1, 2}), raising=False)
    assert environment.cores() == "8, 2 usable"
    monkeypatch.delattr("os.sched_getaffinity")
    assert environment.cores() == "8"


def test_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", constantly(0))
    assert environment.gil() == "on"
    monkeypatch.setattr("sysconfig.get_config_var", constantly(1))
    monkeypatch.setattr("sys._is_gil_enabled", lambda: False, raising=False)
    assert environment.gil() == "off, in a free-threaded build"
    monkeypatch.setattr("sys._is_gil_enabled", lambda: True)
    assert environment.gil() == "on, in a free-threaded build"
    monkeypatch.delattr("sys._is_gil_enabled")
    assert environment.gil() == "on, in a free-threaded build"
