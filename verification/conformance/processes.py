"""The classes of `test._test_multiprocessing` for the kind "process".

The processes that these start find them here by their names.
"""

from __future__ import annotations

import multiprocessing
import unittest
from importlib import import_module
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import anylock

from .states import STATES
from .suites import ON_PROCESSES, PROCESS_TESTS, Suite

if TYPE_CHECKING:
    from collections.abc import Callable


def maker(cls: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes one of these, as a method of a class of tests."""

    def make(self: Any, *args: Any) -> Any:
        made = cls(*args)
        STATES[self.state](made)
        return made

    return make


def standard_condition(self: Any) -> synchronize.Condition:
    """Make a condition of `multiprocessing` over a lock of ours."""
    return multiprocessing.Condition(self.RLock())


def value(self: Any, *args: Any) -> Any:
    """Make a shared number that a lock of ours protects."""
    return multiprocessing.Value(*args, lock=self.RLock())


class Process(multiprocessing.Process):
    """A process that has to be given locks of ours, and none but ours."""

    def run(self) -> None:
        """Run the target of the test."""
        given: Any = self
        for item in given._args:
            lock = getattr(item, "_lock", item)  # a condition has one
            if isinstance(lock, synchronize.SemLock) and not is_ours(lock):
                raise TypeError(f"not of anylock: {lock!r}")
        super().run()


def is_ours(lock: object) -> bool:
    """Say whether it is of a class of anylock."""
    return type(lock).__module__.startswith("anylock.")


OURS = {
    "Process": Process,
    "Lock": maker(anylock.ProcessLock),
    "RLock": maker(anylock.ProcessRLock),
    "Semaphore": maker(anylock.ProcessSemaphore),
    "BoundedSemaphore": maker(anylock.ProcessBoundedSemaphore),
    "Condition": maker(anylock.ProcessCondition),
    "Value": value,
    "__module__": __name__,
}

_tests: Any = import_module(PROCESS_TESTS)
for _name, _ in ON_PROCESSES:
    _bases = (getattr(_tests, _name), _tests.ProcessesMixin, unittest.TestCase)
    globals()[_name] = type(_name, _bases, OURS)


def case(suite: Suite) -> type[unittest.TestCase]:
    """Return the tests of a suite."""
    # By force, because to import the tests of CPython has set it already.
    multiprocessing.set_start_method(suite.start, force=True)
    # Or else each process of the server would import those tests anew.
    multiprocessing.set_forkserver_preload([__name__])
    tests: Any = globals()[suite.theirs]
    tests.state = suite.state
    if suite.ours == "multiprocessing.Condition":
        tests.Condition = standard_condition
    found: type[unittest.TestCase] = tests
    return found
