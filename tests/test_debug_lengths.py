"""Waits that stop an event loop are told, however they end."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from anylock import debug, make_condition, make_lock
from debugged import found, happened, watched

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def test_a_loop_that_was_stopped_for_nothing() -> None:
    """A wait that timed out, or was for a notification, stops it as well."""
    debug.settings.blocked_loop = 0.0
    debug.settings.deadlocks = "off"
    lock = make_lock("thread", debug=True)
    condition = make_condition("thread", debug=True)

    async def main() -> None:
        assert not lock.acquire(timeout=0.001)
        with condition:
            assert not condition.wait(0.001)

    lock.acquire()
    with watched() as events:
        asyncio.run(main())
    lock.release()
    one, other = (finding.message for finding in found("blocked loop"))
    assert f"by waiting for {lock.record} with 'with'" in one
    assert f"by waiting to be notified of {condition.record}" in other
    assert happened(events, lock) == ["waits", "timed out"]


def test_a_wait_in_vain_of_which_a_warning_is_an_error() -> None:
    debug.settings.blocked_loop = 0.0
    debug.settings.deadlocks = "off"
    debug.settings.warn = True
    lock = make_lock("thread", debug=True)

    async def main() -> None:
        with pytest.raises(debug.LoopBlockedWarning):
            lock.acquire(timeout=0.001)

    lock.acquire()
    with watched() as events, warnings.catch_warnings():
        warnings.simplefilter("error", debug.LoopBlockedWarning)
        asyncio.run(main())
    lock.release()
    assert happened(events, lock) == ["waits", "cancelled"]


def test_warnings_are_not_kept() -> None:
    """`warnings.warn` keeps each text for ever, and these are all different."""
    debug.settings.long_hold = 0.0
    debug.settings.warn = True
    before = set(globals().get("__warningregistry__", ()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with make_lock("thread", debug=True):
            pass
    (warning,) = caught
    assert warning.category is debug.LongHoldWarning
    assert warning.filename == __file__
    assert {*globals().get("__warningregistry__", ())} - before <= {"version"}
