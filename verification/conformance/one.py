"""Runs one suite, in a process of its own: what it replaces is not put back.

`python -m verification.conformance.one SUITE RESULT`; RESULT is the file to write.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import unittest
from importlib import import_module
from pathlib import Path
from typing import Any

from .suites import LIMIT, SUITES, Suite

LEFT_BEHIND = "(a thread or a process was left behind)"
"""In the place of a test, because CPython says so of all of them together."""


def run(suite: Suite) -> dict[str, str]:
    """Run a suite; return of each test if it "passed", "failed" or was "skipped"."""
    case = suite.load()
    loader = unittest.defaultTestLoader
    outcomes = dict.fromkeys(loader.getTestCaseNames(case), "passed")
    tests = loader.loadTestsFromTestCase(case)
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    outcomes.update((name_of(test), "skipped") for test, _ in result.skipped)
    broken = [test for test, _ in (*result.failures, *result.errors)]
    broken += result.unexpectedSuccesses
    outcomes.update((name_of(test), "failed") for test in broken)
    if left_behind():
        outcomes[LEFT_BEHIND] = "failed"
    return outcomes


def name_of(test: unittest.TestCase) -> str:
    """Return the name of a test, of which this may be a part, or a setUpClass."""
    whole: unittest.TestCase = getattr(test, "test_case", test)
    return whole.id().rpartition(".")[2]


def left_behind() -> bool:
    """Say whether CPython found a thread or a process that outlived its test."""
    if sys.version_info < (3, 11):
        # There it gives a thread no time to end: not the helper of a bridge either,
        # which looks every 0.1 s whether anybody still waits.
        return False
    support: Any = import_module("test.support")
    altered: bool = support.environment_altered
    return altered


if __name__ == "__main__":
    name, path = sys.argv[1:]
    # Who hangs is ended with the stacks of all threads, and leaves no result.
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    (chosen,) = (suite for suite in SUITES if suite.name == name)
    Path(path).write_text(json.dumps(run(chosen)), encoding="utf-8")
