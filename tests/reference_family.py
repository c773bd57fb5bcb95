"""A re-entrant lock, a semaphore and conditions, as simple as they can be and right.

They are the reference lock with a little more. Nothing in them is fast. They are what
the checks of the family must accept, and their parts are what the broken ones of
test_check_family.py replace.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio

from reference_lock import ReferenceLock, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable


def current() -> object:
    """Return the task that runs in this thread, or the thread."""
    try:
        return asyncio.current_task() or threading.current_thread()
    except RuntimeError:
        pass
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_task()
    return threading.current_thread()


class OwnedWaiter(Waiter):
    """A thread or task that waits, and will be the owner."""

    def __init__(self, wake: Callable[[], bool], owner: object) -> None:
        super().__init__(wake)
        self.owner = owner


class ReferenceRLock(ReferenceLock):
    """The reference lock, which who holds it may enter again."""

    def __init__(self, name: str | None = "reference") -> None:
        super().__init__(name)
        # The object, not its id: that is used again when it is dead.
        self._owner: object = None
        self._depth = 0

    def who(self) -> object:
        return current()

    def try_acquire(self) -> bool:
        with self._mutex:
            if not self._held:
                self._owner = self.who()
            elif not self.is_mine():
                return False
            self._held = True
            self._depth += 1
            return True

    def is_mine(self) -> bool:
        return self._held and self._owner == self.who()

    def release(self) -> None:
        with self._mutex:
            if not self.is_mine():
                message = "release of a lock that somebody else holds, or nobody"
                raise RuntimeError(message)
            self._depth -= 1
            if not self._depth:
                self.hand_on()

    def take_or_queue(
        self, seconds: float | None, wake: Callable[[], bool]
    ) -> Waiter | None:
        with self._mutex:
            if self.try_acquire():
                return None
            waiter = OwnedWaiter(wake, self.who())
            if seconds != 0:
                self._queue.append(waiter)
            return waiter

    def next_waiter(self) -> Waiter:
        waiter = super().next_waiter()
        assert isinstance(waiter, OwnedWaiter)
        self._owner = waiter.owner
        self._depth = 1
        return waiter

    def hand_on(self) -> None:
        self._owner = None
        self._depth = 0
        super().hand_on()

    # For conditions.

    def leave_wholly(self) -> int:
        with self._mutex:
            depth = self._depth
            self.hand_on()
            return depth

    def entered_again(self, depth: int) -> None:
        self._depth = depth


class ReferenceSemaphore(ReferenceLock):
    """The reference lock with any number of permits."""

    def __init__(self, value: int = 1, name: str | None = "reference") -> None:
        super().__init__(name)
        self._value = value

    @property
    def value(self) -> int:
        return self._value

    def locked(self) -> bool:
        return self._value == 0

    def try_acquire(self) -> bool:
        with self._mutex:
            if not self._value:
                return False
            self._value -= 1
            return True

    def release(self, n: int = 1) -> None:
        with self._mutex:
            if n < 1:
                message = "release of no permits"
                raise ValueError(message)
            for _ in range(n):
                self.hand_on()

    def hand_on(self) -> None:
        """Grant a permit to the first who can be woken, or have one more."""
        while self._queue:
            waiter = self.next_waiter()
            waiter.granted = True
            if waiter.wake():
                return
        self._value += 1


class BoundedReferenceSemaphore(ReferenceSemaphore):
    """The reference semaphore with a bound."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._bound = value

    def release(self, n: int = 1) -> None:
        with self._mutex:
            if self._value + n > self._bound:
                message = "release of more permits than were acquired"
                raise ValueError(message)
            super().release(n)


