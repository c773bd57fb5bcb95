"""Programs that tests run as they are, and under the profiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60

_PATHS = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []

CONTENDED = """
    import threading, time
    lock = threading.Lock()
    taken = threading.Event()
    def hold():
        with lock:
            taken.set()
            while not waits():
                time.sleep(0.001)  # polled: no event tells that somebody waits
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
"""Somebody waits for a lock, which somebody else holds."""


class Done(NamedTuple):
    """What a program came to."""

    status: int
    out: str
    err: str
    report: str
    """What the profiler wrote on stderr, after the program."""


def write(folder: Path, **programs: str) -> None:
    """Write programs, each into a file of its name."""
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def plain(folder: Path, *command: str, flags: tuple[str, ...] = ()) -> Done:
    """Run what follows `python`."""
    return _run(folder, *flags, *command)


def profiled(
    folder: Path,
    *command: str,
    flags: tuple[str, ...] = (),
    options: Any = (),
    environment: Path | None = None,
) -> Done:
    """Run what follows `python -m anylock profile`; `environment` has modules."""
    profile = (*flags, "-m", "anylock", "profile", *options)
    done = _run(folder, *profile, *command, environment=environment)
    parts = re.split(r"(?m)(?=^[\d,]+ locks? from )", done.err, maxsplit=1)
    err, report = parts if len(parts) == 2 else (done.err, "")
    return done._replace(err=err, report=report)


def _run(folder: Path, *command: str, environment: Path | None = None) -> Done:
    paths = [*([str(environment)] if environment else []), *_PATHS]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        input="from stdin",
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    return Done(done.returncode, done.stdout, done.stderr, "")


def told(folder: Path, text: str, *options: str) -> Any:
    """Return what is told of a program, as from JSON."""
    write(folder, app=text)
    data = folder / "told.json"
    done = profiled(folder, "app.py", options=("--json", str(data), *options))
    assert done.status == 0, done.err
    return json.loads(data.read_text())


def locks_of(report: Any) -> dict[str, Any]:
    """Return the locks that a report tells of, by name and family."""
    return {f"{each['name']} {each['family']}": each for each in report["locks"]}
