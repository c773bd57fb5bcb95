"""The classes of `test.test_asyncio.test_locks` for the kind "async"."""

from __future__ import annotations

import asyncio
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anylock

from .states import STATES
from .suites import ASYNC_TESTS, Suite

if TYPE_CHECKING:
    import unittest


def case(suite: Suite) -> type[unittest.TestCase]:
    """Return the tests of a suite."""
    test_locks: Any = import_module(ASYNC_TESTS)
    prepare = STATES[suite.state]

    def named(name: str, cls: Any) -> type:
        # Some tests look for the name of the class in an error.
        def init(self: Any, *args: Any, **options: Any) -> None:
            cls.__init__(self, *args, **options)
            prepare(self)

        return type(name, (cls,), {"__init__": init})

    ours = {
        "Lock": named("Lock", anylock.AsyncLock),
        "Condition": named("Condition", anylock.AsyncCondition),
        "Semaphore": named("Semaphore", anylock.AsyncSemaphore),
        "BoundedSemaphore": named("BoundedSemaphore", anylock.AsyncBoundedSemaphore),
    }
    if suite.ours == "asyncio.Condition":
        ours["Condition"] = standard_condition(ours["Lock"])
    test_locks.asyncio = SimpleNamespace(**{**vars(asyncio), **ours})
    tests: type[unittest.TestCase] = getattr(test_locks, suite.theirs)
    return tests


def standard_condition(lock: type) -> type:
    """Return a condition of `asyncio` that makes a lock of this class for itself."""

    class Condition(asyncio.Condition):
        def __init__(self, inner: Any = None, **options: Any) -> None:
            super().__init__(lock() if inner is None else inner, **options)

    return Condition
