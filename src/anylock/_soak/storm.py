"""Signal handlers that raise, all the time, in a thread that uses the lock by `with`.

Only `with`, in a thread that runs no event loop, and only of what docs/locks.md says
that nothing is lost there: see `Subject.storm`, and `storm_on_way_out`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from anylock._soak.workers import Worker

if TYPE_CHECKING:
    from types import FrameType

    from anylock._soak.workers import Crew

_PERIOD = 0.0005
"""Seconds from one signal to the next."""


class _Struck(Exception):  # noqa: N818 - nothing went wrong
    """Raised by the signal handler."""


def weather(crew: Crew, number: int) -> None:
    """Use the lock until the round is over, in the main thread."""
    if sys.platform == "win32":
        raise NotImplementedError
    worker = Worker(crew, number)
    row = worker.row
    armed = False
    here = os.getpid()

    def strike(_number: int, _frame: FrameType | None) -> None:
        nonlocal armed
        # Not in a child that is forked, by another thread, with a signal pending: there
        # it would meet the finalizers of the threads that stayed behind.
        if armed and os.getpid() == here:
            armed = False
            raise _Struck

    # A handler that raises amid coverage's tracer would leave the lock of that locked.
    tracer = sys.gettrace()
    sys.settrace(None)
    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, _PERIOD, _PERIOD)
    try:
        while not crew.over:
            row.wants()
            try:
                armed = True
                with crew.lock:
                    armed = False  # what is done to the record is not what is tested
                    worker.visit()
                    armed = crew.subject.storm_on_way_out
                armed = False
            except _Struck:
                row.suffers("signal")
            row.gives_up()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.settrace(tracer)
