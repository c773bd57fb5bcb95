"""What a profile tells of programs in which it is known who waits for whom."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from anylock.__main__ import main
from anylock._profile import command, ledger
from anylock._profile.stacktable import StackTable
from profiled import locks_of, profiled, told, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENDED = """
    import threading, time
    lock = threading.Lock()
    taken = threading.Event()
    def hold():
        with lock:
            taken.set()
            while not waits():
                time.sleep(0.001)
    def waits():
        return lock._anylock.waits
    def wait():
        taken.wait()
        with lock:
            pass
    holder = threading.Thread(target=hold, name="holder")
    waiter = threading.Thread(target=wait, name="waiter")
    for thread in (holder, waiter):
        thread.start()
    for thread in (holder, waiter):
        thread.join()
    """

INVERTED = """
    import threading
    a = threading.Lock()
    b = threading.RLock()
    c = threading.Semaphore()
    with a, b:
        pass
    with b, c:
        pass
    def back():
        with b, a:
            pass
    back()
    """


def test_who_blocks_whom(tmp_path: Path) -> None:
    report = told(tmp_path, CONTENDED)
    lock = locks_of(report)["app:3 lock Lock"]
    assert (lock["kind"], lock["file"]) == ("thread", str(tmp_path / "app.py"))
    assert lock["source"] == "lock = threading.Lock()"
    assert (lock["locks"], lock["acquisitions"], lock["contended"]) == (1, 2, 1)
    assert 0 < lock["total_wait"] == lock["max_wait"] <= lock["max_hold"]
    (blocked,) = report["blocked"]
    place = str(tmp_path / "app.py")
    assert blocked["waiter"] == f"{place}:14 in wait"
    assert blocked["holder"] == f"{place}:6 in hold"
    assert blocked["waiters"] == ["waiter"]
    assert blocked["holders"] == ["holder"]
    assert blocked["waits"] == 1
    assert blocked["seconds"] == pytest.approx(lock["total_wait"], rel=0.5)
    frames = report["stacks"][blocked["waiter_stack"]]
    assert [each["function"] for each in frames] == ["wait"]
    assert frames[0]["source"] == "with lock:"


def test_the_timeline(tmp_path: Path) -> None:
    report = told(tmp_path, CONTENDED)
    spans = [
        (report["actors"][actor], what, outcome)
        for actor, _, _, what, _, _, _, outcome, _ in report["spans"]
    ]
    assert spans == [
        ("thread holder", "hold", ""),
        ("thread waiter", "wait", "got"),
        ("thread waiter", "hold", ""),
    ]
    hold, wait, later = report["spans"]
    assert 0 <= hold[4] <= wait[4] <= hold[5] <= wait[5] <= later[4]
    assert later[5] <= report["seconds"]
    assert report["events"] == 5
    assert report["dropped"] == 0


def test_what_goes_on_at_the_end(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading, time
        lock, condition = threading.Lock(), threading.Condition()
        lock.acquire()
        def wait():
            with lock:
                pass
        def wait_to_be_notified():
            with condition:
                condition.wait()
        for target in (wait, wait_to_be_notified):
            threading.Thread(target=target, daemon=True).start()
        while not (lock._anylock.waits and condition._anylock.waits):
            time.sleep(0.001)
        """,
    )
    found = {(each[3], each[7]) for each in report["spans"] if each[7]}
    assert found == {
        ("hold", "held at the end"),
        ("wait", "waiting at the end"),
        ("notice", "waiting at the end"),
    }
    (blocked,) = report["blocked"]
    assert blocked["holder"].endswith("app.py:4 in <module>")


def test_orders(tmp_path: Path) -> None:
    report = told(tmp_path, INVERTED)
    names = [each["name"] for each in report["locks"]]
    orders = {
        (names[each["first"]], names[each["then"]]): each for each in report["orders"]
    }
    assert len(names) == 3
    a, b, _ = sorted(names)
    assert {pair: each["inverted"] for pair, each in orders.items()} == {
        (a, b): True,
        (b, a): True,
    }
    taken = report["stacks"][orders[b, a]["taken"]]
    assert taken[-1]["function"] == "back"
    (found,) = report["found"]
    assert found["kind"] == "order"
    assert "opposite orders" in found["message"]
    assert found["who"] == "thread MainThread"


def test_a_deadlock_is_told_and_not_raised(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        lock = threading.Lock()
        with lock:
            print(lock.acquire(timeout=0.01))
        """,
    )
    (found,) = report["found"]
    assert found["kind"] == "near deadlock"
    (blocked,) = report["blocked"]
    assert blocked["waiters"] == blocked["holders"] == ["MainThread"]


def test_many_locks_of_one_place(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        for number in range(2500):
            lock = threading.Lock()
            with lock:
                pass
        """,
        *("--events", "10"),
    )
    (lock,) = report["locks"]
    assert (lock["locks"], lock["acquisitions"]) == (2500, 2500)
    assert (report["events"], report["dropped"]) == (5000, 4990)
    assert len(report["spans"]) == 5


