"""The profile of one run, from the first line of the program to after its last."""

from __future__ import annotations

import _thread
import asyncio.locks
import atexit
import json
import multiprocessing.context
import os
import runpy
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from anylock import debug
from anylock._profile import program
from anylock._profile.command import FAILED, complain
from anylock._profile.ending import watch
from anylock._profile.output import Output, attempt, tables
from anylock._profile.recording import Recording
from anylock._profile.replacing import replace
from anylock._profile.report import report_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

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
        writers = list(_writers(options.output, options.json))
        if not options.m:
            program.check(name)
    except OSError as error:
        complain([f"cannot open {error.filename!r}: {error.strerror}"])
        return FAILED
    called = ["-m"] * options.m + options.program
    profile = _Profile(called, options.events, writers)
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


def _writers(
    page: Path | None, data: Path | None
) -> Iterator[Callable[[Report], None]]:
    """Give what writes a report; none of it is looked for afterwards."""
    if data is not None:
        to_data = Output(data)
        yield lambda report: to_data.write(json.dumps(report.as_dict()))
    if page is not None:
        # Only where it is asked for.
        from anylock._profile.page import page_maker  # noqa: PLC0415

        to_page, page_of = Output(page), page_maker()
        yield lambda report: to_page.write(page_of(report))
    yield tables()


class _Profile:
    def __init__(
        self, called: list[str], events: int, writers: list[Callable[[Report], None]]
    ) -> None:
        self._called = called
        self._events = events
        self._writers = writers
        self._process = os.getpid()
        self._ending = _thread.allocate_lock()  # once it is taken, it stays so
        self.interrupted = False

    def begin(self) -> None:
        debug.settings.deadlocks = debug.settings.order = "warn"
        debug.settings.warn = False
        debug.settings.hidden = (*debug.settings.hidden, *_HIDDEN)
        self._recording = Recording(self._events)
        self._restore = replace()
        # The last to be called: after what the program registers, and after the end of
        # all threads that Python waits for.
        atexit.register(self._end)
        watch(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)
        self._started = monotonic()

    def _leave(self) -> None:
        """Take no more part in what goes on here."""
        self._restore()
        self._recording.stop()
        debug.settings.deadlocks = debug.settings.order = "off"

    def _end(self) -> None:
        # Who asks for it while it is made, by a signal for one, is in a hurry.
        if os.getpid() != self._process or not self._ending.acquire(False):
            return
        now = monotonic()
        self._leave()
        try:
            report = report_of(self._recording, self._called, self._started, now)
            for write in self._writers:
                attempt(write, report)
        except KeyboardInterrupt:
            complain(["interrupted, the report is not complete"])
        if self.interrupted:
            _remember_interrupt()


def _remember_interrupt() -> None:
    """See to it that Python ends itself by SIGINT."""
    # It does so if the last source that was executed ended by KeyboardInterrupt. That
    # was the program. But the imports above execute source, of data classes for one.
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102
