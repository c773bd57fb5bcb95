"""How the demo ends when something goes wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from anylock.__main__ import INTERRUPTED, main
from anylock._demo import command, demo
from anylock._demo.runs import Job, RunFailedError, count
from anylock._demo.tally import Tally
from demos import KINDS, POEM, WORDS, has_trio

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["demo_fixtures", "interrupt_fixtures"]
pytestmark = pytest.mark.usefixtures("nothing_left_behind", "plain_screen")


@pytest.mark.usefixtures("interrupts_raise")
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt(
    kind: str,
    poem: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    has_trio(kind)
    pages = Counter[str]()

    def interrupt(title: str, _share: float) -> None:
        pages[title] += 1
        if pages.total() == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(demo, "_no_progress", interrupt)
    arguments = ["demo", "--json", "--start-method", "spawn", "--kind", kind, str(poem)]
    assert main(arguments) == INTERRUPTED
    assert set(pages) == {f"{kind} without lock"}
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("interrupts_raise")
def test_an_interrupt_while_files_are_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Without -W error: an interrupt between open() and `with` leaves a file unclosed.
    with subprocess.Popen(
        [sys.executable, "-m", "anylock", "demo", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        with fifo.open("w"):  # as soon as the demo has opened it
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == INTERRUPTED
        assert process.communicate()[0] == ""


def test_interrupts_that_are_ignored_stay_ignored(
    poem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_title: str, _share: float) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(demo, "_no_progress", interrupt)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `command &` does
    try:
        assert main(["demo", "--kind", "asyncio", "--json", str(poem)]) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_interrupts_are_left_alone(poem: Path) -> None:
    statuses: list[int] = []

    def run_main() -> None:
        statuses.append(main(["demo", "--kind", "asyncio", "--json", str(poem)]))

    thread = threading.Thread(target=run_main)
    thread.start()
    thread.join()
    assert statuses == [0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tally_that_breaks(kind: str, tmp_path: Path) -> None:
    has_trio(kind)
    file = tmp_path / "tally"

    def spoil() -> bool:
        file.write_bytes(b"no database " * 1000)
        return True

    context = multiprocessing.get_context("spawn")
    job = Job(kind, [[POEM] * 100] * 2, WORDS, context, spoil)
    with pytest.raises(RunFailedError, match=f"^kind '{kind}' cannot count into "):
        count(job, file, locked=True)


@pytest.mark.parametrize("kind", ["thread", "asyncio", "trio"])
def test_workers_stop_when_their_reports_are_answered_by_no(
    kind: str, tmp_path: Path
) -> None:
    has_trio(kind)
    context = multiprocessing.get_context("spawn")
    job = Job(kind, [[POEM] * 100] * 2, WORDS, context, lambda: False)
    outcome = count(job, tmp_path / "tally", locked=True)
    assert outcome.words == 2 * WORDS.total()  # each has counted one page


def test_a_file_that_is_no_tally(tmp_path: Path) -> None:
    file = tmp_path / "tally"
    file.write_bytes(b"no database " * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        Tally(file)


def test_a_run_that_fails(
    poem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        message = "no luck today"
        raise RunFailedError(message)

    monkeypatch.setattr(demo, "count", fail)
    assert main(["demo", str(poem)]) == command.FAILED
    assert capsys.readouterr() == ("", "anylock demo: no luck today\n")
