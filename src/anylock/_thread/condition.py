"""`ThreadCondition`: a `threading.Condition` that tasks can wait for as well."""

from __future__ import annotations

import os
import weakref
from itertools import repeat, starmap
from threading import TIMEOUT_MAX
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from anylock._blocking import BlockedThread
from anylock._errors import LockNotHeldError, WouldDeadlock
from anylock._hold import TimedHold, checked_name, seconds
from anylock._notices import Notices, wait_in_task
from anylock._parking import running_library, this_thread
from anylock._thread.lock import ThreadLock
from anylock._thread.rlock import ThreadRLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from anylock._parking import ThreadMarker

T = TypeVar("T")

_conditions: weakref.WeakSet[ThreadCondition] = weakref.WeakSet()


def _forget_waiters() -> None:
    # Those of the parent would be notified in the place of those of the child.
    for condition in _conditions:
        condition._notices = Notices()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_waiters)


class ThreadCondition:
    """A `threading.Condition` that tasks can wait for as well.

    For threads, and tasks of any event loops of asyncio and trio, of one process: all
    of them may wait for one condition, and each may notify the others, in the order in
    which they came. Threads use it like `threading.Condition`; tasks enter it by
    `async with` and wait by `await condition.async_wait()`.

    A wait that was notified and then cancelled, or interrupted by a signal handler,
    passes the notification on. However a wait ends, it ends with the lock.

    Safe to use from threads and tasks. In a forked child nobody waits, and the lock is
    as it says of itself.

    Args:
        lock: The lock to use, of kind "thread", from `make_lock` or `make_rlock`; None
            makes a re-entrant one, as `threading` does. Several conditions may share
            one lock.
        name: A label for reprs and errors; None takes that of the lock.

    Raises:
        TypeError: `lock` is of another kind, or `name` is not a string.
    """

    __slots__ = ("__weakref__", "_closed", "_guts", "_lock", "_name", "_notices")

    def __init__(
        self, lock: ThreadLock | ThreadRLock | None = None, name: str | None = None
    ) -> None:
        checked_name(name)
        if lock is None:
            lock = ThreadRLock(name)
        if not isinstance(lock, ThreadLock | ThreadRLock):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = (
                f"lock must be one of make_lock('thread') or make_rlock('thread'), "
                f"not {lock!r}"
            )
            raise TypeError(message)
        self._name = lock.name if name is None else name
        self._lock = lock
        self._guts: Any = lock  # for what is no business of anybody else
        self._notices = Notices()
        self._closed: list[ThreadMarker] = []
        """Where tasks are being closed that could not take the lock again: a marker for
        each time that they entered it."""
        _conditions.add(self)

    @property
    def kind(self) -> Literal["thread"]:
        """The kind of condition, "thread"."""
        return "thread"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, else that of the lock, or None."""
        return self._name

    # The lock.

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock; see the class of that."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Release the lock; see the class of that."""
        self._lock.release()

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        return self._lock.locked()

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self._lock.try_acquire()

    def hold(self, timeout: float | None = None) -> TimedHold[ThreadCondition]:
        """Give a context manager that waits at most `timeout` seconds for the lock.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        enter, enter_task = self._guts._enter_within, self._guts._enter_task_within  # noqa: SLF001
        return TimedHold(self, timeout, enter, enter_task)

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread."""
        return self._lock.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        if exc_type is not GeneratorExit or not self._was_closed():
            self._lock.__exit__(exc_type, exc_value, traceback)

    async def __aenter__(self) -> None:
        """Wait for the lock without blocking the event loop."""
        await self._lock.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock; never a checkpoint."""
        if exc_type is not GeneratorExit or not self._was_closed():
            await self._lock.__aexit__(exc_type, exc_value, traceback)

    # What a condition is for.

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, block this thread until notified, and take the lock again.

        In a task use `async_wait`: this one stops the event loop.

        Args:
            timeout: Seconds to wait at most for the notification; None waits for
                ever, 0 and less do not wait.

        Returns:
            Whether it was notified before the time was over.

        Raises:
            LockNotHeldError: This thread does not hold the lock.
            WouldDeadlock: The running task holds it, by `async with`.
        """
        lock = self._guts
        # A lock that is not re-entrant does not know of whom a thread is asking.
        if lock._held_by_task() and running_library() is not None:  # noqa: SLF001
            reason = "a task holds it, whose event loop would stop"
            raise WouldDeadlock(reason, "await async_wait() in tasks", self._name)
        if not lock._held_by_thread():  # noqa: SLF001
            raise LockNotHeldError(self._name)
        waiter = BlockedThread()
        given: list[object] = []
        taken: list[bool] = []
        try:
            self._notices.add(waiter)
            self._give_up(given)
            waiter.block(None if timeout is None else max(0, min(timeout, TIMEOUT_MAX)))
            notified = not self._notices.withdraw(waiter)
            self._acquire_again(given, taken)
        except BaseException:  # a signal handler raised it, anywhere in there
            if not self._notices.withdraw(waiter):
                self._notices.notify()
            self._acquire_again(given, taken)
            raise
        return notified

    # A signal handler can raise after the lock was released, or acquired, and before
    # the result is stored. So each is noted from C as well, by `list.extend`.

    def _give_up(self, given: list[object]) -> None:
        release = self._lock.release
        given.extend(starmap(release, ((),)))
        if isinstance(self._lock, ThreadRLock):
            while self._guts._held_by_thread():  # noqa: SLF001
                given.extend(starmap(release, ((),)))

    def _acquire_again(self, given: list[object], taken: list[bool]) -> None:
        interruption = None
        while len(taken) < len(given):
            times = repeat((), len(given) - len(taken))
            try:
                # Not acquire, which is Python on a re-entrant lock.
                taken.extend(starmap(self._lock.__enter__, times))
            except WouldDeadlock:
                raise
            except BaseException as error:  # noqa: BLE001 - raised again below
                interruption = error
        if interruption is not None:
            raise interruption

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait, as by `wait`, until `predicate()` is true.

        Args:
            predicate: Called with the lock held, at first and after each notification.
            timeout: Seconds to wait at most, in all; None waits for ever.

        Returns:
            What the predicate returned last: false if the time was over before.

        Raises:
            LockNotHeldError: This thread does not hold the lock.
            WouldDeadlock: The running task holds it, by `async with`.
        """
        deadline = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    async def async_wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, wait in a task to be notified, and take the lock again.

        Args:
            timeout: Seconds to wait at most for the notification; None waits for
                ever, 0 does not wait.

        Returns:
            Whether it was notified before the time was over.

        Raises:
            LockNotHeldError: The caller does not hold the lock.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        if not self._guts._held_by_task():  # noqa: SLF001
            raise LockNotHeldError(self._name)
        return await wait_in_task(
            self._notices,
            seconds(timeout),
            give_up=self._guts._give_up,  # noqa: SLF001
            take_back=self._take_back,
            close=self._close,
        )

    async def async_wait_for(
        self, predicate: Callable[[], T], timeout: float | None = None
    ) -> T:
        """Wait in a task, as by `async_wait`, until `predicate()` is true.

        Args:
            predicate: Called with the lock held, at first and after each notification.
            timeout: Seconds to wait at most, in all; None waits for ever.

        Returns:
            What the predicate returned last: false if the time was over before.

        Raises:
            LockNotHeldError: The running task does not hold the lock.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        left = seconds(timeout)
        deadline = None if left is None else monotonic() + left
        result = predicate()
        while not result:
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                break
            await self.async_wait(left)
            result = predicate()
        return result

    async def _take_back(self, kept: tuple[int, object]) -> None:
        lock = self._guts
        if not isinstance(self._lock, ThreadRLock) or not lock._held_by_thread():  # noqa: SLF001
            await lock._take_back(kept)  # noqa: SLF001
            return
        # To the lock, this task might be the one that holds it by `with`, and be about
        # to wait for itself. It is not: so it may wait, as if there were a limit.
        await lock._enter_task_within(TIMEOUT_MAX)  # noqa: SLF001
        lock._live_bridge().depth = kept[0] - 1  # noqa: SLF001

    def _close(self, kept: tuple[int, object]) -> None:
        # The task is closed and cannot wait for the lock. If that is not to be had at
        # once, the way out of its `async with` must not release that of somebody else.
        depth, _ = kept
        bridge = self._guts._live_bridge()  # noqa: SLF001
        if not bridge.take():
            self._closed.extend([this_thread.marker] * depth)
            return
        self._guts._go_careful(bridge)  # noqa: SLF001
        if depth > 1:
            bridge.depth = depth - 1

    def _was_closed(self) -> bool:
        marker = this_thread.marker
        if marker not in self._closed:
            return False
        self._closed.remove(marker)
        return True

    def notify(self, n: int = 1) -> None:
        """Let the `n` that wait longest go on, once they have the lock again.

        Raises:
            LockNotHeldError: The caller does not hold the lock.
        """
        lock = self._guts
        if not lock._held_by_task() and not lock._held_by_thread():  # noqa: SLF001
            raise LockNotHeldError(self._name)
        self._notices.notify(n)

    def notify_all(self) -> None:
        """Let all that wait go on, one after the other.

        Raises:
            LockNotHeldError: The caller does not hold the lock.
        """
        self.notify(len(self._notices))

    def _at_fork_reinit(self) -> None:
        """Unlock and forget all waiters, in a forked child; as in `threading`."""
        self._guts._at_fork_reinit()  # noqa: SLF001
        self._notices = Notices()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        label = "" if self._name is None else f"name={self._name!r} "
        return (
            f"<{state} anylock.ThreadCondition object {label}at {id(self):#x}, "
            f"{len(self._notices)} waiting>"
        )

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle a ThreadCondition: it is of one process; for several use "
            "make_condition('process') and pass it when the process is started"
        )
        raise TypeError(message)
