"""Signal handlers, staged where they could run in the code of the locks.

Python runs a handler in the main thread when a function is entered, or after a call;
up to 3.10 at more points than these.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import make_lock
from staging import Section, acquire, all_done, assert_at_rest, enter, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from anylock import Lock

OURS = str(Path(anylock.__file__).parent)
MOST = 1000
"""More than there are points on any of the paths."""

not_between_instructions = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="docs/locks.md promises it from 3.11 on"
)
"""Up to 3.10 a handler may also run between any two instructions."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """Raised by a signal handler."""


def interrupt(*_signal: object) -> None:
    raise Interrupted


@contextmanager
def interrupt_at(
    point: int, handler: Callable[[], object], where: list[str], code_of: str = OURS
) -> Generator[None]:
    """Run the handler once, at the `point`-th point of our code, and tell `where`.

    If there are fewer points it is not run.
    """
    points = 0

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal points
        code = frame.f_code
        here = event in {"call", "c_return"} and code.co_filename.startswith(code_of)
        # What is raised in there is printed by Python, and gets no further. The lock
        # may be of another test, and be collected now.
        if here and code.co_name != "__del__":
            points += 1
            if points == point:
                sys.setprofile(None)
                call = getattr(arg, "__name__", "")
                where.append(f"{code.co_name}:{frame.f_lineno} {event} {call}")
                handler()

    # What is collected meanwhile may run code of ours that other tests have left.
    collecting = gc.isenabled()
    gc.disable()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        if collecting:
            gc.enable()


@contextmanager
def untraced() -> Generator[None]:
    """Let no tracer run in this thread.

    A handler that raises amid coverage's tracer would leave the lock of that locked.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def weather(thing: Any, number: int) -> None:
    """Enter and leave by `with` until so many signals have raised in the middle."""
    strikes = 0
    armed = False

    def strike(_number: int, _frame: FrameType | None) -> None:
        nonlocal armed, strikes
        if armed:
            armed = False
            strikes += 1
            raise Interrupted

    old = signal.signal(signal.SIGALRM, strike)
    with untraced():
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        try:
            while strikes < number:
                with suppress(Interrupted):
                    armed = True
                    while True:
                        with thing:
                            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)


def run_points(
    attempt: Callable[[int, list[str]], object], *, parks: bool = True
) -> None:
    """Make an attempt at every point there is, in a thread that parks tasks or not."""

    async def park() -> None:
        lock = make_lock("thread")
        acquire(lock)
        entering = enter(lock)
        entering.send(None)
        entering.close()
        lock.release()

    def run() -> None:
        if parks:
            asyncio.run(park())
        where = ["none yet"]
        points = 0
        while where:
            where = list[str]()
            points += 1
            assert points < MOST
            try:
                attempt(points, where)
            except BaseException as error:
                raise AssertionError(where) from error
        assert points > 2

    with in_thread(run, patience=110):  # all points together
        pass


def still_works(lock: Lock) -> None:
    """Check that nothing is left locked, half done, or forgotten."""

    async def three() -> None:
        section = Section()

        async def one() -> None:
            async with lock:
                with section:
                    await asyncio.sleep(0)

        await all_done(one, one, one)
        assert (section.count, section.overlaps) == (3, 0)

    assert_at_rest(lock)
    with in_thread(lambda: asyncio.run(three())):
        pass
    assert_at_rest(lock)
