"""Blocks one thread: the counterpart of `_parking` on the sync side."""

from __future__ import annotations

import _thread
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable


SLICE = 0.1
"""Seconds until the next look whether to wait on, for who waits for others."""


class BlockedThread(Waiter):
    """An event-loop thread that blocks in a sync acquire, queued among the tasks."""

    __slots__ = ("_bell", "loop", "withdrawn")

    def __init__(self) -> None:
        self.actor = self.thread = this_thread.marker
        self.granted = self.resumed = False
        self.error = None
        self.loop = _parking.asyncio_loop()
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self.withdrawn = _thread.allocate_lock()
        self.withdrawn.acquire()

    def _unpark(self) -> bool:
        with suppress(RuntimeError):  # it has rung already
            self._bell.release()
        return True

    def keeps_from_running(self, waiter: AsyncioWaiter | TrioWaiter) -> bool:
        """Say whether that task cannot run before this thread goes on.

        A loop of asyncio may go on in another thread than the task began to wait in.
        """
        if waiter.thread is not self.thread:
            return False
        return (
            isinstance(waiter, TrioWaiter)
            or waiter.loop is self.loop
            or not waiter.loop.is_running()
        )

    def block(
        self, timeout: float | None, awaited: Callable[[], bool] | None = None
    ) -> bool:
        """Block until granted; False when `timeout` seconds are over.

        Args:
            timeout: Seconds, or None for ever.
            awaited: Asked now and then whether to wait on.
        """
        seconds = -1 if timeout is None else timeout
        if awaited is None:
            self._bell.acquire(True, seconds)
        else:
            acquire_while(self._bell, [], seconds, awaited)
        return self._accept()


def acquire_while(
    lock: _thread.LockType,
    acquired: list[bool],
    timeout: float,
    awaited: Callable[[], bool] | None,
) -> None:
    """Acquire a lock; whether that is so is noted by C code, as the first in a list.

    Args:
        lock: It.
        acquired: Where it is noted; empty.
        timeout: Seconds to wait at most; -1 waits for ever.
        awaited: Asked now and then whether to wait on; None does.
    """
    if awaited is None:
        acquired.extend(map(lock.acquire, (True,), (timeout,)))
        return
    deadline = inf if timeout < 0 else monotonic() + timeout
    left = SLICE
    while left and not any(acquired) and awaited():
        left = max(0.0, min(SLICE, deadline - monotonic()))
        acquired[:] = map(lock.acquire, (True,), (left,))
    acquired.append(False)


def acquired(
    acquire: Callable[..., bool], release: Callable[[], Any], *timeout: float
) -> bool:
    """Acquire; if a signal handler raises meanwhile, do not stay locked.

    A handler can raise after the C method has acquired and before its result is
    stored. So the result is stored from C as well, by `list.extend`.
    """
    result: list[bool] = []
    try:
        result.extend(map(acquire, *((value,) for value in (True, *timeout))))
        return result[0]
    except BaseException:
        if result and result[0]:
            release()
        raise
