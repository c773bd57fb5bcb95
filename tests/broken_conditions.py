"""Conditions that break a rule each, in the order of the rules."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio

from broken_locks import FORKS, hanging, quick
from reference_family import (
    ReferenceCondition,
    ReferenceRLock,
    ThreadCondition,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_lock import Waiter


class NotifiesUnheld(ReferenceCondition):
    def notify(self, n: int = 1) -> None:
        self.pass_on(n)


class WaitsUnheld(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:
        return self.is_mine() and super().thread_waits(timeout)

    async def task_waits(self, seconds: float | None = None) -> bool:
        return self.is_mine() and await super().task_waits(seconds)


class KeepsTheLock(ReferenceCondition):
    def leave_wholly(self) -> int:
        return 0

    def enter_within(self, seconds: float | None) -> bool:
        return self.is_mine() or super().enter_within(seconds)

    async def enter_again(self, depth: int) -> None:
        pass


class LeavesTheLock(ReferenceCondition):
    """It does not have the lock again after it waited."""

    def thread_waits(self, timeout: float | None = None) -> bool:
        self.require_mine()
        notified = super().thread_waits(timeout)
        self.leave_wholly()
        return notified

    async def enter_again(self, depth: int) -> None:
        pass


class SilentWait(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> Any:
        super().thread_waits(timeout)

    async def task_waits(self, seconds: float | None = None) -> Any:
        await super().task_waits(seconds)


class Remembers(ReferenceCondition):
    """A notification for nobody is for who comes next."""

    spare = 0

    def notify(self, n: int = 1) -> None:
        if not self._sleepers:
            self.spare += n
        super().notify(n)

    def thread_waits(self, timeout: float | None = None) -> bool:
        self.spare -= 1
        return self.spare >= 0 or super().thread_waits(timeout)

    async def task_waits(self, seconds: float | None = None) -> bool:
        self.spare -= 1
        return self.spare >= 0 or await super().task_waits(seconds)


class LastComeFirstNotified(ReferenceCondition):
    def next_sleeper(self) -> Waiter:
        return self._sleepers.pop()


class NotifiesAll(ReferenceCondition):
    def notify(self, n: int = 1) -> None:
        super().notify(max(n, len(self._sleepers)))


class NotifiesOne(ReferenceCondition):
    def notify_all(self) -> None:
        self.notify()


class TimeoutIsTrue(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:
        return super().thread_waits(timeout) or True

    async def task_waits(self, seconds: float | None = None) -> bool:
        return await super().task_waits(seconds) or True


class NoTimeout(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:
        return super().thread_waits(timeout and None)

    async def task_waits(self, seconds: float | None = None) -> bool:
        return await super().task_waits(seconds and None)


class EarlyTimeout(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:
        return super().thread_waits(timeout and timeout / 1000)

    async def task_waits(self, seconds: float | None = None) -> bool:
        return await super().task_waits(seconds and seconds / 1000)


class StaysAsleep(ReferenceCondition):
    def was_notified(self, sleeper: Waiter) -> bool:
        return sleeper.granted


class SaysWhether(ReferenceCondition):
    def wait_for(
        self, predicate: Callable[[], object], timeout: float | None = None
    ) -> object:
        return bool(super().wait_for(predicate, timeout))

    async def async_wait_for(
        self,
        predicate: Callable[[], object],
        timeout: float | None = None,  # noqa: ASYNC109 - what it is called
    ) -> object:
        return bool(await super().async_wait_for(predicate, timeout))


class AsksOnce(ReferenceCondition):
    def wait_for(
        self, predicate: Callable[[], object], timeout: float | None = None
    ) -> object:
        return predicate() or (self.wait(timeout), predicate())[1]

    async def async_wait_for(
        self,
        predicate: Callable[[], object],
        timeout: float | None = None,  # noqa: ASYNC109 - what it is called
    ) -> object:
        return predicate() or (await self.async_wait(timeout), predicate())[1]


class AsksOnly(ReferenceCondition):
    def wait_for(self, predicate: Callable[[], object], *_: Any, **__: Any) -> object:
        return predicate()

    async def async_wait_for(
        self, predicate: Callable[[], object], *_: Any, **__: Any
    ) -> object:
        return predicate()


class LeavesOnce(ReferenceCondition):
    def leave_wholly(self) -> int:
        depth = self._depth
        self.release()
        return depth


class EntersOnce(ReferenceCondition):
    def entered_again(self, depth: int) -> None:
        pass


class CancelledWithoutLock(ReferenceCondition):
    async def enter_again(self, depth: int) -> None:
        await self.enter_task_within(None)
        self.entered_again(depth)


class CancelledTwice(ReferenceCondition):
    """The shield is anyio's, and asyncio itself knows nothing of it."""

    async def enter_again(self, depth: int) -> None:
        with anyio.CancelScope(shield=True):
            await self.enter_task_within(None)
        self.entered_again(depth)