def test_all_that_wait_are_counted_and_some_are_named(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import asyncio
        async def main():
            permits = asyncio.Semaphore(2)
            async def work():
                async with permits:
                    await asyncio.sleep(0.001)
            await asyncio.gather(*(work() for _ in range(12)))
        asyncio.run(main())
        """,
    )
    (blocked,) = report["blocked"]
    assert blocked["waits"] == 10
    assert len(blocked["waiters"]) == len(blocked["holders"]) == 5


def test_the_sides_of_a_read_write_lock(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading, time
        import anylock
        shared = anylock.make_rwlock("thread")
        def write():
            with shared.write:
                pass
        with shared.read:
            writer = threading.Thread(target=write, name="writer")
            writer.start()
            while not shared.write.record.waits:
                time.sleep(0.001)
        writer.join()
        """,
    )
    (blocked,) = report["blocked"]
    assert report["locks"][blocked["lock"]]["family"] == "RWLock.write"
    assert report["locks"][blocked["lock"]]["name"] == "app:4 shared"
    assert (blocked["waiters"], blocked["holders"]) == (["writer"], ["MainThread"])


def test_holds_that_were_over_before(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        permits = threading.Semaphore(2)
        first = permits.acquire()
        with permits:
            over = True
        second = permits.acquire()
        permits.acquire(timeout=0.001)
        """,
    )
    holders = {each["holder"].rpartition("app.py:")[2] for each in report["blocked"]}
    assert holders == {"4 in <module>", "7 in <module>"}


def test_who_only_reads_is_in_nobody_s_way(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import anylock
        a, b = (
            anylock.make_rwlock("thread"),
            anylock.make_rwlock("thread"),
        )
        with a.read, b.read:
            pass
        with b.read, a.read:
            pass
        """,
    )
    assert [each["inverted"] for each in report["orders"]] == [False, False]
    assert report["found"] == []


def test_a_stack_of_nobody() -> None:
    stacks = StackTable()
    assert stacks.place(stacks.number(())) == "?"


def test_names_of_modules_that_are_run(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    program = "import threading\nlock = threading.Lock()"
    write(package, __init__="", __main__=program, part=program)
    for module, name in (
        ("package", "package.__main__:2 lock"),
        ("package.part", "package.part:2 lock"),
    ):
        options = ("--json", "x.json")
        assert profiled(tmp_path, "-m", module, options=options).status == 0
        report = json.loads((tmp_path / "x.json").read_text())
        assert [each["name"] for each in report["locks"]] == [name]
        assert report["program"] == ["-m", module]


def test_labels(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import threading
        from anylock.debug import label
        lock = threading.Lock()
        with label("refresh"), lock:
            pass
        """,
    )
    assert [each[-1] for each in report["spans"]] == ["refresh"]


# The tables.


def table_rows(report: str, title: str) -> list[list[str]]:
    table = report.partition(title)[2].partition("└")[0]
    rows = [line for line in table.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


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
            condition.wait(0.001)
            lock.acquire(timeout=0.001)
        """,
    )
    report = profiled(tmp_path, "app.py").report
    ((name, *numbers),) = table_rows(report, "Waits to be")
    assert (name, numbers[:4]) == ("app:3 condition", ["thread", "1", "1", "0"])
    assert "near deadlock:\nthis is a deadlock, but" in report


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


# The command.


def test_options_that_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile"]) == command.FAILED
    assert main(["profile", "-m"]) == command.FAILED
    assert main(["profile", "--", "missing.py"]) == command.FAILED
    assert main(["profile", "-o", "no/where.html", "x.py"]) == command.FAILED
    said = capsys.readouterr().err
    assert said.count("which program?") == 2
    assert "cannot open '" in said
    assert "no/where.html': No such file" in said
    for number in ("0", "many", "-1"):
        with pytest.raises(SystemExit):
            main(["profile", "--events", number, "x.py"])
    assert "must be a whole number above 0, not 'many'" in capsys.readouterr().err


def test_without_rich(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    monkeypatch.setattr(command, "find_spec", nothing)
    assert main(["profile", "x.py"]) == command.FAILED
    assert "pip install 'anylock[cli]'" in capsys.readouterr().err
    data = tmp_path / "x.json"
    assert main(["profile", "--json", str(data), "missing.py"]) == command.FAILED
    assert "missing.py" in capsys.readouterr().err


NO_RICH = """
    import importlib.util
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name: None if name == "rich" else find_spec(name)
    """


def test_rich_is_not_needed_for_files(tmp_path: Path) -> None:
    write(tmp_path, sitecustomize=NO_RICH, app="print('ran')")
    done = profiled(
        tmp_path, "app.py", options=("--json", "x.json"), environment=tmp_path
    )
    assert (done.status, done.out, done.err, done.report) == (0, "ran\n", "", "")
    assert json.loads((tmp_path / "x.json").read_text())["locks"] == []


def test_a_program_that_goes_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, app="import os; os.chdir('/')")
    assert profiled(tmp_path, "app.py", options=("--json", "x.json")).status == 0
    assert json.loads((tmp_path / "x.json").read_text())["program"] == ["app.py"]


def test_a_file_that_cannot_be_written_any_more(tmp_path: Path) -> None:
    write(tmp_path, app="import os; os.remove('x.json'); os.mkdir('x.json')")
    done = profiled(tmp_path, "app.py", options=("--json", "x.json"))
    assert done.status == 0
    assert "cannot write '" in done.err


def test_a_program_without_stderr(tmp_path: Path) -> None:
    write(tmp_path, app="import sys; sys.stderr = None; sys.stdout = None")
    done = profiled(tmp_path, "app.py")
    assert done[:3] == (0, "", "")


def test_a_lock_that_goes_while_others_are_summed_up() -> None:
    with ledger._summing:
        ledger._sum_up()  # as a finalizer that makes a lock, in the same thread


def test_json_is_of_this_version(tmp_path: Path) -> None:
    report: Any = told(tmp_path, "pass")
    assert report["version"] == 1
    assert report["python"].startswith("CPython 3.")
