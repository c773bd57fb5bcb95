"""`pytest --anylock-debug`: who holds what, when a test times out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from anylock.debug._timeouts import TimeoutDumps, Watch
from staging import PATIENCE

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["plugin_fixtures"]

HELD = [
    "anylock: debug locks that are held or awaited*",
    "thread Lock 'stuck', made at *",
]


def test_pytest_timeout_by_a_signal(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        import signal

        from anylock import make_lock

        def test_it():
            with make_lock("thread", name="stuck"):
                signal.raise_signal(signal.SIGALRM)  # the time is up
        """
    )
    result = plugin.runpytest_inprocess("--anylock-debug", "--timeout=1000")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Failed: Timeout*",
            "*- Captured anylock call -*",
            *HELD,
            "*held by thread 'MainThread'*",
            "*in test_it",
        ]
    )
    again = plugin.runpytest_inprocess("--timeout=1000")
    again.assert_outcomes(failed=1)
    again.stdout.no_fnmatch_line("anylock: debug locks*")  # nothing of it is left


def test_pytest_timeout_by_a_thread(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        import threading

        from anylock import make_lock

        def test_it():
            (timer,) = [t for t in threading.enumerate() if hasattr(t, "interval")]
            with make_lock("thread", name="stuck"):
                up = threading.Thread(target=timer.function, args=timer.args)
                up.start()
                up.join()
        """
    )
    result = plugin.runpytest_subprocess(
        "--anylock-debug", "--timeout=1000", "--timeout-method=thread", timeout=PATIENCE
    )
    assert result.ret == 1
    result.stderr.fnmatch_lines(HELD)


def test_a_traceback_shows_nothing_of_the_plugin(plugin: pytest.Pytester) -> None:
    # As where an event loop waits, not a test: no frame of a test is there to begin at.
    plugin.makeconftest(
        """
        def pytest_pyfunc_call():
            raise OSError("no test is here")
        """
    )
    plugin.makepyfile("def test_it(): pass")
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *no test is here*"])
    result.stdout.no_fnmatch_line("*_testrun*")


def test_without_pytest_timeout(plugin: pytest.Pytester) -> None:
    plugin.makepyfile("def test_it(): pass")
    result = plugin.runpytest_subprocess(
        "--anylock-debug", "-p", "no:timeout", timeout=PATIENCE
    )
    result.assert_outcomes(passed=1)


# The lock is held before the time begins, and the test goes on when it is over.
FAULTHANDLER = """
    import threading

    from anylock import make_lock
    from anylock.debug import _timeouts

    over = threading.Event()
    describe_all = _timeouts.describe_all

    def describe():
        over.set()
        return describe_all()

    _timeouts.describe_all = describe
    lock = make_lock("thread", name="stuck")
    lock.acquire()

    def test_it():
        assert over.wait(60)
"""


def test_before_faulthandler_prints_stacks(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(FAULTHANDLER)
    plugin.makeini("[pytest]\nfaulthandler_timeout = 0.2")
    result = plugin.runpytest_subprocess("--anylock-debug", timeout=PATIENCE)
    result.assert_outcomes(passed=1)
    result.stderr.fnmatch_lines(HELD)


def test_without_faulthandler(plugin: pytest.Pytester) -> None:
    plugin.makepyfile("def test_it(): pass")
    result = plugin.runpytest_inprocess("--anylock-debug", "-p", "no:faulthandler")
    result.assert_outcomes(passed=1)


def test_a_watch_that_is_ended_calls_nobody() -> None:
    called = threading.Event()
    first = Watch(1000, called.set)
    first.end()
    first.end()
    second = threading.Event()
    Watch(0, second.set)
    assert second.wait(PATIENCE)
    assert not called.is_set()


def test_debuggers_are_left_in_peace() -> None:
    dumps = TimeoutDumps()
    dumps.pytest_enter_pdb()  # outside of tests, with nothing to end
    called = threading.Event()
    dumps._watch = Watch(1000, called.set)
    dumps.pytest_enter_pdb()
    assert not dumps._watch._running.locked() or not called.is_set()
