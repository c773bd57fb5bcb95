"""python -m anylock run, and python -m anylock locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anylock import MachineLock, make_lock
from anylock.__main__ import main
from anylock._machine.rwlock import MachineRWLock
from children import Signal
from staging import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = (sys.executable, "-c")


@pytest.fixture(autouse=True)
def _private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def lock(tmp_path: Path) -> MachineLock:
    return make_lock("machine", path=tmp_path / "lock")


def run(
    lock: MachineLock, *command: str, timeout: str = "60", options: tuple[str, ...] = ()
) -> int:
    options = ("--path", lock.path, "--timeout", timeout, *options)
    return main(["run", *options, "--", *command])


def started(
    lock: MachineLock, *command: str, options: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """Run a command under the lock, by another process, until it gets a line."""
    anylock = [sys.executable, "-m", "anylock", "run", "--path", lock.path]
    return subprocess.Popen(
        [*anylock, *options, "--", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("status", [0, 1, 3, 75])
def test_the_status_is_that_of_the_command(lock: MachineLock, status: int) -> None:
    assert run(lock, *PYTHON, f"raise SystemExit({status})") == status
    assert not lock.locked()


def test_a_command_that_is_killed(lock: MachineLock) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run(lock, *PYTHON, kill) == 128 + signal.SIGKILL


def test_the_lock_is_held_meanwhile(lock: MachineLock) -> None:
    look = (
        "import sys\n"
        "from anylock import make_lock\n"
        f"lock = make_lock('machine', path={lock.path!r})\n"
        "sys.exit(10 + lock.locked())"
    )
    assert run(lock, *PYTHON, look) == 11


def test_the_time_is_over(
    lock: MachineLock, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock:
        assert run(lock, *PYTHON, "assert False", timeout="0") == 75
        assert run(lock, *PYTHON, "assert False", timeout="0.01") == 75
    assert "was not free within 0.01 s" in capsys.readouterr().err


def test_what_cannot_be_run(
    lock: MachineLock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lock, str(tmp_path / "missing")) == 127
    (tmp_path / "text").write_text("no program")
    assert run(lock, str(tmp_path / "text")) == 126
    assert run(lock) == 2
    assert "which command?" in capsys.readouterr().err
    assert not lock.locked()


def test_what_is_no_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--path", str(tmp_path), "true"]) == 2
    assert main(["run", "--name", "", "--", "true"]) == 2
    assert "1 to 200 characters" in capsys.readouterr().err
    for wrong in (["--timeout", "-1"], ["--timeout", "soon"], ["--path", "x"], []):
        with pytest.raises(SystemExit) as exited:
            main(["run", *(["--name", "x"] if wrong else []), *wrong, "--", "true"])
        assert exited.value.code == 2


SHARED = ("--shared",)
UNTIL_TOLD = (*PYTHON, "print('runs', flush=True); input()")


def has_begun(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "runs\n"


def ends(process: subprocess.Popen[str]) -> bool:
    process.communicate("\n", timeout=PATIENCE)
    return process.returncode == 0


def test_commands_that_share_it(lock: MachineLock) -> None:
    """From two shells, and beside each other; who does not share it waits."""
    read = MachineRWLock(path=lock.path).read
    with started(lock, *UNTIL_TOLD, options=SHARED) as one:
        assert has_begun(one)
        with started(lock, *UNTIL_TOLD, options=SHARED) as two:
            assert has_begun(two)
            assert run(lock, "true", timeout="0", options=SHARED) == 0
            assert read.locked()
            for options in ((), ("--fair",)):
                assert run(lock, "true", timeout="0", options=options) == 75
            with started(lock, *UNTIL_TOLD, options=("--fair",)) as writer:
                until(lambda: not read._mutex._others.empty())
                assert run(lock, "true", timeout="0.01", options=SHARED) == 75
                assert ends(one)
                assert ends(two)
                assert has_begun(writer)
                assert run(lock, "true", timeout="0", options=SHARED) == 75
                assert ends(writer)
    assert not read.locked()


def test_to_share_it_is_told_of_the_last_holder(
    lock: MachineLock, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(lock, *UNTIL_TOLD) as process:
        assert has_begun(process)
        process.kill()
    for _ in range(2):
        assert run(lock, *PYTHON, "", options=SHARED) == 0
        assert "died while it held it" in capsys.readouterr().err


def test_the_last_holder_died(
    lock: MachineLock, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(lock, *PYTHON, "print(flush=True); input()") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert run(lock, *PYTHON, "") == 0
    assert "died while it held it" in capsys.readouterr().err


def test_the_command_does_not_inherit_the_lock(lock: MachineLock) -> None:
    """What it leaves running does not keep the lock."""
    over = Signal()
    leave = (
        "import os, sys\n"
        "if os.fork() == 0:\n"
        f"    os.read({over._read}, 1)\n"  # until this test is over
        "    os._exit(0)\n"
    )
    os.set_inheritable(over._read, True)
    program = (
        "import subprocess, sys\n"
        "original = subprocess.Popen\n"
        f"subprocess.Popen = lambda c: original(c, pass_fds=[{over._read}])\n"
        "from anylock.__main__ import main\n"
        f"sys.exit(main(['run', '--path', {lock.path!r}, '--', {sys.executable!r}, "
        f"'-c', {leave!r}]))"
    )
    subprocess.run([*PYTHON, program], check=True, pass_fds=[over._read])
    try:
        with lock.hold(PATIENCE):
            assert not lock.abandoned
    finally:
        over.set()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signals_are_passed_on(lock: MachineLock, name: str) -> None:
    number = signal.Signals[name]
    wait = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(7))\n"
        "print(flush=True)\n"
        "signal.pause()\n"
    )
    with started(lock, *PYTHON, wait) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 7
    assert not lock.locked()


def test_signals_before_the_command_has_begun(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept for it. What is ignored, as by `nohup`, stays so."""
    original = subprocess.Popen

    def begin(command: list[str]) -> subprocess.Popen[bytes]:
        signal.raise_signal(signal.SIGTERM)
        return original(command)

    monkeypatch.setattr(subprocess, "Popen", begin)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(lock, *PYTHON, "input()") == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_typed_goes_to_all(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C is the terminal's to pass on, if there is one."""
    from anylock._machine import command

    assert not command._in_foreground()
    monkeypatch.setattr(command, "_in_foreground", lambda: True)
    original = subprocess.Popen

    def begin(command: list[str]) -> subprocess.Popen[bytes]:
        begun = original(command)
        signal.raise_signal(signal.SIGINT)
        return begun

    monkeypatch.setattr(subprocess, "Popen", begin)
    # A shell that runs the tests in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(lock, *PYTHON, "pass") == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["locks"]) == 0
    assert capsys.readouterr().out == ""
    with make_lock("machine", name="b'free"):
        pass
    (tmp_path / "anylock" / "odd.lock").touch()
    with make_lock("machine", name="a"):
        assert main(["locks"]) == 0
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines[0] == '"b\'free": free'
    assert lines[1].startswith(
        f"'a': held by 'MainThread' of process {os.getpid()} on "
    )
    assert lines[2] == "odd.lock: free"


def test_the_list_of_what_is_shared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Who reads leaves no record; and what is odd is said."""
    folder = tmp_path / "anylock"
    with make_lock("machine", name="a"):
        pass
    (folder / "y.lock").write_bytes(b"precious")
    (folder / "x.lock").mkdir()
    (folder / "z.lock").touch()
    with MachineRWLock("a").read, MachineRWLock(path=folder / "z.lock").write:
        (folder / "z.lock").write_bytes(b"+\n")
        assert main(["locks"]) == 0
        assert not make_lock("machine", name="a").try_acquire()
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines[0] == "'a': held by readers"
    assert lines[1] == "x.lock: Is a directory"
    assert lines[2].startswith("y.lock: the lock file ")
    assert lines[3] == "z.lock: held"
    assert main(["locks"]) == 0
    assert "'a': free\n" in capsys.readouterr().out


def test_no_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "anylock").touch()
    assert main(["locks"]) == 2
    assert "it is not a folder" in capsys.readouterr().err
