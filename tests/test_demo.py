"""`python -m anylock demo`: what it finds, what it prints, and its options."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import re
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from anylock import __version__
from anylock.__main__ import main
from anylock._demo import command, demo, display, runs, texts
from anylock._demo.display import progress
from anylock._demo.texts import words_of
from demos import KINDS, has_trio

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

pytest_plugins = ["demo_fixtures"]
pytestmark = pytest.mark.usefixtures("nothing_left_behind", "plain_screen")


def missing(*names: str) -> Callable[[str], object]:
    """Stand in for find_spec where these modules are not installed."""

    def find_spec(name: str) -> object:
        return None if name in names else importlib.util.find_spec(name)

    return find_spec


def run_alone(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        **options,
    )


# What it finds.


@pytest.mark.parametrize("kind", ["thread", "asyncio", "trio"])
def test_json(kind: str, poem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    has_trio(kind)
    assert main(["demo", "--json", "--kind", kind, "--workers", "3", str(poem)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)
    (row,) = found.pop("kinds")
    start_method = multiprocessing.get_context().get_start_method()
    assert found == {
        "correct": True,
        "expected": 80,
        "files": 1,
        "skipped": {},
        "start_method": start_method,
        "updates": 20,
    }
    assert (row["kind"], row["workers"]) == (kind, 3)
    assert row["with_lock"].pop("seconds") > 0
    assert row["with_lock"] == {"words": 80, "lost": 0, "correct": True}
    without = row["without_lock"]
    assert without["words"] + without["lost"] == 80
    assert without["correct"] == (without["lost"] == 0)
    if kind != "thread":  # tasks take turns: what they lose is no matter of luck
        assert without["lost"] > 0


def test_json_of_processes(start_method: str, poem: Path) -> None:
    done = run_alone(
        *("-m", "anylock", "demo", "--json", "--kind", "process"),
        *("--start-method", start_method, str(poem)),
    )
    assert done.stderr == ""
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["start_method"] == start_method
    assert found["kinds"][0]["with_lock"]["correct"]


def test_the_table(poem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--kind", "asyncio", "--kind", "asyncio", str(poem)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "80 words of 1 file in 20 updates of one SQLite file" in captured.out
    heading, row = (re.findall("[^│┃]+", line) for line in table_of(captured.out))
    assert [cell.strip() for cell in heading] == [
        *("Kind", "Workers", "Expected", "Without lock", "With lock", "Seconds")
    ]
    cells = [cell.strip() for cell in row]
    assert cells[:3] == ["asyncio", "4", "80"]
    assert re.fullmatch(r"\d+ lost \(\d+%\)", cells[3])
    assert cells[4] == "right"
    assert re.fullmatch(r"\d+\.\d\d / \d+\.\d\d", cells[5])


def table_of(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("│", "┃"))]


def test_all_kinds_and_the_standard_library_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(texts, "ENOUGH_PAGES", 5)
    assert main(["demo", "--start-method", "spawn"]) == 0
    captured = capsys.readouterr()
    rows = [re.findall(r"[\w-]+", line)[0] for line in table_of(captured.out)[1:]]
    assert rows == list(KINDS)
    assert captured.err == ""


def test_a_single_worker_loses_nothing(
    poem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--workers", "1", "--kind", "asyncio", str(poem)]) == 0
    assert capsys.readouterr().out.count("right") == 2


@pytest.mark.parametrize("output", ["--json", "table"])
def test_a_lock_that_does_not_lock_is_found_out(
    output: str,
    poem: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def make_no_lock(_kind: str) -> nullcontext[None]:
        return nullcontext()

    monkeypatch.setattr(runs, "make_lock", make_no_lock)
    options = [output] if output == "--json" else []
    assert main(["demo", "--kind", "asyncio", *options, str(poem)]) == demo.WRONG
    out = capsys.readouterr().out
    if options:
        assert json.loads(out)["correct"] is False
    else:
        assert len(re.findall(r"\d+ lost", out)) == 2


def test_wrong_words_are_found_out_though_their_number_is_right(
    poem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def misread(text: str) -> Counter[str]:
        return words_of(text.replace("one", "won"))

    monkeypatch.setattr(runs, "words_of", misread)
    arguments = ["demo", "--kind", "asyncio", "--workers", "1", str(poem)]
    assert main(arguments) == demo.WRONG
    assert capsys.readouterr().out.count("wrong words") == 2


# Options, and what may be missing.


@pytest.mark.parametrize("workers", ["0", "-1", "101", "2.5", "many", "", "²", "1_0"])
def test_bad_numbers_of_workers(
    workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", f"--workers={workers}"])
    assert caught.value.code == command.FAILED
    expected = f"--workers: must be a whole number from 1 to 100, not {workers!r}"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["demo", "--kind", "fibre"], ["daemon"]])
def test_bad_command_lines(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == command.FAILED


def test_help_and_version() -> None:
    done = run_alone("-m", "anylock", "demo", "--help")
    assert done.returncode == 0
    assert "--start-method" in done.stdout
    assert run_alone("-m", "anylock", "--version").stdout == f"{__version__}\n"


def test_no_trio_by_default(
    poem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "KINDS", ("asyncio", "trio"))
    monkeypatch.setattr(demo, "find_spec", missing("trio"))
    assert main(["demo", str(poem)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"│ trio +│ +│ +│ +not installed │", out)
    assert "trio: not installed: pip install 'anylock[trio]'" in out
    assert main(["demo", "--json", str(poem)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in found["kinds"]] == ["asyncio"]
    assert found["skipped"] == {"trio": "not installed: pip install 'anylock[trio]'"}


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("trio", ["--kind", "trio"], r"pip install 'anylock\[trio\]'$"),
        ("rich", [], r"pip install 'anylock\[cli\]'"),
        ("_sqlite3", ["--json"], "without sqlite3"),
    ],
)
def test_missing_modules(
    module: str,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "find_spec", missing(module))
    assert main(["demo", *arguments]) == command.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert re.match("anylock demo: .*", line)
    assert re.search(message, line)


def test_json_does_without_rich(poem: Path) -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from anylock.__main__ import main; sys.exit(main())"
    )
    done = run_alone("-c", program, "demo", "--json", "--kind", "asyncio", str(poem))
    assert done.stderr == ""
    assert json.loads(done.stdout)["correct"]


def test_the_progress_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal then
    threads = threading.active_count()
    with progress() as advance:
        advance("asyncio with lock", 0.25)
        assert threading.active_count() <= threads  # a process is to be forked now
    captured = capsys.readouterr()
    assert "asyncio with lock" in captured.err
    assert "25%" in captured.err
    assert captured.out == ""


def test_the_progress_bar_is_drawn_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To draw it for every word would take longer than to count them."""
    now = 1.0
    monkeypatch.setattr(display, "monotonic", lambda: now)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress() as advance:
        advance("first", 0.1)
        assert "first" in capsys.readouterr().err
        advance("second", 0.1)
        assert capsys.readouterr().err == ""
        now = 2.0
        advance("third", 0.1)
        assert "30%" in capsys.readouterr().err
