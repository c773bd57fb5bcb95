"""Debug conditions know who waits to be notified, and give their locks up whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import debug, make_condition, make_lock, make_rlock
from anylock.debug import _around, _ways
from backends import Backend, run
from debugged import (
    all_joined,
    awaited,
    condition_of,
    found,
    happened,
    lock_of,
    watched,
)
from staging import PATIENCE, until, until_in_task

if TYPE_CHECKING:
    from anylock import LockKind

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def test_waits_for_a_notification(kind: LockKind, backend: Backend) -> None:
    if kind == "process":
        pytest.skip("it is for threads")
    condition = condition_of(kind)

    async def main() -> None:
        async def wait() -> None:
            async with condition:
                await condition.async_wait()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await until_in_task(lambda: condition.record.waits)
            assert len(condition.stats().waiters) == 1
            assert condition.stats().owner is None
            async with condition:
                assert condition.stats().owner is not None
                condition.notify()
        async with condition:
            assert not await condition.async_wait(0.001)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await until_in_task(lambda: condition.record.waits)
            tasks.cancel_scope.cancel()

    with watched() as events:
        run(backend, main)
    assert happened(events, condition) == [
        *("waits", "got", "waits", "timed out", "waits", "cancelled")
    ]
    assert condition.stats().acquisitions == 7
    assert not condition.locked()


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_threads_that_wait_for_a_notification(kind: Any) -> None:
    lock = lock_of(kind)
    condition = condition_of(kind, lock)

    def wait() -> None:
        with condition:
            assert condition.wait(PATIENCE)

    with watched() as events, all_joined(wait) as raised:
        until(lambda: condition.record.waits and not lock.record.holds)
        with condition:
            condition.notify()
    assert not raised
    assert happened(events, condition) == ["waits", "got"]
    with condition:
        assert not condition.wait(0.001)
    with pytest.raises((RuntimeError, AssertionError)):
        condition.wait()
    assert condition.record.timeouts == 1
    assert condition.stats().acquisitions == lock.stats().acquisitions == 5


def test_a_condition_over_a_lock_that_tells_nothing() -> None:
    condition = make_condition("thread", make_lock("thread", debug=False), debug=True)
    with condition:
        assert not condition.wait(0)
    assert condition.stats().timeouts == 1


def test_a_re_entrant_lock_is_given_up_whole(backend: Backend) -> None:
    lock: Any = make_rlock("async", debug=True)
    condition = condition_of("async", lock)

    async def main() -> None:
        async with condition, condition:
            assert lock.record.owner.depth == 2
            assert not await condition.wait(0.001)
            assert lock.record.owner.depth == 2
        assert not lock.record.holds
        with pytest.raises(RuntimeError):
            await condition.wait()

    run(backend, main)


def test_the_same_between_threads() -> None:
    lock: Any = make_rlock("thread", debug=True)
    condition = threading.Condition(lock)
    with condition, condition:
        assert not condition.wait(0.001)
        assert lock.record.owner is not None
        assert lock.record.owner.depth == 2
    assert not lock.record.holds


def test_a_task_waits_with_a_re_entrant_lock_of_threads(backend: Backend) -> None:
    lock: Any = make_rlock("thread", debug=True)
    condition = condition_of("thread", lock)

    async def main() -> None:
        async with condition, condition:
            assert not await condition.async_wait(0.001)
            assert lock.record.owner.depth == 2
        assert not lock.record.holds

    run(backend, main)


# Who was notified gets the lock back, whatever is wrong with that.


@pytest.fixture(params=["ours", "threading"])
def news(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Return a condition and its lock."""
    lock = lock_of("thread", name="of the condition")
    if request.param == "ours":
        return condition_of("thread", lock), lock
    return threading.Condition(lock), lock


@pytest.mark.parametrize("warns", [False, True])
@pytest.mark.filterwarnings("error::anylock.debug.LockWarning")
def test_who_was_notified_is_not_refused(news: Any, *, warns: bool) -> None:
    """Else the end of its `with` would release the lock of who is inside then."""
    condition, lock = news
    other: Any = make_lock("thread", name="other", debug=True)
    debug.settings.warn = warns
    debug.settings.order = "off"
    waits = threading.Event()

    def wait() -> None:
        other.__enter__()
        with condition:
            waits.set()
            assert condition.wait(PATIENCE)
            assert lock.locked()

    def hold() -> None:
        assert waits.wait(PATIENCE)
        with lock, other:
            assert lock.locked()

    with all_joined(wait, hold) as raised:
        until(lambda: awaited(other))
        condition.notify()
        until(lambda: found("deadlock") or raised)
        other.release()
    assert not raised
    assert not lock.locked()


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_a_handler_that_raises_before_the_lock_is_given_up(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is still held, for the end of the `with` to release."""
    lock = make("thread", debug=True)
    condition = condition_of("thread", lock)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with condition:
        with monkeypatch.context() as patch:
            for module in _around, _ways:
                patch.setattr(module, "let_go", interrupt)
            with pytest.raises(KeyboardInterrupt):
                condition.wait(0.001)
        assert lock.locked()
    assert not lock.locked()


def test_a_condition_with_a_lock_that_tells_nothing() -> None:
    condition = condition_of("thread", make_lock("thread", debug=False))
    with condition:
        assert not condition.wait(0.001)
        assert condition.locked()
