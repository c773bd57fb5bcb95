"""The classes of `test.lock_tests` for the kind "thread"."""

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


def case(suite: Suite) -> type[unittest.TestCase]:
    """Return the tests of a suite."""
    lock_tests: Any = import_module(LOCK_TESTS)
    prepare = STATES[suite.state]

    def prepared(made: Any) -> Any:
        prepare(made)
        return made

    def lock() -> Any:
        return prepared(anylock.ThreadLock())

    def make(*args: Any, **options: Any) -> Any:
        return prepared(getattr(anylock, suite.ours)(*args, **options))

    def standard_condition(inner: Any = None) -> threading.Condition:
        return threading.Condition(inner or prepared(anylock.ThreadRLock()))

    # One of them makes a lock for its condition, and takes it from there.
    lock_tests.threading = SimpleNamespace(**{**vars(threading), "Lock": lock})
    ours = standard_condition if suite.ours == "threading.Condition" else make
    names = ("locktype", "condtype", "semtype")
    makers: dict[str, Any] = dict.fromkeys(names, staticmethod(ours))
    tests: type[unittest.TestCase] = type(
        suite.theirs, (getattr(lock_tests, suite.theirs),), makers
    )
    return tests
