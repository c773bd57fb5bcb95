"""The classes of `test.lock_tests` for the kinds "thread" and "process"."""

from __future__ import annotations

import threading
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anylock

from .states import STATES
from .suites import LOCK_TESTS, Suite

if TYPE_CHECKING:
    import unittest
    from collections.abc import Callable


def case(suite: Suite) -> type[unittest.TestCase]:
    """Return the tests of a suite."""
    lock_tests: Any = import_module(LOCK_TESTS)

    def maker(name: str) -> Callable[..., Any]:
        def make(*args: Any, **options: Any) -> Any:
            made = getattr(anylock, name)(*args, **options)
            STATES[suite.state](made)
            return made

        return make

    def standard_condition(lock: Any = None) -> threading.Condition:
        return threading.Condition(maker("ThreadRLock")() if lock is None else lock)

    # One of them makes a lock for its condition, and takes it from there.
    lock = maker("ProcessLock" if suite.ours.startswith("Process") else "ThreadLock")
    lock_tests.threading = SimpleNamespace(**{**vars(threading), "Lock": lock})
    keep_bunches(lock_tests)
    standard = suite.ours == "threading.Condition"
    make = standard_condition if standard else maker(suite.ours)
    makers = ("locktype", "condtype", "semtype")  # each class has one of these
    members: dict[str, Any] = dict.fromkeys(makers, staticmethod(make))
    return type(suite.theirs, (getattr(lock_tests, suite.theirs),), members)


def keep_bunches(lock_tests: Any) -> None:
    """Keep what these tests start their threads with, until the process ends.

    Up to Python 3.10 a bunch of threads that a failed test leaves is garbage whose end
    waits for all threads. Whichever thread has the last reference, or happens to
    collect it, would wait for itself, half a minute of it amid a later test.
    """
    kept: list[Any] = []
    start = lock_tests.Bunch.__init__

    def keep_and_start(bunch: Any, *args: Any, **options: Any) -> None:
        kept.append(bunch)
        start(bunch, *args, **options)

    lock_tests.Bunch.__init__ = keep_and_start
