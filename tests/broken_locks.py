"""Locks that break a rule of the contract each, in the order of the rules."""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from anylock import LockTimeout, ProcessLock
from reference_lock import ReferenceLock, SlottedReferenceLock, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PATIENCE = 0.5
"""Seconds after which a broken lock is said to hang, where that is what it does."""


class NumberedKind(ReferenceLock):
    @property
    def kind(self) -> Any:
        return 7


class LockedIsAnAttribute(ReferenceLock):
    locked: Any = False


class SharedState(ReferenceLock):
    shared = ReferenceLock()

    def try_acquire(self) -> bool:
        return self.shared.try_acquire()

    def release(self) -> None:
        self.shared.release()

    def locked(self) -> bool:
        return self.shared.locked()


class FailingRepr(ReferenceLock):
    def __repr__(self) -> str:
        if self.locked():
            raise KeyError
        return "free"


class SilentTryAcquire(ReferenceLock):
    def try_acquire(self) -> Any:
        return super().try_acquire() or None


class WaitingTryAcquire(ReferenceLock):
    def try_acquire(self) -> bool:
        while not super().try_acquire():
            time.sleep(0.001)  # that it polls is a part of what is wrong
        return True


class SilentRelease(ReferenceLock):
    def release(self) -> None:
        if self._held:
            super().release()


class CountingRelease(ReferenceLock):
    spare = 0

    def release(self) -> None:
        try:
            super().release()
        except RuntimeError:
            self.spare += 1
            raise

    def try_acquire(self) -> bool:
        if super().try_acquire():
            return True
        self.spare -= 1
        return self.spare >= 0


class WrongReleaseError(ReferenceLock):
    def release(self) -> None:
        try:
            super().release()
        except RuntimeError as error:
            raise AttributeError from error


class LenientHold(ReferenceLock):
    def hold(self, timeout: Any = None) -> Any:
        return super().hold(None if timeout == -1 else timeout)


class TruthyHold(ReferenceLock):
    def hold(self, timeout: Any = None) -> Any:
        return super().hold(1 if timeout is True else timeout)


class NoInfinity(ReferenceLock):
    def hold(self, timeout: float | None = None) -> Any:
        if timeout == math.inf:
            raise OverflowError
        return super().hold(timeout)


class EagerHold(ReferenceLock):
    def hold(self, timeout: float | None = None) -> Any:
        made = super().hold(timeout)
        self.try_acquire()
        return made


class LeakyAsyncExit(ReferenceLock):
    async def __aexit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.release()


class SwallowingAsyncExit(ReferenceLock):
    async def __aexit__(self, *exc_info: object) -> Any:
        self.release()
        return True


class CheckpointAtExit(ReferenceLock):
    async def __aexit__(self, *exc_info: object) -> None:
        self.release()
        await anyio.lowlevel.cancel_shielded_checkpoint()


