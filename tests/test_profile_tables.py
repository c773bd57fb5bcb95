"""The sub-command `profile`: its tables in the terminal."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from profiled import CONTENDED, profiled, write

if TYPE_CHECKING:
    from pathlib import Path


def table_rows(report: str, title: str) -> list[list[str]]:
    table = report.partition(title)[2].partition("\n\n")[0]
    rows = re.split("─ *\n", table)[1].splitlines()
    return [re.split(r"\s{2,}", row.strip()) for row in rows if "  " in row.strip()]


@pytest.fixture
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_wide")
def test_tables(tmp_path: Path) -> None:
    write(tmp_path, app=CONTENDED)
    report = profiled(tmp_path, "app.py").report
    assert re.match(r"1 lock from 1 place, 5 events in \d+\.\d\d s\n", report)
    ((name, kind, *numbers),) = table_rows(report, "Locks, by")
    assert [name, kind, *numbers[:3]] == ["app:3 lock", "thread Lock", "1", "2", "1"]
    assert all(re.fullmatch(r"\d\.\d{3}", number) for number in numbers[3:])
    ((*who, waits, _),) = table_rows(report, "Who keeps")
    assert who == ["app.py:14 in wait", "app:3 lock", "app.py:6 in hold"]
    assert waits == "1"
    assert "Waits to be notified" not in report


@pytest.mark.usefixtures("_wide")
def test_tables_of_conditions_and_findings(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
        import threading
        condition = threading.Condition(lock := threading.Lock())
        with condition:
            lock.acquire(timeout=0.001)
            condition.wait(0.001)
        """,
    )
    report = profiled(tmp_path, "app.py").report
    ((name, *numbers),) = table_rows(report, "Waits to be")
    assert (name, numbers[:4]) == ("app:3 condition", ["thread", "1", "1", "0"])
    assert "near deadlock:\nthis is a deadlock, but a wait in it has a limit" in report


@pytest.mark.usefixtures("_wide")
def test_long_tables(tmp_path: Path) -> None:
    lines = ["import threading, time"]
    lines += [f"lock_{n} = threading.Lock()" for n in range(20)]
    lines += [f"with lock_{n}: time.sleep({n / 10_000})" for n in range(20)]
    write(tmp_path, app="\n".join(lines))
    report = profiled(tmp_path, "app.py", options=("--events", "8")).report
    assert "20 locks from 20 places, 40 events" in report
    assert "the first 32 of them were dropped" in report
    rows = table_rows(report, "Locks, by")
    held = [float(row[-2]) for row in rows]
    assert len(held) == 15
    assert all(one >= other for one, other in pairwise(held))
    assert "and 5 more" in report


def test_narrow_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    write(
        tmp_path,
        app="""
        import threading
        def guarded():
            with a_lock_that_has_a_longer_name:
                pass
        def caller():
            guarded()
        never_taken = threading.Lock()
        a_lock_that_has_a_longer_name = threading.Lock()
        a_lock_that_has_a_longer_name.acquire()
        thread = threading.Thread(target=caller)
        thread.start()
        while not a_lock_that_has_a_longer_name.locked() or not (
            a_lock_that_has_a_longer_name._anylock.waits
        ):
            pass
        a_lock_that_has_a_longer_name.release()
        thread.join()
        """,
    )
    report = profiled(tmp_path, "app.py").report
    assert re.search(r"app:9 a_lock_that_has_a_longer_name +2 +1 ", report)
    assert "never_taken" not in report
    assert "Those from 1 of the places were never taken." in report
    monkeypatch.delenv("COLUMNS")
    report = profiled(tmp_path, "app.py").report
    assert "app.py:4 in guarded, for app.py:7 in caller" in report
