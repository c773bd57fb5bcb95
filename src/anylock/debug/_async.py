"""Debug locks of the kind "async"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from anylock._async.condition import AsyncCondition
from anylock._async.lock import AsyncLock
from anylock._async.rlock import AsyncRLock
from anylock._async.rwlock import AsyncReadSide, AsyncRWLock, AsyncWriteSide
from anylock._async.semaphore import AsyncBoundedSemaphore, AsyncSemaphore
from anylock.debug._around import Around, Debug, DebugPermits, is_limited, sides
from anylock.debug._notices import DebugNotices, await_notice_in_task
from anylock.debug._ways import enter, enter_in_task, let_go_wholly


class DebugAsync(Debug):
    """What debug locks of one event loop share."""

    __slots__ = ()

    async def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float | None = None,
    ) -> bool:
        """Acquire it as `asyncio.Lock.acquire` does, or within a time."""
        plain = self._plain
        return await enter_in_task(
            self._record,
            partial(plain.acquire, blocking, timeout),
            plain.release,
            waits=bool(blocking) and timeout != 0,
            limited=timeout is not None,
        )

    async def _enter_task_within(
        self,
        timeout: float | None,
        actor: Any = None,  # noqa: ARG002 - for the lock inside, which has its own
    ) -> bool:
        return await super()._enter_task_within(timeout)

    def _enter(self, timeout: float | None, *, scoped: bool) -> bool:
        plain = self._plain
        return enter(
            self._record,
            plain._enter_within,  # noqa: SLF001 - ours
            (timeout,),
            plain.release,
            waits=timeout != 0,
            limited=is_limited(timeout),
            scoped=scoped,
        )


class DebugAsyncLocking(DebugAsync):
    """What a condition asks of a lock."""

    __slots__ = ()

    def _give_up(self) -> Any:
        hold = let_go_wholly(self._record)
        depth = 1 if hold is None else hold.depth
        return self._plain._give_up(), depth  # noqa: SLF001

    async def _take_back(self, kept: Any) -> None:
        inner, depth = kept
        plain = self._plain
        take_back = partial(plain._take_back, inner)  # noqa: SLF001
        way = self._record, take_back, plain.release
        await enter_in_task(*way, depth=depth, scoped=True, again=True)

    def _close(self, kept: Any) -> None:
        self._plain._close(kept[0])  # noqa: SLF001


class DebugAsyncLock(DebugAsyncLocking, AsyncLock, metaclass=Around):
    """An `AsyncLock` that knows who holds it and who waits for it, and tells."""


class DebugAsyncRLock(DebugAsyncLocking, AsyncRLock, metaclass=Around):
    """An `AsyncRLock` that knows who holds it and who waits for it, and tells."""

    family = "RLock"
    reentrant = True


class DebugAsyncSemaphore(DebugPermits, DebugAsync, AsyncSemaphore, metaclass=Around):
    """An `AsyncSemaphore` that knows who took its permits and who waits, and tells."""


class DebugAsyncBoundedSemaphore(
    DebugPermits, DebugAsync, AsyncBoundedSemaphore, metaclass=Around
):
    """An `AsyncBoundedSemaphore` that knows who took its permits and who waits."""

    family = "BoundedSemaphore"


class DebugAsyncReadSide(DebugAsync, AsyncReadSide, metaclass=Around):
    """A side of an `AsyncRWLock` that knows who reads and who waits, and tells."""

    family = "RWLock.read"
    shared = True


class DebugAsyncWriteSide(DebugAsync, AsyncWriteSide, metaclass=Around):
    """A side of an `AsyncRWLock` that knows who writes and who waits, and tells."""

    family = "RWLock.write"


class DebugAsyncRWLock(AsyncRWLock):
    """An `AsyncRWLock` that knows who is inside and who waits, and tells."""

    __slots__ = ()

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        super().__init__(name, fast_acquire=fast_acquire)
        self._read, self._write = sides(
            DebugAsyncReadSide, DebugAsyncWriteSide, super()
        )

    if TYPE_CHECKING:

        @property
        def read(self) -> DebugAsyncReadSide: ...
        @property
        def write(self) -> DebugAsyncWriteSide: ...


class DebugAsyncCondition(DebugNotices, AsyncCondition):
    """An `AsyncCondition` that knows who waits to be notified, and tells."""

    __slots__ = ("_record",)

    def __init__(
        self, lock: AsyncLock | AsyncRLock | None = None, name: str | None = None
    ) -> None:
        super().__init__(DebugAsyncLock(name) if lock is None else lock, name)
        self._record = self._new_record()

    async def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, wait to be notified, and take the lock again."""
        wait = partial(super().wait, timeout)
        limited = timeout is not None
        way = self._record, wait
        return await await_notice_in_task(*way, limited=limited, pass_on=self.notify)
