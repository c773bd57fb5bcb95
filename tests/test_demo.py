"""`python -m anylock demo`: what it finds, what it prints, and how it ends."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from anylock import Lock, __version__, make_lock
from anylock.__main__ import INTERRUPTED, main
from anylock._demo import command, demo, display, processes, runs, section, texts
from anylock._demo.display import progress
from anylock._demo.processes import WorkerDiedError, run_workers
from anylock._demo.runs import Job, RunFailedError, count
from anylock._demo.tally import Tally
from anylock._demo.texts import UnreadableTextError, read_texts, words_of
from backends import ASYNCIO, TRIO, Backend, require, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("thread", "process", "asyncio", "trio")

POEM = "one fish two fish\nred fish blue fish\n"
WORDS = Counter({"fish": 4, "one": 1, "two": 1, "red": 1, "blue": 1})


@pytest.fixture(autouse=True)
def plain_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen without colours, wide enough for the table."""
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def nothing_left_behind(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """After each test there are no files, processes or signal handlers of the demo."""
    directory = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    handler = signal.getsignal(signal.SIGINT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    assert not list(directory.glob("anylock-demo-*"))
    assert not multiprocessing.active_children()
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    path = tmp_path / "poem.txt"
    path.write_text(POEM * 10, encoding="utf-8")
    return path


def has_trio(kind: str) -> None:
    if kind == "trio":
        require(TRIO)


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


# The critical section, with a race that is staged.


class NoLock(nullcontext[None]):
    """Lets everybody in."""

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Intruder:
    """Adds words in the middle of somebody else's critical section, if he can."""

    def __init__(self, lock: Lock | NoLock, tally: Tally) -> None:
        self._lock = lock
        self._tally = tally
        self._done = False

    def look(self, *_args: object) -> None:
        if not self._done and self._lock.try_acquire():
            self._done = True
            self._tally.write(self._tally.read(WORDS) + WORDS)
            self._lock.release()

    async def look_in_task(self, *_args: object) -> None:
        self.look()


@pytest.mark.parametrize("kind", ["none", "thread", "process"])
def test_an_update_is_lost_without_the_lock_only(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = NoLock() if kind == "none" else make_lock(kind)
    with Tally(tmp_path / "tally") as tally:
        intruder = Intruder(lock, tally)
        monkeypatch.setattr(section, "time", SimpleNamespace(sleep=intruder.look))
        section.add(lock, tally, WORDS)
        intruder.look()
        assert tally.read_all().total() == (8 if kind == "none" else 16)


@pytest.mark.parametrize("library", [ASYNCIO, TRIO], ids=str)
@pytest.mark.parametrize("kind", ["none", "async", "thread", "process"])
def test_a_task_loses_an_update_without_the_lock_only(
    library: Backend, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = NoLock() if kind == "none" else make_lock(kind)
    with Tally(tmp_path / "tally") as tally:
        intruder = Intruder(lock, tally)
        anyio_of_section = SimpleNamespace(sleep=intruder.look_in_task)
        monkeypatch.setattr(section, "anyio", anyio_of_section)
        run(library, section.add_in_task, lock, tally, WORDS)
        intruder.look()
        assert tally.read_all().total() == (8 if kind == "none" else 16)


def test_the_two_colours_of_the_section_are_one_text() -> None:
    source = Path(section.__file__).read_text(encoding="utf-8")
    sync, _, task = source.partition("async def add_in_task")
    body = sync[sync.index("    with lock:") :].strip()
    in_task = task[task.index("    async with lock:") :]
    for of_task, of_thread in (("async ", ""), ("await anyio.", "time.")):
        in_task = in_task.replace(of_task, of_thread)
    assert code_of(in_task) == code_of(body)


def code_of(text: str) -> list[str]:
    return [line.partition("#")[0].strip() for line in text.strip().splitlines()]


# What is counted.


def test_pages_have_all_the_words(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    text = "".join(f"word{n} again\v{n}\x85x\n" for n in range(100_000))
    path.write_text(text, encoding="utf-8")
    found = read_texts([path])
    assert "".join(found.pages) == text
    counted = Counter[str]()
    for page in found.pages:
        counted.update(words_of(page))
    assert counted == found.expected
    assert found.expected["again"] == 100_000


def test_bytes_that_are_no_text_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latin-1.txt"
    path.write_bytes("eins zwei dr\xfcck\n".encode("latin-1") * 5)
    arguments = ["demo", "--json", "--kind", "asyncio", str(path)]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["expected"] == 20
    (line,) = captured.err.splitlines()
    assert line == (
        f"anylock demo: {path}: not UTF-8 at byte 12; such bytes separate words"
    )


def test_files_that_cannot_be_read(
    poem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    arguments = [str(nowhere), str(poem), str(tmp_path), "/dev/zero"]
    assert main(["demo", *arguments]) == command.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"anylock demo: {nowhere}: No such file or directory",
        f"anylock demo: {tmp_path}: Is a directory",
        "anylock demo: /dev/zero: Is a device, not a text file",
    ]


def test_a_file_without_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert main(["demo", str(empty)]) == command.FAILED
    assert capsys.readouterr().err == (
        "anylock demo: there is not a single word in these files\n"
    )


def test_a_python_without_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_path(_name: str) -> str:
        return str(tmp_path)

    monkeypatch.setattr(texts, "sysconfig", SimpleNamespace(get_path=get_path))
    with pytest.raises(UnreadableTextError, match="name some files"):
        texts.read_standard_library()


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


# How it ends when something goes wrong.


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


# Worker processes. Spawned: what runs tests may have threads, and should not fork.

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
        from test_demo import work_on
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
