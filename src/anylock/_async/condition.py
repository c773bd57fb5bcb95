"""`AsyncCondition`: a lock whose holders can wait to be notified, for tasks."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from anylock._async._owned import AsyncOwned
from anylock._async.lock import AsyncLock
from anylock._hold import TimedHold, checked_name, seconds
from anylock._notices import Notices, wait_in_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from anylock._async.rlock import AsyncRLock

T = TypeVar("T")


class AsyncCondition:
    """A condition for the tasks of one event loop, of asyncio or trio.

    A drop-in for `asyncio.Condition()`, and for what `trio.Condition` and
    `anyio.Condition` have in common with it. It is a lock, and to wait and to notify
    takes that lock. Who waits gives it up meanwhile and has it again afterwards,
    whatever ended the wait: a notification, the time-out, or a cancellation. A task
    that is cancelled after it was notified passes the notification on.

    As with all conditions, a task may be notified although what it waits for is not so
    any more, or not yet: use `wait_for`, or `wait` in a loop.

    Unlike `asyncio.Condition`, it is not bound to a loop, it takes a re-entrant lock as
    well, and `wait` and `wait_for` have a time-out of their own: one by
    `asyncio.wait_for` waits in another task up to Python 3.11, which does not hold the
    re-entrant lock.

    Worker threads of `anyio.to_thread.run_sync` may use `with`, and notify.

    Args:
        lock: An `AsyncLock` or `AsyncRLock`, which conditions may share. None makes an
            `AsyncLock`.
        name: A label for reprs and errors; None takes that of the lock.

    Raises:
        TypeError: `lock` is of another kind or class, or `name` is not a string.
    """

    __slots__ = ("__weakref__", "_lock", "_name", "_notices", "_owned")

    def __init__(
        self, lock: AsyncLock | AsyncRLock | None = None, name: str | None = None
    ) -> None:
        checked_name(name)
        if lock is None:
            lock = AsyncLock(name)
        elif not isinstance(lock, AsyncOwned):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = (
                f"lock must be of make_lock('async') or make_rlock('async'), or None, "
                f"not {lock!r}"
            )
            raise TypeError(message)
        self._lock = lock
        self._owned: Any = lock  # for what is no business of anybody else
        self._name = lock.name if name is None else name
        self._notices = Notices()

    @property
    def kind(self) -> Literal["async"]:
        """Who may contend: tasks of one event loop, "async"."""
        return "async"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, else that of the lock, or None."""
        return self._name

    # The lock.

    async def __aenter__(self) -> None:
        """Wait for the lock and take it.

        Raises:
            WouldDeadlock: The running task holds it, and it is not re-entrant.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        await self._lock.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock; never a checkpoint."""
        await self._lock.__aexit__(exc_type, exc_value, traceback)

    async def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float | None = None,
    ) -> bool:
        """Acquire the lock; see `AsyncLock.acquire`."""
        return await self._lock.acquire(blocking, timeout)

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self._lock.try_acquire()

    def release(self) -> None:
        """Release the lock; never a checkpoint.

        Raises:
            LockNotHeldError: Nobody holds it; if it is re-entrant, the caller does not.
        """
        self._lock.release()

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        return self._lock.locked()

    def hold(self, timeout: float | None = None) -> TimedHold[AsyncCondition]:
        """Give a context manager that waits at most `timeout` seconds for the lock.

        It works with `async with`, and with `with` in a worker thread, and gives the
        condition. It keeps no state, and may be shared and used again.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        owned = self._owned
        enter, enter_task = owned._enter_within, owned._enter_task_within  # noqa: SLF001
        return TimedHold(self, timeout, enter, enter_task)

    def __enter__(self) -> bool:
        """Wait for the lock in a worker thread of the event loop.

        Raises:
            WouldDeadlock: An event loop runs in this thread, or this thread holds
                the lock already and it is not re-entrant.
            WrongEventLoop: This is no worker thread of `anyio.to_thread`.
        """
        return self._lock.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        self._lock.__exit__(exc_type, exc_value, traceback)

    # To wait and to notify.

    async def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, wait to be notified, and take the lock again.

        A re-entrant lock is given up whole, and taken again as often as it was held.
        To take it again may last longer than the time-out.

        Args:
            timeout: Seconds; None waits for ever. 0 lets other tasks have one turn.

        Returns:
            False when the time was over before; else True.

        Raises:
            LockNotHeldError: The lock is not held; if it is re-entrant, not by the
                running task.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        owned = self._owned
        return await wait_in_task(
            self._notices,
            seconds(timeout),
            give_up=owned._give_up,  # noqa: SLF001
            take_back=owned._take_back,  # noqa: SLF001
            close=owned._close,  # noqa: SLF001
        )

    async def wait_for(
        self, predicate: Callable[[], T], timeout: float | None = None
    ) -> T:
        """Wait until a predicate is true.

        Args:
            predicate: Called at first, and after each notification, with the lock held.
            timeout: Seconds for all of it; None waits for ever, 0 tries once.

        Returns:
            What the predicate returned last; something false when the time was over.

        Raises:
            LockNotHeldError: The lock is not held; if it is re-entrant, not by the
                running task.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        left = seconds(timeout)
        ends = None if left is None else monotonic() + left
        result = predicate()
        while not result:
            if ends is not None:
                left = ends - monotonic()
                if left <= 0:
                    break
            await self.wait(left)
            result = predicate()
        return result

    async def async_wait(self, timeout: float | None = None) -> bool:
        """Wait as `wait` does: by this name tasks do on the kind "thread" too."""
        return await self.wait(timeout)

    async def async_wait_for(
        self, predicate: Callable[[], T], timeout: float | None = None
    ) -> T:
        """Wait as `wait_for` does: by this name tasks do on the kind "thread" too."""
        return await self.wait_for(predicate, timeout)

    def notify(self, n: int = 1) -> None:
        """Let the `n` tasks that wait longest go on, once they have the lock again.

        Never a checkpoint. If fewer wait, all of them go on. Who waits on an event
        loop that was closed does not count.

        Raises:
            LockNotHeldError: The lock is not held; if it is re-entrant, not by the
                caller.
        """
        self._owned._require_held()  # noqa: SLF001
        self._notices.notify(n)

    def notify_all(self) -> None:
        """Let all tasks that wait go on, one after the other.

        Never a checkpoint.

        Raises:
            LockNotHeldError: The lock is not held; if it is re-entrant, not by the
                caller.
        """
        self.notify(len(self._notices))

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        if self._notices:
            state += f", waiters:{len(self._notices)}"
        label = "" if self._name is None else f" name={self._name!r}"
        return f"<anylock.AsyncCondition object at {id(self):#x}{label} [{state}]>"

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle an AsyncCondition: it is of one event loop; between "
            "processes use make_condition('process') and pass it when the process is "
            "started"
        )
        raise TypeError(message)
