"""Debug locks of the kind "thread"."""

from __future__ import annotations

from functools import partial
from itertools import starmap
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

from anylock._thread.condition import ThreadCondition
from anylock._thread.lock import ThreadLock
from anylock._thread.rlock import ThreadRLock
from anylock._thread.rwlock import ThreadReadSide, ThreadRWLock, ThreadWriteSide
from anylock._thread.semaphore import ThreadBoundedSemaphore, ThreadSemaphore
from anylock.debug._around import Around, DebugBlocking, DebugPermits, sides
from anylock.debug._notices import DebugNotices, await_notice, await_notice_in_task
from anylock.debug._ways import enter, enter_in_task, let_go_wholly, put_back

if TYPE_CHECKING:
    from collections.abc import Callable


class AcquiredByThreads(DebugBlocking):
    """The native surface of `threading.Lock`."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock as `threading.Lock.acquire` does."""
        if blocking is True and timeout == -1:
            return self._enter(None, scoped=False)
        plain = self._plain
        # Whatever is odd about the arguments, the lock inside shall say so.
        return enter(
            self._record,
            plain.acquire,
            (blocking, timeout),
            plain.release,
            waits=bool(blocking),
            limited=timeout != -1,
        )


class DebugThreadLocking(AcquiredByThreads):
    """What locks and re-entrant locks share beyond that, and what a condition asks."""

    __slots__ = ()

    def _give_up(self) -> Any:
        return self._given_up(self._plain._give_up)  # noqa: SLF001 - ours, as below

    def _given_up(self, give_up: Any) -> Any:
        hold = let_go_wholly(self._record)
        try:
            return give_up()
        except RuntimeError:
            put_back(self._record, hold)
            raise

    def _acquire_restore(self, state: Any) -> None:
        plain = self._plain
        depth = state[0] if state else 1
        restore = plain._acquire_restore  # noqa: SLF001
        way = self._record, restore, (state,), plain.release
        enter(*way, depth=depth, scoped=True, again=True)

    async def _take_back(self, state: Any) -> None:
        plain = self._plain
        take_back = partial(plain._take_back, state)  # noqa: SLF001
        way = self._record, take_back, plain.release
        await enter_in_task(*way, depth=state[0], scoped=True, again=True)


class DebugThreadLock(DebugThreadLocking, ThreadLock, metaclass=Around):
    """A `ThreadLock` that knows who holds it and who waits for it, and tells."""

    def _attempt(self) -> Callable[[bool], Any] | None:
        acquire = self._plain.acquire
        return acquire if type(acquire) is BuiltinMethodType else None

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock: an old name that `threading.Lock` has for `acquire`."""
        return self.acquire(blocking, timeout)

    def release_lock(self) -> None:
        """Release the lock: an old name that `threading.Lock` has for `release`."""
        self.release()


class DebugThreadRLock(DebugThreadLocking, ThreadRLock, metaclass=Around):
    """A `ThreadRLock` that knows who holds it and who waits for it, and tells."""

    family = "RLock"
    reentrant = True

    def _attempt(self) -> Callable[[bool], Any] | None:
        plain = self._plain
        native: Callable[[bool], Any] = plain._native_ways.acquire  # noqa: SLF001
        return native if plain._careful_bridge() is None else None  # noqa: SLF001

    def _release_save(self) -> Any:
        return self._given_up(self._plain._release_save)  # noqa: SLF001


class DebugThreadPermits(DebugPermits, DebugBlocking):
    """The native surface of `threading.Semaphore`."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Take a permit as `threading.Semaphore.acquire` does."""
        if blocking and timeout is None:
            return self._enter(None, scoped=False)
        plain = self._plain
        return enter(
            self._record,
            plain.acquire,
            (blocking, timeout),
            plain.release,
            waits=bool(blocking),
            limited=True,
        )


class DebugThreadSemaphore(DebugThreadPermits, ThreadSemaphore, metaclass=Around):
    """A `ThreadSemaphore` that knows who took its permits and who waits, and tells."""


class DebugThreadBoundedSemaphore(
    DebugThreadPermits, ThreadBoundedSemaphore, metaclass=Around
):
    """A `ThreadBoundedSemaphore` that knows who took its permits and who waits."""

    family = "BoundedSemaphore"


class DebugThreadReadSide(AcquiredByThreads, ThreadReadSide, metaclass=Around):
    """A side of a `ThreadRWLock` that knows who reads and who waits, and tells."""

    family = "RWLock.read"
    shared = True


class DebugThreadWriteSide(AcquiredByThreads, ThreadWriteSide, metaclass=Around):
    """A side of a `ThreadRWLock` that knows who writes and who waits, and tells."""

    family = "RWLock.write"


class DebugThreadRWLock(ThreadRWLock):
    """A `ThreadRWLock` that knows who is inside and who waits, and tells."""

    __slots__ = ()

    def __init__(
        self, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        super().__init__(name, reset_after_fork=reset_after_fork)
        self._read, self._write = sides(
            DebugThreadReadSide,
            DebugThreadWriteSide,
            super(),
            reset_after_fork=reset_after_fork,
        )

    if TYPE_CHECKING:

        @property
        def read(self) -> DebugThreadReadSide: ...
        @property
        def write(self) -> DebugThreadWriteSide: ...


class DebugThreadCondition(DebugNotices, ThreadCondition):
    """A `ThreadCondition` that knows who waits to be notified, and tells."""

    __slots__ = ("_record",)

    def __init__(
        self, lock: ThreadLock | ThreadRLock | None = None, name: str | None = None
    ) -> None:
        super().__init__(DebugThreadRLock(name) if lock is None else lock, name)
        self._record = self._new_record()

    def _give_up(self, given: list[object]) -> None:
        lock: Any = self._lock
        if not isinstance(lock, DebugThreadLocking):
            super()._give_up(given)
            return
        # A handler that raises amid its own release would leave it unknown whether
        # that was given up. So it is noted first, and the lock inside is released.
        let_go_wholly(lock.record)
        plain: Any = lock._plain  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        given.extend(starmap(plain.release, ((),)))
        while lock.reentrant and plain._held_by_thread():  # noqa: SLF001
            given.extend(starmap(plain.release, ((),)))

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, block this thread until notified, and take it again."""
        wait = partial(super().wait, timeout)
        limited = timeout is not None
        return await_notice(self._record, wait, limited=limited, pass_on=self.notify)

    async def async_wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, wait in a task to be notified, and take it again."""
        wait = partial(super().async_wait, timeout)
        limited = timeout is not None
        way = self._record, wait
        return await await_notice_in_task(*way, limited=limited, pass_on=self.notify)
