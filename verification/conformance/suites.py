"""Which of CPython's tests run against which of our classes, and in which state."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import unittest

LOCK_TESTS = "test.lock_tests"
PROCESS_TESTS = "test._test_multiprocessing"
ASYNC_TESTS = "test.test_asyncio.test_locks"


LIMIT = 100
"""Seconds that a suite may take; CPython's tests themselves wait for 30 at times."""


@dataclass(frozen=True)
class Suite:
    """One class of CPython's tests, for one of our classes in one state.

    Args:
        module: Where CPython has the tests.
        theirs: The class of the tests there.
        ours: What is tested.
        state: What happened to it before the test has it; see `states.py`.
        start: The start method of `multiprocessing`, for the kind "process".
    """

    module: str
    theirs: str
    ours: str
    state: str
    start: str | None = None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        how = self.state if self.start is None else f"{self.start}, {self.state}"
        return f"{self.ours}: {self.theirs} ({how})"

    @property
    def row(self) -> tuple[str, str]:
        """What it has in common with the same tests in other states."""
        return self.ours, self.theirs

    @property
    def shipped(self) -> bool:
        """Whether this Python comes with the tests, which many a package leaves out."""
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False

    def load(self) -> type[unittest.TestCase]:
        """Return the tests; to be called in a process that does nothing else."""
        maker: Any = import_module(f".{MAKERS[self.module]}", __package__)
        case: type[unittest.TestCase] = maker.case(self)
        return case


MAKERS = {LOCK_TESTS: "threads", PROCESS_TESTS: "processes", ASYNC_TESTS: "tasks"}

NEW, AFTER, BESIDE = "new", "after a task", "beside tasks"

ON_THREADS = (
    ("LockTests", "ThreadLock"),
    ("RLockTests", "ThreadRLock"),
    ("ConditionTests", "ThreadCondition"),
    ("ConditionTests", "threading.Condition"),
    ("SemaphoreTests", "ThreadSemaphore"),
    ("BoundedSemaphoreTests", "ThreadBoundedSemaphore"),
    ("LockTests", "ProcessLock"),
    ("RLockTests", "ProcessRLock"),
    ("ConditionTests", "ProcessCondition"),
    ("SemaphoreTests", "ProcessSemaphore"),
    ("BoundedSemaphoreTests", "ProcessBoundedSemaphore"),
)
ON_PROCESSES = (
    ("_TestLock", "ProcessLock, ProcessRLock"),
    ("_TestSemaphore", "ProcessSemaphore"),
    ("_TestCondition", "ProcessCondition"),
    ("_TestCondition", "multiprocessing.Condition"),
)
ON_TASKS = (
    ("LockTests", "AsyncLock"),
    ("SemaphoreTests", "AsyncSemaphore"),
    ("ConditionTests", "AsyncCondition"),
    ("ConditionTests", "asyncio.Condition"),
)

SUITES = (
    *(
        Suite(LOCK_TESTS, theirs, ours, state)
        for theirs, ours in ON_THREADS
        for state in (NEW, AFTER, BESIDE)
    ),
    *(
        Suite(PROCESS_TESTS, theirs, ours, state, start)
        for theirs, ours in ON_PROCESSES
        for start in multiprocessing.get_all_start_methods()
        # No other children than forked ones know what state it is in.
        for state in ((NEW, AFTER, BESIDE) if start == "fork" else (NEW, AFTER))
    ),
    *(
        Suite(ASYNC_TESTS, theirs, ours, state)
        for theirs, ours in ON_TASKS
        for state in (NEW, AFTER)
    ),
)
