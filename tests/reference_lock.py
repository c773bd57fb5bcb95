"""A lock for threads and tasks of this process, as simple as it can be and right.

Nothing in it is fast. It is what `check_lock` must accept, and its parts are what the
broken locks of test_check_lock.py replace.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from anylock import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter:
    """A thread or task that waits."""

    def __init__(self, wake: Callable[[], bool]) -> None:
        self.wake = wake
        """Wakes it, and says whether that is still possible."""
        self.granted = False


class ReferenceHold:
    """What `hold` returns."""

    def __init__(self, lock: SlottedReferenceLock, timeout: Any) -> None:
        if timeout is not None:
            if isinstance(timeout, bool) or not isinstance(timeout, int | float):
                message = f"a timeout is a number of seconds, not {timeout!r}"
                raise TypeError(message)
            if not timeout >= 0:
                message = f"a timeout is not negative, or NaN, as {timeout!r} is"
                raise ValueError(message)
            if timeout > threading.TIMEOUT_MAX:
                timeout = None
        self._lock = lock
        self._timeout = timeout

    def __enter__(self) -> object:
        if not self._lock.enter_within(self._timeout):
            raise LockTimeout(self._timeout or 0.0, self._lock.name)
        return self._lock

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()

    async def __aenter__(self) -> object:
        if not await self._lock.enter_task_within(self._timeout):
            raise LockTimeout(self._timeout or 0.0, self._lock.name)
        return self._lock

    async def __aexit__(self, *exc_info: object) -> None:
        self._lock.release()


class SlottedReferenceLock:
    """The reference lock without weak references."""

    __slots__ = ("_held", "_mutex", "_name", "_queue")

    def __init__(self, name: str | None = "reference") -> None:
        self._name = name
        self._mutex = threading.RLock()
        self._held = False
        self._queue: deque[Waiter] = deque()

    @property
    def kind(self) -> str:
        return "reference"

    @property
    def name(self) -> str | None:
        return self._name

    def locked(self) -> bool:
        return self._held

    def try_acquire(self) -> bool:
        with self._mutex:
            if self._held:
                return False
            self._held = True
            return True

    def release(self) -> None:
        with self._mutex:
            if not self._held:
                message = "release of a lock that nobody holds"
                raise RuntimeError(message)
            self.hand_on()

    def hold(self, timeout: float | None = None) -> Any:
        return ReferenceHold(self, timeout)

    def __enter__(self) -> object:
        return self.enter_within(None)

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    async def __aenter__(self) -> object:
        return await self.enter_task_within(None)

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    # The parts.

    def enter_within(self, seconds: float | None) -> bool:
        bell = threading.Event()

        def ring() -> bool:
            bell.set()
            return True

        waiter = self.take_or_queue(seconds, ring)
        if waiter is None:
            return True
        bell.wait(seconds)
        return self.came_in(waiter)

    async def enter_task_within(self, seconds: float | None) -> bool:
        waiter, event = self.queue_task(seconds)
        if waiter is None:
            return True
        try:
            with nullcontext() if seconds is None else anyio.move_on_after(seconds):
                await event.wait()
        except BaseException:
            self.give_up(waiter)
            raise
        return self.came_in(waiter)

    def queue_task(self, seconds: float | None) -> tuple[Waiter | None, anyio.Event]:
        event = anyio.Event()
        return self.take_or_queue(seconds, self.wake_up(event)), event

    def wake_up(self, event: anyio.Event) -> Callable[[], bool]:
        loop: Any = anyio.lowlevel.current_token().native_token
        soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

        def wake() -> bool:
            try:
                soon(event.set)
            except RuntimeError:  # the event loop was closed; trio's is one as well
                return False
            return True

        return wake

    def take_or_queue(
        self, seconds: float | None, wake: Callable[[], bool]
    ) -> Waiter | None:
        """Take the lock, and return None, or return how we are queued."""
        with self._mutex:
            if self.try_acquire():
                return None
            waiter = Waiter(wake)
            if seconds != 0:
                self._queue.append(waiter)
            return waiter

    def came_in(self, waiter: Waiter) -> bool:
        """Say whether the lock was granted; no more of it when the wait is over."""
        with self._mutex:
            if not waiter.granted and waiter in self._queue:
                self._queue.remove(waiter)
            return waiter.granted

    def give_up(self, waiter: Waiter) -> None:
        """Leave the queue, or pass on what was granted."""
        with self._mutex:
            if self.came_in(waiter):
                self.hand_on()

    def hand_on(self) -> None:
        """Grant the lock to the first who can be woken, or free it."""
        while self._queue:
            waiter = self.next_waiter()
            waiter.granted = True
            if waiter.wake():
                return
        self._held = False

    def next_waiter(self) -> Waiter:
        return self._queue.popleft()


class ReferenceLock(SlottedReferenceLock):
    """The reference lock."""