class CancelledKeepsNotification(ReferenceCondition):
    def wait_cancelled(self, sleeper: Waiter) -> None:
        self.was_notified(sleeper)


class TimeoutKeepsNotification(ReferenceCondition):
    async def task_waits(self, seconds: float | None = None) -> bool:
        began = time.monotonic()
        notified = await super().task_waits(seconds)
        late = seconds is not None and time.monotonic() > began + seconds
        return notified and not late


class NotifiesClosedLoop(ReferenceCondition):
    def wake_up(self, event: anyio.Event) -> Callable[[], bool]:
        wake = super().wake_up(event)
        return lambda: wake() or True


BROKEN_CONDITIONS = [
    quick("condition_surface", ReferenceRLock, "isinstance(condition"),
    quick("notify_unheld", NotifiesUnheld, "notify() without the lock raised nothing"),
    quick("wait_unheld", WaitsUnheld, "wait(None) without the lock raised nothing"),
    quick("wait_and_notify", KeepsTheLock, "wait() did not give the lock up"),
    quick("wait_and_notify", LeavesTheLock, "two had the lock"),
    quick("wait_and_notify", SilentWait, "wait() returned None"),
    quick("wait_and_notify", Remembers, "wait() did not wait"),
    quick("notify_in_order", LastComeFirstNotified, "who waits longest was overtaken"),
    quick("notify_in_order", NotifiesAll, "notify(1) let more tasks go on"),
    hanging("notify_in_order", NotifiesOne, "should go on"),
    quick("wait_timeout", TimeoutIsTrue, "returned True when the time was over"),
    hanging("wait_timeout", NoTimeout, "wait(0.03) should have given up"),
    quick("wait_timeout", EarlyTimeout, "s already"),
    hanging("wait_timeout", StaysAsleep, "who waited on should have got the lock"),
    quick("wait_timeout", LeavesTheLock, "the lock"),
    quick("wait_for_predicate", SaysWhether, "when the time was over, it returned"),
    quick("wait_for_predicate", AsksOnce, "before the predicate was true"),
    quick("deep_wait", LeavesOnce, "wait() did not give the lock up"),
    quick("deep_wait", EntersOnce, "RuntimeError"),
    quick("cancelled_wait", CancelledWithoutLock, "without the lock"),
    hanging("cancelled_wait", StaysAsleep, "who waited on"),
    hanging("cancelled_after_notify", CancelledKeepsNotification, "the task behind"),
    hanging("notified_at_timeout", TimeoutKeepsNotification, "the task behind"),
    quick("wait_unheld_in_threads", WaitsUnheld, "without the lock raised nothing"),
    hanging("wait_in_threads", KeepsTheLock, "wait() should have given up"),
    quick("wait_in_threads", LeavesTheLock, "the lock"),
    quick("wait_in_threads", SilentWait, "wait() returned None"),
    quick("wait_in_threads", Remembers, "not notified"),
    quick("notify_threads", NotifiesAll, "more went on than were notified"),
    hanging("notify_threads", NotifiesOne, "nobody who was notified went on"),
    quick("wait_timeout_in_threads", TimeoutIsTrue, "returned True when"),
    hanging("wait_timeout_in_threads", NoTimeout, "when the time was over"),
    quick("wait_timeout_in_threads", EarlyTimeout, "s already"),
    hanging("wait_timeout_in_threads", StaysAsleep, "when it was notified"),
    quick("wait_for_in_threads", SaysWhether, "when the time was over, it returned"),
    quick("wait_for_in_threads", AsksOnce, "before the predicate was true"),
    hanging("deep_wait_in_threads", LeavesOnce, "wait() should have given up"),
    quick("deep_wait_in_threads", EntersOnce, "RuntimeError"),
    quick("producers_and_consumers", AsksOnly, "before its predicate was"),
    hanging("closed_loop_waits", NotifiesClosedLoop, "behind a task of a closed loop"),
    hanging("processes_notify", ThreadCondition, "should have ended", **FORKS),
]

ON_ASYNCIO_ONLY = [
    quick("cancelled_wait", CancelledTwice, "went on without the lock"),
]
