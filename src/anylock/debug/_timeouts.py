"""Who holds what and who waits for what, printed when a test times out.

Two things time tests out: pytest-timeout, and the `faulthandler_timeout` of pytest.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock.debug._dump import describe_all

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SHARE = 0.9
"""Of the time after which faulthandler prints stacks, when ours is printed."""


class TimeoutDumps:
    """A plugin of pytest that dumps debug locks on time-outs."""

    def __init__(self) -> None:
        self._stderr = -1
        self._item: pytest.Item | None = None
        self._watch: Watch | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Remember where the standard error stream goes while it is not captured."""
        self._stderr = os.dup(_number_of_stderr())
        config.add_cleanup(lambda: os.close(self._stderr))
        timeouts: Any = sys.modules.get("pytest_timeout")
        if timeouts is not None:
            patch = pytest.MonkeyPatch()
            config.add_cleanup(patch.undo)
            # It has hooks for setting and ending a timer, but none for when it is up.
            patch.setattr(timeouts, "dump_stacks", self._after(timeouts.dump_stacks))

    def _after(self, dump_stacks: Callable[..., object]) -> Callable[..., None]:
        def dump_stacks_and_locks(*args: object) -> None:
            dump_stacks(*args)
            in_handler = threading.current_thread() is threading.main_thread()
            if in_handler and self._item is not None:
                self._item.add_report_section("call", "anylock", describe_all())
            else:  # there will be no report: it ends the process
                self.dump()

        return dump_stacks_and_locks

    # faulthandler prints in C, by a thread that runs no Python, and may end the process
    # then. So this is done by a thread of our own, and a little earlier.
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item
    ) -> Generator[None, object, object]:
        """Dump shortly before faulthandler prints the stacks."""
        self._item = item
        has_limit = item.config.pluginmanager.has_plugin("faulthandler")
        limit = float(item.config.getini("faulthandler_timeout") if has_limit else 0)
        if not limit:
            return (yield)
        self._watch = Watch(limit * SHARE, self.dump)
        try:
            return (yield)
        finally:
            self._watch.end()

    def pytest_enter_pdb(self) -> None:
        """Do not dump while somebody debugs."""
        if self._watch is not None:
            self._watch.end()

    def dump(self) -> None:
        """Dump to where the standard error stream went at first."""
        data = describe_all().encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._stderr, data) :]


class Watch:
    """Calls something after a time, unless it is ended before.

    Its thread is not one that `threading` knows: tests may count those.

    Args:
        seconds: Until it is called.
        call: What is called.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._running = _thread.allocate_lock()
        self._running.acquire()
        _thread.start_new_thread(self._run, (min(seconds, threading.TIMEOUT_MAX), call))

    def _run(self, seconds: float, call: Callable[[], object]) -> None:
        if not self._running.acquire(timeout=seconds):
            call()

    def end(self) -> None:
        """End it; may be done several times."""
        if self._running.locked():
            self._running.release()


def _number_of_stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # somebody has replaced it
        return 2
