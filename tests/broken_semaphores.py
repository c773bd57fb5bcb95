"""Semaphores that break a rule each, in the order of the rules."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from broken_locks import FORKS, hanging, quick
from reference_family import BoundedReferenceSemaphore, ReferenceSemaphore
from reference_lock import ReferenceLock

if TYPE_CHECKING:
    from reference_lock import Waiter


class ValueAsText(ReferenceSemaphore):
    @property
    def value(self) -> Any:
        return str(self._value)


class ValueOfOld(ReferenceSemaphore):
    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._old = value

    @property
    def value(self) -> int:
        return self._old


class NeverLocked(ReferenceSemaphore):
    def locked(self) -> bool:
        return False


class ReleasesNone(ReferenceSemaphore):
    def release(self, n: int = 1) -> None:
        if n > 0:
            super().release(n)


class BoundOneByOne(BoundedReferenceSemaphore):
    def release(self, n: int = 1) -> None:
        for _ in range(n):
            super().release()


class OneTooMany(ReferenceSemaphore):
    def __init__(self, value: int = 1) -> None:
        super().__init__(value + 1)

    @property
    def value(self) -> int:
        return max(0, self._value - 1)

    def locked(self) -> bool:
        return self.value == 0


class OneTooFew(ReferenceSemaphore):
    def try_acquire(self) -> bool:
        return self._value > 1 and super().try_acquire()


class ReleasesOne(ReferenceSemaphore):
    def release(self, n: int = 1) -> None:  # noqa: ARG002
        super().release()


class ReleasesAll(ReferenceSemaphore):
    def release(self, n: int = 1) -> None:
        super().release(max(n, len(self._queue)))


class NeverEmpty(ReferenceSemaphore):
    def __init__(self, value: int = 1) -> None:
        super().__init__(value or 1)


class Owned(ReferenceSemaphore):
    """Only threads that have a permit may release one."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._owners: list[object] = []

    def try_acquire(self) -> bool:
        taken = super().try_acquire()
        if taken:
            self._owners.append(threading.current_thread())
        return taken

    def release(self, n: int = 1) -> None:
        for _ in range(n):
            self._owners.remove(threading.current_thread())
        super().release(n)


class LastComeFirstServed(ReferenceSemaphore):
    def next_waiter(self) -> Waiter:
        return self._queue.pop()


class Barging(ReferenceSemaphore):
    """Wakes the first, which then has to take a permit itself, as it once was."""

    def hand_on(self) -> None:
        self._value += 1
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


class CancelledKeepsGrant(ReferenceSemaphore):
    def give_up(self, waiter: Waiter) -> None:
        self.came_in(waiter)


class CancelledMakesPermit(ReferenceSemaphore):
    def give_up(self, waiter: Waiter) -> None:
        self.came_in(waiter)
        self.hand_on()


class TimeoutKeepsGrant(ReferenceSemaphore):
    async def enter_task_within(self, seconds: float | None) -> bool:
        began = time.monotonic()
        acquired = await super().enter_task_within(seconds)
        late = seconds is not None and time.monotonic() > began + seconds
        return acquired and not late


class TimeoutMakesPermit(ReferenceSemaphore):
    async def enter_task_within(self, seconds: float | None) -> bool:
        acquired = await super().enter_task_within(seconds)
        if seconds and not acquired:
            self.release()
        return acquired


def no_semaphore(_: int = 1) -> ReferenceLock:
    return ReferenceLock()


BOUNDED = {"bounded": True}

BROKEN_SEMAPHORES = [
    quick("semaphore_surface", no_semaphore, "isinstance(semaphore"),
    quick("semaphore_surface", ValueAsText, "it has the value '0'"),
    quick("value", ValueOfOld, "its value is 1 while 0 permits are free"),
    quick("value", NeverLocked, "locked() is False while 0 permits are free"),
    quick("release_arguments", ReleasesNone, "release(0) raised nothing"),
    quick("more_permits", BoundedReferenceSemaphore, "it raised ValueError"),
    quick("bound", ReferenceSemaphore, "raised nothing, not ValueError", **BOUNDED),
    quick("bound", BoundOneByOne, "its value is", **BOUNDED),
    quick("permits_for_all", OneTooMany, "got the lock when all 3"),
    hanging("permits_for_all", OneTooFew, "when 2 of 3 permits"),
    hanging("release_for_all", ReleasesOne, "only 2 got in by 3 permits"),
    quick("release_for_all", ReleasesAll, "got in by 1 permits"),
    quick("no_permits", NeverEmpty, "got the lock without a permit"),
    quick("no_owner", Owned, "it raised ValueError"),
    hanging("permits_for_processes", ReferenceSemaphore, "its value is 2", **FORKS),
    quick("permits_in_order", LastComeFirstServed, "of the tasks in a row"),
    quick("permits_in_order", OneTooMany, "of the tasks in a row"),
    hanging("release_in_order", ReleasesOne, "release(3) should let 3 tasks in"),
    quick("release_in_order", ReleasesAll, "of the tasks in a row"),
    quick("newcomers_and_permits", Barging, "in between"),
    hanging("cancelled_with_permit", CancelledKeepsGrant, "the three tasks"),
    hanging("permits_kept", CancelledKeepsGrant, "but did not within"),
    hanging("permits_kept", CancelledMakesPermit, "should be free when all are gone"),
    hanging("permits_at_timeout", TimeoutKeepsGrant, "behind those that ran out"),
    quick("permits_at_timeout", TimeoutMakesPermit, "of 2"),
    quick("permits_and_wait_for", CancelledMakesPermit, "permit"),
]
