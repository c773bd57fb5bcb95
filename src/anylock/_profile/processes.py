"""Stand-ins for the locks of `multiprocessing`: they do the same, and tell of it.

They tell what this process does. What is sent to another one by pickle is a real one
there.
"""

from __future__ import annotations

from functools import partial
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

from anylock._profile.standin import Derived
from anylock.debug._notices import await_notice
from anylock.debug._ways import REFUSED, enter, let_go, put_back, released

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

_FOREVER = (True, None)


def received(name: str, state: Any) -> Any:
    """Make what was sent, in the process that receives it.

    Args:
        name: Of the class.
        state: Its state.
    """
    cls: Any = getattr(synchronize, name)
    lock = cls.__new__(cls)
    lock.__setstate__(state)
    return lock


class _Sent(Derived):
    kind = "process"

    if TYPE_CHECKING:

        def __getstate__(self) -> Any: ...

    def __reduce__(self) -> Any:
        return received, (self.family, self.__getstate__())


class _Process(_Sent):
    """What all but conditions do."""

    if TYPE_CHECKING:
        _semlock: Any

    def _make_methods(self) -> None:
        # The real ones have those of the system's semaphore as attributes.
        pass

    def busy(self) -> object:
        return self._semlock._is_zero()  # noqa: SLF001 - as below

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - multiprocessing's signature
        semaphore = self._semlock
        if block and timeout is None:
            return enter(
                self._anylock,
                semaphore.acquire,
                _FOREVER,
                semaphore.release,
                attempt=semaphore.acquire,
            )
        return enter(
            self._anylock,
            semaphore.acquire,
            (block, timeout),
            semaphore.release,
            waits=bool(block),
            limited=True,
        )

    # Written out: see `leave`.

    def release(self) -> None:
        hold = None
        try:
            hold = let_go(self._anylock)
        finally:
            try:
                self._semlock.release()
            except REFUSED:
                put_back(self._anylock, hold)
                raise
        released(self._anylock, hold)

    def __enter__(self) -> bool:
        semaphore = self._semlock
        return enter(
            self._anylock,
            semaphore.acquire,
            _FOREVER,
            semaphore.release,
            attempt=semaphore.acquire,
            scoped=True,
        )

    def __exit__(self, *exc_info: object) -> None:
        hold = None
        try:
            hold = let_go(self._anylock)
        finally:
            try:
                self._semlock.release()
            except REFUSED:
                put_back(self._anylock, hold)
                raise
        released(self._anylock, hold)


class Lock(_Process, synchronize.Lock):
    """A stand-in for `multiprocessing.Lock`."""

    real = synchronize.Lock
    real_type = synchronize.Lock
    family = "Lock"


class RLock(_Process, synchronize.RLock):
    """A stand-in for `multiprocessing.RLock`."""

    real = synchronize.RLock
    real_type = synchronize.RLock
    family = "RLock"
    reentrant = True


class Semaphore(_Process, synchronize.Semaphore):
    """A stand-in for `multiprocessing.Semaphore`."""

    real = synchronize.Semaphore
    real_type = synchronize.Semaphore
    family = "Semaphore"
    shared = True
    owned = False


class BoundedSemaphore(_Process, synchronize.BoundedSemaphore):
    """A stand-in for `multiprocessing.BoundedSemaphore`."""

    real = synchronize.BoundedSemaphore
    real_type = synchronize.BoundedSemaphore
    family = "BoundedSemaphore"
    shared = True
    owned = False


class Condition(_Sent, synchronize.Condition):
    """A stand-in for `multiprocessing.Condition`."""

    real = synchronize.Condition
    real_type = synchronize.Condition
    family = "Condition"
    shared = True
    owned = False

    def __init__(self, lock: Any = None, *, ctx: BaseContext) -> None:
        if lock is None:
            lock = RLock.at(self._anylock.site)
            RLock.__init__(lock, ctx=ctx)
        super().__init__(lock, ctx=ctx)

    def wait(self, timeout: float | None = None) -> bool:
        wait = partial(super().wait, timeout)
        return await_notice(self._anylock, wait, limited=timeout is not None)
