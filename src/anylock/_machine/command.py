"""The sub-commands `run` and `locks`: machine locks from a shell."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anylock._errors import LockError, LockTimeout
from anylock._hold import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from types import FrameType

    from anylock._machine.lock import MachineLock
    from anylock._machine.rwlock import MachineReadLock

FAILED = 2
"""The exit status when the lock cannot be used; argparse's own for wrong options."""

BUSY = 75
"""When the time was over: EX_TEMPFAIL, as of `flock` and of mail programs."""

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What shells say of a command that cannot be run."""

_PASSED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")

_RUN = """\
Wait for a lock, run a command while it is held, and exit as the command does. Its
processes do not inherit the lock: it is free when this program ends, even if it is
killed and they go on.
"""

_STATUS = """\
Exit status: that of the command, or 128 plus the number of the signal that ended it;
75 if the lock was not free in time, 126 if the command cannot be executed, 127 if it is
not found, 2 if the lock cannot be used, 130 after Ctrl-C while waiting.
"""

_LIST = """\
List the named machine locks of this user, and who holds them. Locks that were made with
a path are not among them.
"""

_LIST_STATUS = "Exit status: 0, or 2 if the folder of the locks cannot be used."


def add_run(commands: Any) -> None:
    """Add the sub-command `run` to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="run a command under a lock of this machine",
        description=_RUN,
        epilog=_STATUS,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", help="the name of the lock (extra 'machine')")
    which.add_argument("--path", help="the lock file")
    parser.add_argument(
        "--timeout",
        type=_timeout,
        metavar="S",
        help="seconds to wait at most; 0 tries once (default: for ever)",
    )
    parser.add_argument(
        "--fair",
        action="store_true",
        help="come in the order of arrival, among others who say so",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="hold it beside others who do, to read; without this, it is held alone",
    )
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="-- COMMAND ...",
        help="what to run",
    )
    parser.set_defaults(run=_run)


def add_locks(commands: Any) -> None:
    """Add the sub-command `locks` to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "locks",
        help="list the named machine locks of this user, and who holds them",
        description=_LIST,
        epilog=_LIST_STATUS,
    )
    parser.set_defaults(run=_list)


def _timeout(text: str) -> float | None:
    try:
        return seconds(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    command: list[str] = options.command
    if command[:1] == ["--"]:
        del command[0]
    if not command:
        return _complain("which command? Put it behind --", FAILED)
    try:
        lock = _lock(options)
        with lock.hold(options.timeout):
            if lock.abandoned:
                _complain("the last holder of the lock died while it held it", 0)
            return _run_command(command)
    except LockTimeout as error:
        return _complain(str(error), BUSY)
    except (ImportError, LockError, ValueError) as error:
        return _complain(str(error), FAILED)


def _lock(options: argparse.Namespace) -> MachineLock | MachineReadLock:
    if options.shared:
        from anylock._machine.rwlock import MachineReadLock  # noqa: PLC0415 - on demand

        return MachineReadLock(options.name, path=options.path)
    from anylock._machine.lock import MachineLock  # noqa: PLC0415 - for this command

    return MachineLock(options.name, path=options.path, fair=options.fair)


def _run_command(command: list[str]) -> int:
    with _signals_passed_on() as pass_to:
        try:
            process = subprocess.Popen(command)  # noqa: S603 - the user says so
        except FileNotFoundError as error:
            return _complain(f"{command[0]}: {error.strerror}", NOT_FOUND)
        except OSError as error:
            return _complain(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE)
        pass_to(process)
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _signals_passed_on() -> Generator[Callable[[subprocess.Popen[bytes]], None]]:
    """Let signals go to a process; those that come before it is known, then."""
    processes: list[subprocess.Popen[bytes]] = []
    came: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # What is typed in a terminal, all of its foreground processes get.
        if not (number in {signal.SIGINT, _number("SIGQUIT")} and _in_foreground()):
            came.append(number)
            deliver()

    def deliver() -> None:
        for process in processes:
            with suppress(IndexError):  # a handler amid this one was quicker
                while True:
                    process.send_signal(came.pop(0))

    def pass_to(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        deliver()

    numbers = [number for name in _PASSED_ON if (number := _number(name))]
    before = {
        number: signal.signal(number, pass_on)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN  # as `nohup` does
    }
    try:
        yield pass_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _number(name: str) -> int | None:
    """Return the number of a signal; None where there is none of that name."""
    number: int | None = getattr(signal, name, None)
    return number


def _in_foreground() -> bool:
    """Say whether this process is of those that a terminal's signals go to."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # it is no terminal, or closed
        return False


def _list(_options: argparse.Namespace) -> int:
    from anylock._machine import record  # noqa: PLC0415 - for this command
    from anylock._machine.names import folder  # noqa: PLC0415

    try:
        files = sorted(folder().glob("*.lock"))
    except (ImportError, LockError) as error:
        return _complain(str(error), FAILED)
    for file in files:
        try:
            data = file.read_bytes()[: record.LENGTH]
            written = file.stat().st_mtime
        except OSError as error:  # it was deleted just now, or is no plain file
            sys.stdout.write(f"{file.name}: {error.strerror}\n")
            continue
        holder = record.read(data, written)
        name = record.name_in(data)
        shown = file.name if name is None else repr(name)
        if holder is None:
            state = _unrecorded(file)
        else:
            since = datetime.fromtimestamp(holder.since).astimezone()
            state = (
                f"held by {holder.by!r} of process {holder.pid} on {holder.host} "
                f"since {since:%Y-%m-%d %H:%M:%S}"
            )
        sys.stdout.write(f"{shown}: {state}\n")
    return 0


def _unrecorded(file: Path) -> str:
    """Say of a lock that nobody says to hold how it is held."""
    from anylock._machine.lockfile import LockFile, State  # noqa: PLC0415

    try:
        state = LockFile(str(file)).look()
    except LockError as error:
        return str(error)
    if state is State.HELD:  # the record is being written, or what it says is odd
        return "held"
    return "held by readers" if state is State.SHARED else "free"


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"python -m anylock: {message}\n")
    return status
