"""The profile of one run, from the first line of the program to after its last."""

from __future__ import annotations

import asyncio.locks
import atexit
import json
import multiprocessing.context
import os
import runpy
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from anylock import debug
from anylock._profile import program
from anylock._profile.command import FAILED, complain
from anylock._profile.recording import Recording
from anylock._profile.replacing import replace
from anylock._profile.report import report_of

if TYPE_CHECKING:
    import argparse

    from anylock._profile.report import Report

_HIDDEN = (
    # Between the program's `with` and the lock.
    threading.__file__,
    asyncio.locks.__file__,
    multiprocessing.context.__file__,
    str(Path(multiprocessing.context.__file__).with_name("synchronize.py")),
    # Below the program.
    runpy.__file__,
    "<frozen runpy>",
)


def run(options: argparse.Namespace) -> int:
    """Run the program.

    Args:
        options: As parsed by the command line.

    Returns:
        The exit status, if the program does not exit by itself or by an error.
    """
    name, *arguments = options.program
    try:
        outputs = [_absolute(path) for path in (options.output, options.json)]
        if not options.m:
            program.check(name)
    except OSError as error:
        complain([f"cannot open {error.filename!r}: {error.strerror}"])
        return FAILED
    called = ["-m"] * options.m + options.program
    profile = _Profile(called, options.events, *outputs)
    profile.begin()
    try:
        if options.m:
            program.run_module(name, arguments)
        else:
            program.run_script(name, arguments)
    except SystemExit:
        raise
    except BaseException as error:
        program.hide_ourselves()
        profile.interrupted = type(error) is KeyboardInterrupt
        raise
    return 0


def _absolute(path: Path | None) -> Path | None:
    """Return where a report goes, wherever the program may go meanwhile."""
    if path is None:
        return None
    with path.open("a", encoding="utf-8"):  # better now than when all is over
        return path.absolute()


class _Profile:
    def __init__(
        self, called: list[str], events: int, page: Path | None, data: Path | None
    ) -> None:
        self._called = called
        self._events = events
        self._page = page
        self._data = data
        self._process = os.getpid()
        self.interrupted = False

    def begin(self) -> None:
        debug.settings.deadlocks = "warn"
        debug.settings.warn = False
        debug.settings.hidden = (*debug.settings.hidden, *_HIDDEN)
        self._recording = Recording(self._events)
        self._restore = replace()
        # The last to be called: after what the program registers, and after the end of
        # all threads that Python waits for.
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)
        self._started = monotonic()

    def _leave(self) -> None:
        """Take no more part in what goes on here."""
        self._restore()
        self._recording.stop()
        debug.settings.deadlocks = debug.settings.order = "off"

    def _end(self) -> None:
        if os.getpid() != self._process:
            return
        now = monotonic()
        self._leave()
        report = report_of(self._recording, self._called, self._started, now)
        try:
            self._write(report)
        except OSError as error:
            complain([f"cannot write {error.filename!r}: {error.strerror}"])
        if self.interrupted:
            _remember_interrupt()

    def _write(self, report: Report) -> None:
        if self._data is not None:
            with self._data.open("w", encoding="utf-8") as file:
                json.dump(report.as_dict(), file)
        if self._page is not None:
            from anylock._profile.page import page_of  # noqa: PLC0415 - not before

            self._page.write_text(page_of(report), encoding="utf-8")
        if find_spec("rich") is not None and sys.stderr is not None:
            from anylock._profile.display import show  # noqa: PLC0415 - not before

            show(report)


def _remember_interrupt() -> None:
    """See to it that Python ends itself by SIGINT."""
    # It does so if the last source that was executed ended by KeyboardInterrupt. That
    # was the program. But the imports above execute source, of data classes for one.
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102
