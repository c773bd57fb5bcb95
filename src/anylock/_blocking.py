"""Blocks one thread: the counterpart of `_parking` on the sync side."""

from __future__ import annotations

import _thread
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable


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

    def block(self, timeout: float | None) -> bool:
        """Block until granted; False when `timeout` seconds are over."""
        self._bell.acquire(True, -1 if timeout is None else timeout)
        return self._accept()


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
