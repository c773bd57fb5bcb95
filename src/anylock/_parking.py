"""Parks one task and wakes it from any thread, on asyncio and on trio.

This is the one file that touches asyncio and trio directly. It imports neither:
whoever waits here runs under one of them, so that one is in `sys.modules`.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_modules = sys.modules


class ThisThread(threading.local):
    """A marker of the thread that reads it.

    Thread idents are used again after a thread has died; the marker object is
    not, for as long as anybody still compares with it.
    """

    def __init__(self) -> None:
        self.marker = ThreadMarker()


class ThreadMarker:
    """Stands for one thread."""

    __slots__ = ("__weakref__", "parks_tasks")

    def __init__(self) -> None:
        self.parks_tasks = False
        """Whether a task of this thread has ever waited for a lock: an event loop
        runs here, or is paused here."""


this_thread = ThisThread()


def in_trio() -> bool:
    """Say whether the caller runs inside trio; cheap where trio is not imported."""
    # trio imports sniffio and sets this name around every task step, in guest mode
    # as well; get_running_loop() would answer for the host loop there.
    return "trio" in _modules and _modules["sniffio"].thread_local.name == "trio"


def running_library() -> Literal["asyncio", "trio"] | None:
    """Name the event loop that runs in this thread, or None."""
    if in_trio():
        return "trio"
    asyncio = _modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return "asyncio"


def current_task() -> Any:
    """Return the task that runs in this thread, or None outside of tasks."""
    library = running_library()
    if library == "trio":
        lowlevel = _modules["trio"].lowlevel
        return lowlevel.current_task() if lowlevel.in_trio_task() else None
    return _modules["asyncio"].current_task() if library == "asyncio" else None


async def checkpoint_if_cancelled() -> None:
    """On trio, raise if the task is cancelled. On asyncio, do nothing."""
    if in_trio():
        await _modules["trio"].lowlevel.checkpoint_if_cancelled()


async def schedule_point() -> None:
    """On trio, let other tasks run, uncancellably. On asyncio, do nothing.

    Together with `checkpoint_if_cancelled` before the acquire it makes a
    checkpoint that can never be cancelled while the lock is already ours.
    """
    if in_trio():
        await _modules["trio"].lowlevel.cancel_shielded_checkpoint()


class Waiter:
    """One task that waits, or holds: who it is, and what it was given.

    The lock that it waits for sets `granted`, then calls `unpark`. The task finds
    `granted` when it runs again and answers with `resumed`. In between the grant
    may be taken back by code that runs in the waiter's own thread, because the
    task cannot run at the same time.
    """

    __slots__ = ("error", "granted", "resumed", "task", "thread")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.thread = this_thread.marker
        self.granted = False
        self.resumed = False
        self.error: BaseException | None = None

    def unpark(self) -> bool:
        """Let the waiter run, from any thread; False if its loop is gone."""
        raise NotImplementedError  # pragma: no cover - abstract

    async def wait(self, timeout: float | None) -> bool:
        """Park until granted; False when `timeout` seconds are over.

        Raises:
            BaseException: `error`, if somebody set it, or the loop's cancellation.
        """
        raise NotImplementedError  # pragma: no cover - abstract

    def _answer(self) -> bool:
        # No call between the test and the answer: a signal handler that takes the
        # grant back runs before the one or after the other.
        if self.granted:
            self.resumed = True
            return True
        if self.error is not None:
            raise self.error
        return False


class AsyncioWaiter(Waiter):
    """A task of an asyncio event loop."""

    __slots__ = ("_expired", "_future", "loop")

    def __init__(self) -> None:
        asyncio = _modules["asyncio"]
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        super().__init__(asyncio.current_task())
        self._future: asyncio.Future[None] = self.loop.create_future()
        self._expired = False

    def unpark(self) -> bool:
        if self.loop.is_closed():
            return False
        if self.thread is this_thread.marker:
            self._wake()
            return True
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # closed since we looked
            return False
        return True

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def _expire(self) -> None:
        self._expired = True
        self._wake()

    async def wait(self, timeout: float | None) -> bool:
        if timeout is None:
            await self._woken()
            return True
        # Not asyncio.timeout(): it cancels the task, and a cancellation that meets
        # a grant must be told from one that comes from outside.
        timer = self.loop.call_later(timeout, self._expire)
        try:
            return await self._woken()
        finally:
            timer.cancel()

    async def _woken(self) -> bool:
        while True:
            await self._future
            if self._answer():
                return True
            if self._expired:
                return False
            self._future = self.loop.create_future()  # a grant that was taken back


class TrioWaiter(Waiter):
    """A task of a trio run."""

    __slots__ = ("_parked", "loop")

    def __init__(self) -> None:
        lowlevel = _modules["trio"].lowlevel
        super().__init__(lowlevel.current_task())
        self.loop = lowlevel.current_trio_token()
        self._parked = False

    def unpark(self) -> bool:
        if self.thread is this_thread.marker and in_trio():
            self._wake()
            return True
        try:
            self.loop.run_sync_soon(self._wake)
        except _modules["trio"].RunFinishedError:
            return False
        return True

    def _wake(self) -> None:
        if self._parked:
            self._parked = False
            _modules["trio"].lowlevel.reschedule(self.task)

    def _abort(self, _raise_cancel: Callable[[], Any]) -> Any:
        self._parked = False
        return _modules["trio"].lowlevel.Abort.SUCCEEDED

    async def wait(self, timeout: float | None) -> bool:
        trio = _modules["trio"]
        if timeout is None:
            await self._woken()
            return True
        with trio.move_on_after(timeout):
            await self._woken()
        return self.resumed

    async def _woken(self) -> None:
        lowlevel = _modules["trio"].lowlevel
        if self._answer():
            await lowlevel.cancel_shielded_checkpoint()
            return
        while True:
            self._parked = True
            await lowlevel.wait_task_rescheduled(self._abort)
            if self._answer():
                return


def new_waiter() -> AsyncioWaiter | TrioWaiter:
    """Make a waiter for the running task.

    Raises:
        RuntimeError: No event loop of asyncio or trio runs in this thread.
    """
    this_thread.marker.parks_tasks = True
    return TrioWaiter() if in_trio() else AsyncioWaiter()


if sys.version_info >= (3, 12):

    def asyncio_task() -> Any:
        """Return the asyncio task that runs in this thread."""
        return _modules["asyncio"].current_task()

else:

    def asyncio_task() -> Any:
        """Return the asyncio task that runs in this thread."""
        # The public function is Python there and takes as long as an acquire and a
        # release together. These two versions do not change any more.
        asyncio = _modules["asyncio"]
        running = [*asyncio.tasks._current_tasks.values()]  # noqa: SLF001
        return running[0] if len(running) == 1 else asyncio.current_task()


def loop_of(task: Any) -> Any:
    """Return the event loop of a task; None where that is unknown."""
    get_loop = getattr(task, "get_loop", None)
    return None if get_loop is None else get_loop()
