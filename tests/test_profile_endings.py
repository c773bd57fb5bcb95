"""Programs under the profiler end as they do without, and are reported all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anylock._profile import ending
from profiled import PATIENCE, Done, plain, profiled, write

if TYPE_CHECKING:
    from pathlib import Path

SIGNALS = ("SIGHUP", "SIGINT", "SIGTERM")

# It waits again and again, since Python forgets to look for a signal that comes right
# before a wait. It is ready when it did before: an interrupt amid what measures the
# coverage of new code would leave that locked.
WAITS = """
    import threading, time
    lock = threading.Lock()
    def tell():
        while hasattr(lock, "_anylock") and lock._anylock.timeouts < 2:
            time.sleep(0.001)  # polled: no event tells of a time-out
        print("ready", flush=True)
    threading.Thread(target=tell, daemon=True).start()
    with lock:
        while not lock.acquire(timeout=0.01):
            pass
    """

ENDS = {
    "by _exit": "import os; os._exit(5)",
    "by _exit in a thread": """
        import os, threading
        thread = threading.Thread(target=os._exit, args=(6,))
        thread.start()
        thread.join()
        """,
    "by a signal that it sends": """
        import signal
        signal.raise_signal(signal.SIGTERM)
        """,
    "by a signal that it had ignored": """
        import signal
        def ignored():
            return before == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        before = signal.getsignal(signal.SIGTERM)
        assert ignored()
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        assert signal.signal(signal.SIGTERM, before) == signal.SIG_IGN
        assert ignored()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.raise_signal(signal.SIGTERM)
        """,
    "with a thread that goes on": """
        import threading
        lock = threading.Lock()
        def hold():
            with lock:
                ready.set()
                threading.Event().wait()
        ready = threading.Event()
        threading.Thread(target=hold, daemon=True).start()
        ready.wait()
        """,
}


@pytest.mark.parametrize("end", ENDS)
def test_ends(end: str, tmp_path: Path) -> None:
    write(tmp_path, app=ENDS[end])
    done = profiled(tmp_path, "app.py")
    assert done._replace(report="") == plain(tmp_path, "app.py")
    assert done.report.count(" events in ") == 1


def ended_by(number: int, folder: Path, *command: str) -> Done:
    """Run something that waits, and end it by a signal."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Done(process.returncode, out, err, "")


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_from_outside(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    write(tmp_path, app=WAITS)
    expected = ended_by(number, tmp_path, "app.py")
    done = ended_by(number, tmp_path, "-m", "anylock", "profile", "app.py")
    assert done.status == expected.status == -number
    before, _, report = done.err.partition("1 lock from 1 place")
    assert before.splitlines()[-1:] == expected.err.splitlines()[-1:]
    assert "anylock" not in before
    assert "app:3 lock" in report


FORKS = """
    import os, signal, threading
    signal.signal(signal.SIGHUP, print)
    def fork():
        child = os.fork()
        if child == 0:
            try:
                assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
                assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        os.kill(child, signal.SIGTERM)  # at once
        print(os.waitpid(child, 0)[1], flush=True)
    for _ in range(20):
        fork()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child = os.fork()
    if child == 0:
        os._exit(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    print(os.waitpid(child, 0)[1], flush=True)
    """


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
def test_signals_to_forked_children(tmp_path: Path) -> None:
    write(tmp_path, app=FORKS)
    done = profiled(tmp_path, "app.py")
    assert done.out == f"{int(signal.SIGTERM)}\n" * 20 + "256\n"
    assert done[:3] == plain(tmp_path, "app.py")[:3]
    assert done.report


def test_a_signal_that_is_ignored(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
        import signal
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
        """,
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        done = profiled(tmp_path, "app.py")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (done.status, done.err) == (0, "")
    assert done.report


def test_what_a_signal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    # Here, as what it ends leaves no traces of what it ran.
    done: list[object] = []

    def note(*arguments: object) -> None:
        done.append(arguments)

    monkeypatch.setattr(os, "kill", note)
    monkeypatch.setattr(ending, "_set_handler", note)
    ending._dying(lambda: done.append("end"))(signal.SIGTERM, None)
    assert done == [
        (signal.SIGTERM, signal.SIG_DFL),
        "end",
        (os.getpid(), signal.SIGTERM),
    ]


HURRY = """
    import _thread, signal, sys
    sys.stderr.flush()
    class Slow:
        closed = False
        def write(self, text):
            if not self.closed:
                self.closed = True
                {hurry}
            return sys.__stderr__.write(text)
        def __getattr__(self, name):
            return getattr(sys.__stderr__, name)
    sys.stderr = Slow()
    """


def test_who_is_interrupted_while_it_reports(tmp_path: Path) -> None:
    write(tmp_path, app=HURRY.format(hurry="signal.raise_signal(signal.SIGINT)"))
    done = profiled(tmp_path, "app.py")
    assert done.status == 0
    assert done.err == "anylock profile: interrupted, the report is not complete\n"


def test_who_is_ended_while_it_reports(tmp_path: Path) -> None:
    write(tmp_path, app=HURRY.format(hurry="signal.raise_signal(signal.SIGTERM)"))
    done = profiled(tmp_path, "app.py")
    assert (done.status, done.err, done.report) == (-signal.SIGTERM, "", "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_that_are_closed(stream: str, tmp_path: Path) -> None:
    write(tmp_path, app=f"import sys; sys.{stream}.close()")
    done = profiled(tmp_path, "app.py")
    assert done._replace(report="") == plain(tmp_path, "app.py")
    assert bool(done.report) == (stream == "stdout")


def test_the_program_has_a_module_of_the_name(tmp_path: Path) -> None:
    write(tmp_path, app="import rich; print(rich.own)", rich="own = 1")
    done = profiled(tmp_path, "app.py")
    assert (done.status, done.out, done.err) == (0, "1\n", "")
    assert done.report


def test_the_program_has_modules_that_the_report_needs(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, app="print('ran')", html="print('never')", random="print('never')")
    done = profiled(tmp_path, "folder/app.py", options=("-o", "page.html"))
    assert (done.status, done.out, done.err) == (0, "ran\n", "")
    assert "<title>" in (tmp_path / "page.html").read_text()
    assert done.report


def test_the_program_may_not_open_files_any_more(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
        import os, pathlib, sys
        def refuse(event, arguments):
            if event == "open" and str(arguments[0]).endswith((".html", ".json")):
                raise PermissionError(13, "Permission denied", arguments[0])
        sys.addaudithook(refuse)
        if sys.argv[1:]:
            os.closerange(3, 100)
        if sys.argv[1:] == ["reuse"]:
            others = [open("other", "w") for _ in range(20)]
        """,
    )
    files = [tmp_path / "x.html", tmp_path / "x.json"]
    options = ("-o", str(files[0]), "--json", str(files[1]))
    files[0].write_text("before" * 100_000)
    done = profiled(tmp_path, "app.py", options=options)
    assert (done.status, done.err) == (0, "")
    assert files[0].read_text().startswith("<!DOCTYPE")
    assert json.loads(files[1].read_text())["locks"] == []
    for way in ("close", "reuse"):
        done = profiled(tmp_path, "app.py", way, options=options)
        assert done.status == 0
        assert done.err.count("anylock profile: cannot write") == 2
        assert done.report
    assert not (tmp_path / "other").read_text()
