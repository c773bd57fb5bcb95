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


trio_lowlevel: Any = None
"""The module `trio.lowlevel`, once trio has been met."""

sniffed: Any = None
"""What trio tells of itself through sniffio, likewise."""


def in_trio() -> bool:
    """Say whether the caller runs inside trio; looks whether trio is there by now."""
    global sniffed, trio_lowlevel  # noqa: PLW0603 - once
    if trio_lowlevel is None:
        lowlevel = _modules.get("trio.lowlevel")
        if lowlevel is None:
            return False
        # trio imports sniffio and sets this name around every task step, in guest
        # mode as well; get_running_loop() would answer for the host loop there.
        sniffed = _modules["sniffio"].thread_local
        trio_lowlevel = lowlevel
    inside: bool = sniffed.name == "trio"
    return inside


def running_library() -> Literal["asyncio", "trio"] | None:
    """Name the event loop that runs in this thread, or None."""
    if in_trio():
        return "trio"
    if "asyncio" in _modules and asyncio_loop() is not None:
        return "asyncio"
    return None


def _meet_asyncio() -> None:
    global asyncio_actor, asyncio_loop  # noqa: PLW0603 - once, when it is there to ask
    asyncio = _modules["asyncio"]
    asyncio_loop = asyncio._get_running_loop  # noqa: SLF001 - public but in name
    if sys.version_info >= (3, 12):
        asyncio_actor = asyncio.current_task
    else:
        # The public function is Python there, and takes as long as the rest of an
        # acquire and a release together; these versions do not change any more.
        # What it looks into is {loop: task}, with only what runs at this moment.
        asyncio_actor = asyncio.tasks._current_tasks.copy  # noqa: SLF001


def _first_actor() -> Any:
    _meet_asyncio()
    return asyncio_actor()


def _first_loop() -> Any:
    _meet_asyncio()
    return asyncio_loop()


asyncio_actor: Callable[[], Any] = _first_actor
"""Returns something that tells which asyncio task runs here; see `same_actor`."""

asyncio_loop: Callable[[], Any] = _first_loop
"""Returns the asyncio event loop that runs in this thread, or None."""

if "asyncio" in _modules:
    _meet_asyncio()


def current_actor() -> Any:
    """Return something that tells who runs here, in a task or outside of any."""
    library = running_library()
    if library is None:
        return this_thread.marker
    if library == "asyncio":
        return asyncio_actor() or this_thread.marker
    in_task = trio_lowlevel.in_trio_task()
    return trio_lowlevel.current_task() if in_task else this_thread.marker


def same_actor(actor: Any, waiter: AsyncioWaiter | TrioWaiter) -> bool:
    """Say whether `actor` is the task of `waiter`."""
    if actor is waiter.actor:
        return True
    if type(actor) is not dict:
        return False
    task: object = actor.get(waiter.loop)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return task is not None and task is waiter.actor.get(waiter.loop)


def loop_of(actor: Any) -> Any:
    """Return the asyncio event loop of an actor; None where there is none."""
    if type(actor) is dict:
        # With tasks of several threads in it, it does not say which is meant.
        return next(iter(actor)) if len(actor) == 1 else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    get_loop = getattr(actor, "get_loop", None)
    return None if get_loop is None else get_loop()


def runs_elsewhere(actor: Any) -> bool:
    """Say whether the asyncio task runs on a loop that runs in another thread."""
    loop = loop_of(actor)
    return loop is not None and loop.is_running() and asyncio_loop() is not loop


class Waiter:
    """Somebody who waits for a lock: who it is, and what it was given.

    Whoever has the lock calls `grant`. The waiter accepts when it runs again, which
    sets `resumed`. Until then the grant may be taken back, but only by code that
    runs in the waiter's own thread, where the waiter cannot run at the same time.
    """

    __slots__ = ("actor", "error", "granted", "resumed", "thread")

    if TYPE_CHECKING:
        actor: Any
        error: BaseException | None
        granted: bool
        resumed: bool
        thread: ThreadMarker

    # Every subclass sets all of them itself: a contended acquire makes one of these,
    # and super().__init__() would take a tenth of its time.

    def grant(self) -> bool:
        """Give the lock and let the waiter run; False if its loop is gone."""
        self.granted = True
        self.granted = self._unpark()
        return self.granted

    def fail(self, error: BaseException) -> None:
        """Let the wait end with an error."""
        self.error = error
        self._unpark()

    def _unpark(self) -> bool:
        """Let the waiter run, from any thread; False if its loop is gone."""
        raise NotImplementedError  # pragma: no cover - abstract

    def _accept(self) -> bool:
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

    def __init__(self, actor: Any) -> None:
        loop: asyncio.AbstractEventLoop
        if sys.version_info >= (3, 12):
            loop = asyncio_loop()
        else:  # asks for the process id there, which takes time
            loop = loop_of(actor) or asyncio_loop()
        self.actor = actor
        self.thread = this_thread.marker
        self.granted = self.resumed = self._expired = False
        self.error = None
        self.loop = loop
        self._future: asyncio.Future[None] = loop.create_future()

    def _unpark(self) -> bool:
        try:
            # Not by the thread: a loop may go on in another one than it began in.
            if asyncio_loop() is self.loop:
                self._wake()
            else:
                self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def _expire(self) -> None:
        self._expired = True
        self._wake()

    async def wait(self, timeout: float | None) -> bool:
        """Park until granted; False when `timeout` seconds are over.

        Raises:
            BaseException: `error`, if somebody set it, or the loop's cancellation.
        """
        # Not asyncio.timeout(): it cancels the task, and a cancellation that meets
        # a grant must be told from one that comes from outside.
        timer = None if timeout is None else self.loop.call_later(timeout, self._expire)
        try:
            while True:
                await self._future
                if self._accept():
                    return True
                if self._expired:
                    return False
                self._future = self.loop.create_future()  # a grant taken back
        finally:
            if timer is not None:
                timer.cancel()


class TrioWaiter(Waiter):
    """A task of a trio run."""

    __slots__ = ("_parked", "loop")

    def __init__(self) -> None:
        self.actor = trio_lowlevel.current_task()
        self.thread = this_thread.marker
        self.granted = self.resumed = self._parked = False
        self.error = None
        self.loop = trio_lowlevel.current_trio_token()

    def _unpark(self) -> bool:
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
            trio_lowlevel.reschedule(self.actor)

    def _abort(self, _raise_cancel: Callable[[], Any]) -> Any:
        self._parked = False
        return trio_lowlevel.Abort.SUCCEEDED

    async def wait(self, timeout: float | None) -> bool:
        """Park until granted; False when `timeout` seconds are over.

        Raises:
            BaseException: `error`, if somebody set it, or trio's cancellation.
        """
        if timeout is None:
            await self._woken()
        else:
            with _modules["trio"].move_on_after(timeout):
                await self._woken()
        return self.resumed

    async def _woken(self) -> None:
        if self._accept():
            await trio_lowlevel.cancel_shielded_checkpoint()
            return
        while True:
            self._parked = True
            await trio_lowlevel.wait_task_rescheduled(self._abort)
            if self._accept():
                return


def new_waiter() -> AsyncioWaiter | TrioWaiter:
    """Make a waiter for the running task.

    Raises:
        RuntimeError: No event loop of asyncio or trio runs in this thread.
    """
    if running_library() is None:
        message = "'async with' on a lock needs a running event loop of asyncio or trio"
        raise RuntimeError(message)
    return TrioWaiter() if in_trio() else AsyncioWaiter(asyncio_actor())