class Notified(ReferenceLock):
    """What makes a condition of the reference lock, but for the names to wait by."""

    def __init__(self, name: str | None = "reference") -> None:
        super().__init__(name)
        self._sleepers: deque[Waiter] = deque()

    # What the re-entrant lock has of its own.

    def is_mine(self) -> bool:
        return self._held

    def leave_wholly(self) -> int:
        self.release()
        return 1

    def entered_again(self, depth: int) -> None:
        assert depth == 1

    # The parts.

    def require_mine(self) -> None:
        if not self.is_mine():
            message = "the lock is not held"
            raise RuntimeError(message)

    def notify(self, n: int = 1) -> None:
        self.require_mine()
        self.pass_on(n)

    def notify_all(self) -> None:
        self.notify(len(self._sleepers))

    def pass_on(self, number: int) -> None:
        with self._mutex:
            while number > 0 and self._sleepers:
                sleeper = self.next_sleeper()
                sleeper.granted = True
                number -= sleeper.wake()

    def next_sleeper(self) -> Waiter:
        return self._sleepers.popleft()

    def begin(self, wake: Callable[[], bool]) -> tuple[Waiter, int]:
        self.require_mine()
        sleeper = Waiter(wake)
        with self._mutex:
            self._sleepers.append(sleeper)
            return sleeper, self.leave_wholly()

    def was_notified(self, sleeper: Waiter) -> bool:
        """Say whether it was; it is not any more when the wait is over."""
        with self._mutex:
            if not sleeper.granted:
                self._sleepers.remove(sleeper)
            return sleeper.granted

    def thread_waits(self, timeout: float | None = None) -> bool:
        bell = threading.Event()

        def ring() -> bool:
            bell.set()
            return True

        sleeper, depth = self.begin(ring)
        bell.wait(timeout)
        notified = self.was_notified(sleeper)
        self.enter_within(None)
        self.entered_again(depth)
        return notified

    async def task_waits(self, seconds: float | None = None) -> bool:
        event = anyio.Event()
        sleeper, depth = self.begin(self.wake_up(event))
        try:
            with nullcontext() if seconds is None else anyio.move_on_after(seconds):
                await event.wait()
        except BaseException:
            self.wait_cancelled(sleeper)
            await self.enter_again(depth)
            raise
        notified = self.was_notified(sleeper)
        try:
            await self.enter_again(depth)
        except BaseException:
            if notified:
                self.pass_on(1)
            raise
        return notified

    def wait_cancelled(self, sleeper: Waiter) -> None:
        if self.was_notified(sleeper):
            self.pass_on(1)

    async def enter_again(self, depth: int) -> None:
        """Enter, whatever happens meanwhile; raise that afterwards."""
        cancelled: BaseException | None = None
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    await self.enter_task_within(None)
            except anyio.get_cancelled_exc_class() as error:  # noqa: PERF203
                cancelled = error  # asyncio itself knows no shield
            else:
                break
        self.entered_again(depth)
        if cancelled is not None:
            raise cancelled


class ThreadsWait(Notified):
    """By this threads wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.thread_waits(timeout)

    def wait_for(
        self, predicate: Callable[[], object], timeout: float | None = None
    ) -> object:
        result = predicate()
        while not result:
            notified = self.wait(timeout)
            result = predicate()
            if not notified:
                break
        return result


class TasksWait(Notified):
    """By this tasks wait, beside threads."""

    async def async_wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - what it is called
    ) -> bool:
        return await self.task_waits(timeout)

    async def async_wait_for(
        self,
        predicate: Callable[[], object],
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> object:
        result = predicate()
        while not result:
            notified = await self.async_wait(timeout)
            result = predicate()
            if not notified:
                break
        return result


class ThreadCondition(ThreadsWait):
    """Only threads wait for it, by a lock that is not re-entrant."""


class AsyncCondition(TasksWait):
    """Only tasks wait for it; these are the names that asyncio has for it."""

    wait = TasksWait.async_wait
    wait_for = TasksWait.async_wait_for


class ReferenceCondition(ReferenceRLock, ThreadsWait, TasksWait):
    """Threads and tasks wait for it, by a re-entrant lock."""
