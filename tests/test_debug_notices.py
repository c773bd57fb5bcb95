"""An interruption amid the wait of a debug condition loses no notification, no lock."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from anylock import debug, make_condition, make_lock, make_rlock
from anylock._blocking import BlockedThread
from anylock.debug import _notices, _ways
from conditions import assert_at_rest, notify, waiting
from debugged import condition_of, happened, lock_of, watched
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._notices import Notices

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet", "_no_garbage_collection")

from_3_11 = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="promised from 3.11 on"
)
depths = pytest.mark.parametrize(
    ("make", "depth"), [(make_lock, 1), (make_rlock, 1), (make_rlock, 3)]
)


class Behind:
    """A thread that waits behind the one that is tested, and must be notified."""

    def __init__(self, condition: Any) -> None:
        self.condition = condition
        self.notified = False
        self.first_has_left = False

    def wait(self) -> None:
        until(lambda: self.first_has_left or waiting(self.condition))
        with self.condition:
            self.notified = self.condition.wait(PATIENCE)

    def notify(self) -> None:
        """Notify once: the first one, or if that was interrupted before, this."""
        until(lambda: (1 if self.first_has_left else 2) == waiting(self.condition))
        notify(self.condition)

    def notify_again(self) -> None:
        until(lambda: waiting(self.condition) == 1)
        notify(self.condition)


@from_3_11
@depths
def test_in_a_thread(make: Callable[..., Any], depth: int) -> None:
    def attempt(point: int, where: list[str]) -> None:
        condition = condition_of("thread", lock_of("thread", make))
        behind = Behind(condition)
        with in_thread(behind.wait), in_thread(behind.notify):
            with ExitStack() as held:
                for _ in range(depth):
                    held.enter_context(condition)
                try:
                    with interrupt_at(point, interrupt, where):
                        assert condition.wait(PATIENCE)
                except Interrupted:
                    pass
                else:
                    assert not where
                behind.first_has_left = True
                condition.notify(0)  # it has the lock
            if not where:
                behind.notify_again()
        assert behind.notified
        assert_at_rest(condition)
        assert not condition.record.waits
        assert not condition.stats().holders

    run_points(attempt, parks=False)


@from_3_11
@depths
def test_between_processes(make: Callable[..., Any], depth: int) -> None:
    """The notification is lost, as by `multiprocessing`, but not the lock."""

    def attempt(point: int, where: list[str]) -> None:
        condition = condition_of("process", lock_of("process", make))
        lock = condition._lock
        with ExitStack() as held:
            for _ in range(depth):
                held.enter_context(condition)
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                condition.wait(0)
            assert lock._semlock._is_mine()
            assert lock._semlock._count() == depth
        assert not condition.locked()
        assert not condition.record.waits

    run_points(attempt, parks=False)


@from_3_11
@pytest.mark.parametrize("is_debug", [False, True])
@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_in_a_task(kind: Any, make: Callable[..., Any], *, is_debug: bool) -> None:
    """That the lock is not lost is promised nowhere for tasks; see docs/locks.md."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make(kind, debug=is_debug)
        condition: Any = make_condition(kind, lock, debug=is_debug)
        notices: Notices = condition._notices
        behind = BlockedThread()

        async def notify_unseen() -> None:
            profile = sys.getprofile()
            sys.setprofile(None)
            notices.add(behind)
            notices.notify()
            sys.setprofile(profile)

        async def main() -> None:
            await lock.__aenter__()
            notifying = asyncio.create_task(notify_unseen())
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                assert await condition.async_wait()
            await notifying
            if not where:
                notices.notify()

        asyncio.run(main())
        assert behind.granted
        assert not len(notices)

    run_points(attempt, parks=False)


@pytest.mark.parametrize("in_task", [False, True])
def test_who_ran_out_of_time_has_nothing_to_pass_on(
    monkeypatch: pytest.MonkeyPatch, *, in_task: bool
) -> None:
    condition = condition_of("thread")
    behind = BlockedThread()

    def end(*_: object) -> None:
        condition._notices.add(behind)
        raise Interrupted

    async def wait_in_task() -> None:
        async with condition:
            await condition.async_wait(0)

    def wait() -> None:
        with condition:
            condition.wait(0)

    monkeypatch.setattr(_notices, "end", end)
    with pytest.raises(Interrupted):
        asyncio.run(wait_in_task()) if in_task else wait()
    assert not behind.granted
    assert not condition.locked()


@pytest.mark.filterwarnings("error::anylock.debug.LoopBlockedWarning")
def test_a_warning_that_is_an_error_comes_after_the_notification() -> None:
    condition = condition_of("thread")
    behind = Behind(condition)
    debug.settings.warn = True
    debug.settings.blocked_loop = -1

    async def main() -> None:
        with condition:
            try:
                with pytest.raises(debug.LoopBlockedWarning):
                    condition.wait(PATIENCE)
            finally:
                behind.first_has_left = True

    with watched() as events, in_thread(behind.wait), in_thread(behind.notify):
        asyncio.run(main())
    assert behind.notified
    assert happened(events, condition) == ["waits", "waits", "got", "got"]
    assert_at_rest(condition)


# What is interrupted when the lock is had again keeps it: the end of its `with` is to
# release it, and may have entered it more than once.


def interrupt_once(patch: pytest.MonkeyPatch) -> None:
    """Let a handler raise when it is noted who has a lock."""

    def note(*_: object) -> None:
        patch.undo()
        raise Interrupted

    patch.setattr(_ways, "_note", note)


@depths
def test_the_condition_of_threading_ends_with_the_lock(
    make: Callable[..., Any], depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = lock_of("thread", make)
    condition = threading.Condition(lock)
    with ExitStack() as held:
        for _ in range(depth):
            held.enter_context(condition)
        interrupt_once(monkeypatch)
        with pytest.raises(Interrupted):
            condition.wait(0.001)
        assert lock.locked()
    assert not lock.locked()


@pytest.mark.parametrize("kind", ["async", "thread"])
@depths
def test_a_task_ends_with_the_lock(
    kind: str, make: Callable[..., Any], depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = condition_of(kind, lock_of(kind, make))

    async def main() -> None:
        async with AsyncExitStack() as held:
            for _ in range(depth):
                await held.enter_async_context(condition)
            interrupt_once(monkeypatch)
            with pytest.raises(Interrupted):
                await condition.async_wait(0.001)
            assert condition.locked()
        assert not condition.locked()

    asyncio.run(main())