class OpenToTasks(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:  # noqa: ARG002
        self.try_acquire()
        return True

    def release(self) -> None:
        if self._held:
            super().release()


class OpenToSecondThoughts(ReferenceLock):
    """Excludes who waits, and lets in whoever comes while one is waiting."""

    def take_or_queue(
        self, seconds: float | None, wake: Callable[[], bool]
    ) -> Waiter | None:
        if self._queue:
            return None
        return super().take_or_queue(seconds, wake)

    def release(self) -> None:
        if self._held:
            super().release()


class LastComeFirstServed(ReferenceLock):
    def next_waiter(self) -> Waiter:
        return self._queue.pop()


class OvertakingTryAcquire(ReferenceLock):
    granted: Waiter | None = None

    def next_waiter(self) -> Waiter:
        self.granted = super().next_waiter()
        return self.granted

    def came_in(self, waiter: Waiter) -> bool:
        self.granted = None
        return super().came_in(waiter)

    def try_acquire(self) -> bool:
        return super().try_acquire() or self.granted is not None


class Barging(ReferenceLock):
    """Wakes the first, which then has to take the lock itself, as it once was."""

    def hand_on(self) -> None:
        self._held = False
        if self._queue:
            self._queue[0].wake()

    async def enter_task_within(self, seconds: float | None) -> bool:
        while not self.try_acquire():
            if seconds == 0:
                return False
            waiter, event = self.queue_task(seconds)
            if waiter is None:
                break
            await event.wait()
            self._queue.remove(waiter)
        return True


class WrongTimeout(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        return await super().enter_task_within(seconds and seconds / 1000)

    def enter_within(self, seconds: float | None) -> bool:
        return super().enter_within(seconds and seconds / 1000)


class NoTimeout(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        return await super().enter_task_within(seconds and None)

    def enter_within(self, seconds: float | None) -> bool:
        return super().enter_within(seconds and None)


class ZeroIsForEver(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        return await super().enter_task_within(seconds or None)

    def enter_within(self, seconds: float | None) -> bool:
        return super().enter_within(seconds or None)


class PlainTimeoutError(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        if not await super().enter_task_within(seconds):
            raise TimeoutError
        return True

    def enter_within(self, seconds: float | None) -> bool:
        if not super().enter_within(seconds):
            raise TimeoutError
        return True


class AnonymousTimeout(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        if not await super().enter_task_within(seconds):
            raise LockTimeout(seconds or 0)
        return True

    def enter_within(self, seconds: float | None) -> bool:
        if not super().enter_within(seconds):
            raise LockTimeout(seconds or 0)
        return True


class WrongSeconds(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        if not await super().enter_task_within(seconds):
            raise LockTimeout(7, self.name)
        return True

    def enter_within(self, seconds: float | None) -> bool:
        if not super().enter_within(seconds):
            raise LockTimeout(7, self.name)
        return True


class NoneIsAtOnce(ReferenceLock):
    def hold(self, timeout: float | None = None) -> Any:
        return super().hold(timeout or 0)


class HugeIsAtOnce(ReferenceLock):
    def hold(self, timeout: float | None = None) -> Any:
        return super().hold(0 if timeout is not None and timeout > 1e9 else timeout)


class TimedBody(ReferenceLock):
    """Its `hold` is fail_after() around everything, as one would write it at once."""

    def hold(self, timeout: float | None = None) -> Any:
        return FailAfter(self, timeout)


class FailAfter:
    def __init__(self, lock: ReferenceLock, timeout: float | None) -> None:
        self.lock = lock
        self.scope = anyio.move_on_after(timeout)

    async def __aenter__(self) -> None:
        self.scope.__enter__()
        await self.lock.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lock.release()
        self.scope.__exit__(exc_type, exc_value, traceback)


class CancelledStaysQueued(ReferenceLock):
    def give_up(self, waiter: Waiter) -> None:
        if waiter.granted:
            self.hand_on()


class CancelledKeepsGrant(ReferenceLock):
    def give_up(self, waiter: Waiter) -> None:
        self.came_in(waiter)


class ExpiredStaysQueued(ReferenceLock):
    def came_in(self, waiter: Waiter) -> bool:
        return waiter.granted


class SwallowsCancellation(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:  # noqa: ARG002
        with anyio.CancelScope(shield=True):
            await super().enter_task_within(None)
        return True


class LeakyCheckpoint(ReferenceLock):
    """It is a checkpoint when it has the lock already (anyio#398, #947)."""

    async def enter_task_within(self, seconds: float | None) -> bool:
        if self.try_acquire():
            await anyio.lowlevel.checkpoint()
            return True
        return await super().enter_task_within(seconds)


class TimeoutKeepsGrant(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        began = time.monotonic()
        acquired = await super().enter_task_within(seconds)
        late = seconds is not None and time.monotonic() > began + seconds
        return acquired and not late


class LeakyExit(ReferenceLock):
    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.release()


class OpenToThreads(ReferenceLock):
    def enter_within(self, seconds: float | None) -> bool:  # noqa: ARG002
        self.try_acquire()
        return True

    def release(self) -> None:
        if self._held:
            super().release()


class BlocksTheLoop(ReferenceLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        return self.enter_within(seconds)


class WaitsInWorkerThread(ReferenceLock):
    """An abandoned thread takes the lock later, for nobody (filelock#640)."""

    async def enter_task_within(self, seconds: float | None) -> bool:
        return self.try_acquire() or await anyio.to_thread.run_sync(
            self.enter_within, seconds, abandon_on_cancel=True
        )


class BoundToFirstLoop(ReferenceLock):
    loop: object = None

    def wake_up(self, event: anyio.Event) -> Callable[[], bool]:
        loop = anyio.lowlevel.current_token()
        if self.loop not in {None, loop}:
            message = "is bound to a different event loop"
            raise RuntimeError(message)
        self.loop = loop
        return super().wake_up(event)


class HandsToClosedLoop(ReferenceLock):
    def wake_up(self, event: anyio.Event) -> Callable[[], bool]:
        wake = super().wake_up(event)
        return lambda: wake() or True


class SetsFromElsewhere(ReferenceLock):
    """Wakes tasks of another loop, but their loop does not hear of it."""

    def wake_up(self, event: anyio.Event) -> Callable[[], bool]:
        here = threading.get_ident()
        wake = super().wake_up(event)
        return lambda: threading.get_ident() != here or wake()


class BlockingProcessLock(ProcessLock):
    async def __aenter__(self) -> None:
        super().__enter__()


SHARED = ReferenceLock()
FORK = multiprocessing.get_context("fork")
WORKERS = {"threads": False, "deadlocks": True}


@dataclass
class BrokenLock:
    """A lock that breaks a rule, and what is found in it."""

    rule: str
    factory: Callable[[], Any]
    found: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return f"{self.rule}-{getattr(self.factory, '__name__', 'function')}"


def quick(
    rule: str, factory: Callable[[], Any], found: str, **options: Any
) -> BrokenLock:
    """Describe a lock that is found out as soon as it is looked at."""
    return BrokenLock(rule, factory, found, options)


def hanging(
    rule: str, factory: Callable[[], Any], found: str, **options: Any
) -> BrokenLock:
    """Describe a lock that is found out because something does not happen."""
    return BrokenLock(rule, factory, found, {"patience": PATIENCE, **options})


TELLS = {"deadlocks": True}
FORKS = {"context": FORK}

BROKEN = [
    quick("surface", threading.Lock, "lacks kind, name"),
    quick("surface", NumberedKind, "kind is 7, not a str"),
    quick("surface", LockedIsAnAttribute, "'bool' object is not callable"),
    quick("fresh", lambda: SHARED, "the same lock twice"),
    quick("fresh", SharedState, "so is the other"),
    quick("repr_and_weakref", FailingRepr, "repr() raised KeyError()"),
    quick("repr_and_weakref", SlottedReferenceLock, "no weak references"),
    quick("try_acquire", SilentTryAcquire, "of a held lock gave None"),
    hanging("try_acquire", WaitingTryAcquire, "not come to its end within"),
    quick("release_unheld", SilentRelease, "raised nothing"),
    quick("release_unheld", CountingRelease, "two could acquire it"),
    quick("release_unheld", WrongReleaseError, "raised AttributeError()"),
    quick("hold_arguments", LenientHold, "hold(-1) raised nothing"),
    quick("hold_arguments", TruthyHold, "hold(True) raised nothing"),
    quick("hold_arguments", NoInfinity, "hold(inf) raised OverflowError()"),
    quick("hold_arguments", EagerHold, "before it was entered"),
    quick("async_with", LeakyAsyncExit, "still locked after an error"),
    quick("async_with", SwallowingAsyncExit, "swallowed the body's error"),
    quick("async_exit", CheckpointAtExit, "let other tasks run"),
    quick("tasks_exclude", OpenToTasks, "a second task got inside"),
    quick("tasks_exclude", OpenToSecondThoughts, "updates"),
    quick("first_come_first_served", LastComeFirstServed, "was overtaken"),
    quick("newcomers", OvertakingTryAcquire, "try_acquire() took it in between"),
    quick("newcomers", Barging, "try_acquire() took it in between"),
    quick("timeouts_in_tasks", WrongTimeout, "s already"),
    hanging("timeouts_in_tasks", NoTimeout, "hold(0.03) should have given up"),
    hanging("timeouts_in_tasks", ZeroIsForEver, "hold(0) should have given up"),
    quick("timeouts_in_tasks", PlainTimeoutError, "TimeoutError()"),
    quick("timeouts_in_tasks", AnonymousTimeout, "has .lock_name None"),
    quick("timeouts_in_tasks", WrongSeconds, "with .timeout 7"),
    hanging("timeouts_in_tasks", ExpiredStaysQueued, "the task behind"),
    quick("endless_in_tasks", NoneIsAtOnce, "hold(None) did not wait"),
    quick("endless_in_tasks", HugeIsAtOnce, "hold(inf) did not wait"),
    quick("timeout_spares_body", TimedBody, "the task inside was"),
    hanging("cancelled_while_waiting", CancelledStaysQueued, "the task behind"),
    hanging("cancelled_while_waiting", SwallowsCancellation, "been cancelled"),
    hanging("cancelled_after_grant", CancelledKeepsGrant, "the task behind"),
    hanging("cancelled_head", CancelledKeepsGrant, "the task behind"),
    hanging("many_cancelled", CancelledStaysQueued, "a task among 200"),
    hanging("cancelled_anywhere", LeakyCheckpoint, "set out for a free lock"),
    hanging("cancelled_anywhere", CancelledKeepsGrant, "turns after it set out"),
    hanging("timeout_at_grant", TimeoutKeepsGrant, "ran out of time"),
    hanging("many_timeouts", ExpiredStaysQueued, "behind those that gave up"),
    hanging("own_lock_again", ReferenceLock, "not come to its end", **TELLS),
    hanging("sync_in_loop_thread", ReferenceLock, "bell.wait(seconds)", **TELLS),
    hanging("sync_before_own_tasks", ReferenceLock, "bell.wait(seconds)", **TELLS),
    quick("with_", LeakyExit, "still locked after an error"),
    quick("threads_exclude", OpenToThreads, "second thread got the lock while"),
    quick("timeouts_in_threads", WrongTimeout, "s already"),
    hanging("timeouts_in_threads", NoTimeout, "hold(0.03) should have given up"),
    hanging("timeouts_in_threads", ZeroIsForEver, "hold(0) should have given up"),
    quick("timeouts_in_threads", PlainTimeoutError, "TimeoutError()"),
    quick("timeouts_in_threads", AnonymousTimeout, "has .lock_name None"),
    quick("timeouts_in_threads", WrongSeconds, "with .timeout 7"),
    quick("endless_in_threads", NoneIsAtOnce, "LockTimeout"),
    quick("endless_in_threads", HugeIsAtOnce, "LockTimeout"),
    quick("threads_and_tasks_exclude", OpenToThreads, "a thread got the lock"),
    quick("threads_and_tasks_exclude", OpenToTasks, "a task got the lock while"),
    hanging("threads_and_tasks_exclude", BlocksTheLoop, "event loop should run"),
    hanging("cancelled_behind_thread", WaitsInWorkerThread, "should have got"),
    quick("loops_in_turn", BoundToFirstLoop, "bound to a different"),
    hanging("closed_loop", HandsToClosedLoop, "should have got the lock"),
    hanging("loops_exclude", SetsFromElsewhere, "should have got the lock"),
    quick("loops_exclude", BoundToFirstLoop, "bound to a different"),
    hanging("loops_refused", ReferenceLock, "should have been refused", **WORKERS),
    quick("processes_exclude", ReferenceLock, "gave False, not True", **FORKS),
    hanging(
        "tasks_wait_for_processes",
        lambda: BlockingProcessLock(context=FORK),
        "the event loop should run",
        **FORKS,
    ),
]
