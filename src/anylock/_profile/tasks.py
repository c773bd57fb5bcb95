"""Stand-ins for the locks of asyncio: they do the same, and tell of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from anylock._profile.leaving import leave
from anylock._profile.standin import Derived
from anylock.debug._notices import await_notice_in_task
from anylock.debug._ways import enter_in_task


class _OfTasks(Derived):
    """What all of them do."""

    kind = "async"

    def __getstate__(self) -> dict[str, Any]:
        # Nobody sends them anywhere, but they can be copied.
        state = vars(self).copy()
        del state["_anylock"]
        return state


class _Async(_OfTasks):
    """What all but conditions do."""

    if TYPE_CHECKING:

        def locked(self) -> bool: ...

    def busy(self) -> object:
        return self.locked()

    async def acquire(self) -> Literal[True]:
        inside: Any = super()
        await enter_in_task(self._anylock, inside.acquire, inside.release)
        return True

    def release(self) -> None:
        inside: Any = super()
        leave(self._anylock, inside.release)


class Lock(_Async, asyncio.Lock):
    """A stand-in for `asyncio.Lock`."""

    __module__ = "asyncio.locks"

    real = asyncio.Lock
    real_type = asyncio.Lock
    family = "Lock"

    async def __aenter__(self) -> None:
        await super().__aenter__()
        for hold in self._anylock.holds:
            hold.scoped = True


class Semaphore(_Async, asyncio.Semaphore):
    """A stand-in for `asyncio.Semaphore`."""

    __module__ = "asyncio.locks"

    real = asyncio.Semaphore
    real_type = asyncio.Semaphore
    family = "Semaphore"
    shared = True
    owned = False


class BoundedSemaphore(_Async, asyncio.BoundedSemaphore):
    """A stand-in for `asyncio.BoundedSemaphore`."""

    __module__ = "asyncio.locks"

    real = asyncio.BoundedSemaphore
    real_type = asyncio.BoundedSemaphore
    family = "BoundedSemaphore"
    shared = True
    owned = False


class Condition(_OfTasks, asyncio.Condition):
    """A stand-in for `asyncio.Condition`."""

    __module__ = "asyncio.locks"

    real = asyncio.Condition
    real_type = asyncio.Condition
    family = "Condition"
    shared = True
    owned = False

    def __init__(self, lock: Any = None, **options: Any) -> None:
        if lock is None:
            lock = Lock.at(self._anylock.site)
            Lock.__init__(lock)
        super().__init__(lock, **options)

    async def wait(self) -> Literal[True]:
        await await_notice_in_task(self._anylock, super().wait, limited=False)
        return True
