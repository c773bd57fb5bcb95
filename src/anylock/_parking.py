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
        self.parks_tasks: bool = False
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
    if asyncio_loop() is not None:
        return "asyncio"
    return None


def _meet_asyncio() -> bool:
    """Say whether asyncio is there to be asked, which it stays."""
    global asyncio_actor, asyncio_loop  # noqa: PLW0603 - once
    asyncio: Any = _modules.get("asyncio")
    # While another thread imports it, it is there in part. No loop runs here then.
    if not (hasattr(asyncio, "_get_running_loop") and hasattr(asyncio, "current_task")):
        return False
    asyncio_loop = asyncio._get_running_loop  # noqa: SLF001 - public but in name
    if sys.version_info >= (3, 12):
        asyncio_actor = asyncio.current_task
    else:
        # The public function is Python there, and takes as long as the rest of an
        # acquire and a release together; these versions do not change any more.
        # What it looks into is {loop: task}, with only what runs at this moment.
        asyncio_actor = asyncio.tasks._current_tasks.copy  # noqa: SLF001
    return True


def _first_actor() -> Any:
    return asyncio_actor() if _meet_asyncio() else {}


def _first_loop() -> Any:
    return asyncio_loop() if _meet_asyncio() else None


asyncio_actor: Callable[[], Any] = _first_actor
"""Returns something that tells which asyncio task runs here, or something false.

Where `ACTORS_ARE_SNAPSHOTS`, it tells at the same time what runs in other threads, and
is to be passed through `only_here` if it names more than one task.
"""

ACTORS_ARE_SNAPSHOTS = sys.version_info < (3, 12)

asyncio_loop: Callable[[], Any] = _first_loop
"""Returns the asyncio event loop that runs in this thread, or None."""

_meet_asyncio()


def only_here(actor: Any) -> Any:
    """Drop from an actor of asyncio what other threads run."""
    if not ACTORS_ARE_SNAPSHOTS or not actor:
        return actor
    loop = asyncio_loop()
    return {loop: actor[loop]} if loop in actor else None


def current_actor() -> Any:
    """Return something that tells who runs here, in a task or outside of any."""
    if in_trio():
        in_task = trio_lowlevel.in_trio_task()
        return trio_lowlevel.current_task() if in_task else this_thread.marker
    try:
        actor = asyncio_actor()
        if ACTORS_ARE_SNAPSHOTS:
            actor = only_here(actor)
    except RuntimeError:  # no asyncio here
        actor = None
    return actor or this_thread.marker


def same_actor(one: Any, other: Any) -> bool:
    """Say whether two actors are the same task, or the same thread."""
    if one is other:
        return True
    return type(one) is dict and one == other


def loop_of(actor: Any) -> Any:
    """Return the event loop of an actor or a waiter; None where it is not known.

    A run of trio is known by its root task.
    """
    if type(actor) is dict:
        return next(iter(actor))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(actor, AsyncioWaiter | TrioWaiter):
        return actor.loop
    if trio_lowlevel is not None and isinstance(actor, trio_lowlevel.Task):
        while actor.parent_nursery is not None:
            actor = actor.parent_nursery.parent_task
        return actor
    get_loop = getattr(actor, "get_loop", None)
    return None if get_loop is None else get_loop()


def runs_elsewhere(actor: Any) -> bool:
    """Say whether the asyncio task runs on a loop that runs in another thread."""
    is_running = getattr(loop_of(actor), "is_running", None)
    if is_running is None:  # of trio, which stays in one thread
        return False
    return bool(is_running()) and asyncio_loop() is not loop_of(actor)


class Waiter:
    """Somebody who waits for a lock: who it is, and what it was given.

    Whoever has the lock calls `grant`. The waiter accepts when it runs again, which
    sets `resumed`. Until then the grant may be taken back, but only by code that
    runs in the waiter's own thread, where the waiter cannot run at the same time.
    """

    __slots__ = ("actor", "error", "granted", "lost", "resumed", "thread")

    if TYPE_CHECKING:
        lost: Callable[[], None]
        actor: Any
        error: BaseException | None
        granted: bool
        loop: Any  # of tasks alone
        resumed: bool
        thread: ThreadMarker

    # Every subclass sets all of them itself: a contended acquire makes one of these,
    # and super().__init__() would take a tenth of its time.

    @property
    def gone(self) -> bool:
        """Whether the waiter can never run again."""
        return False

    def lost_its_loop(self) -> bool:
        """Say whether its loop was closed before it ran again."""
        # In this order: before the loop is closed it may still run, accept, and leave.
        return self.gone and not self.resumed

    def grant(self) -> bool:
        """Give the lock and let the waiter run; False if its loop is gone."""
        self.granted = True
        if self._unpark() or self.resumed:  # it may have woken by itself, and be done
            return True
        self.granted = False
        return False

    def fail(self, error: BaseException) -> None:
        """Let the wait end with an error."""
        self.error = error
        self._unpark()

    def _unpark(self) -> bool:
        """Let the waiter run, from any thread; False if its loop is gone."""
        raise NotImplementedError

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
    """A task of an asyncio event loop.

    Until it runs again nothing leads from here to the task, so that a task whose
    loop is closed meanwhile can be garbage-collected, and gives its grant back.
    """

    __slots__ = ("_expired", "_future", "loop")

    def __init__(self) -> None:
        self.actor = None
        self.thread = this_thread.marker
        self.granted = self.resumed = self._expired = False
        self.error = None
        self.lost = _nothing
        """Called when its loop was closed on its way to run."""
        self.loop: asyncio.AbstractEventLoop = asyncio_loop()
        # None while the task is on its way to run.
        self._future: asyncio.Future[None] | None = self.loop.create_future()

    @property
    def gone(self) -> bool:
        """Whether the loop is closed, so that the task can never run again."""
        return self.loop.is_closed()

    def _unpark(self) -> bool:
        future = self._future
        if future is None:
            return not self.gone
        self._future = None
        try:
            # Not by the thread: a loop may go on in another one than it began in.
            # Outside of tasks it may be a signal handler, while the loop sleeps.
            here: Any = asyncio_loop() is self.loop and asyncio_actor()
            if not here or (ACTORS_ARE_SNAPSHOTS and self.loop not in here):
                self.loop.call_soon_threadsafe(_Wake(self, future))
                return not self.gone  # or it was closed amid the call, before it took
            if not future.done():
                future.set_result(None)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _expire(self) -> None:
        self._expired = True
        self._unpark()

    async def wait(self, timeout: float | None) -> bool:
        """Park until granted; False when `timeout` seconds are over.

        Raises:
            BaseException: `error`, if somebody set it, or the loop's cancellation.
        """
        future = self._future
        # Not asyncio.timeout(): it cancels the task, and a cancellation that meets
        # a grant must be told from one that comes from outside.
        timer = None if timeout is None else self.loop.call_later(timeout, self._expire)
        try:
            while True:
                if future is not None:
                    await future
                if self.granted:  # what `_accept` does, without a call
                    self.resumed = True
                    actor = asyncio_actor()
                    if ACTORS_ARE_SNAPSHOTS and len(actor) > 1:
                        actor = only_here(actor)
                    self.actor = actor
                    return True
                if self.error is not None:
                    raise self.error
                if self._expired:
                    return False
                self._future = future = self.loop.create_future()  # it was taken back
                if self.granted or self.error:
                    future.set_result(None)  # and granted again before we slept
        finally:
            if timer is not None:
                timer.cancel()


def _nothing() -> None:
    pass


class _Wake:
    """Wakes a task from another thread; tells if its loop is closed before it ran.

    The task itself would be told by nobody but the garbage collector, which does not
    come as long as everybody waits.
    """

    __slots__ = ("_future", "_waiter")

    def __init__(self, waiter: AsyncioWaiter, future: asyncio.Future[None]) -> None:
        self._waiter: AsyncioWaiter | None = waiter
        self._future = future

    def __call__(self) -> None:
        self._waiter = None
        if not self._future.done():
            self._future.set_result(None)

    def __del__(self) -> None:
        if self._waiter is not None and not sys.is_finalizing():
            self._waiter.lost()


class TrioWaiter(Waiter):
    """A task of a trio run."""

    __slots__ = ("_parked", "_token", "loop")

    def __init__(self) -> None:
        self.actor = trio_lowlevel.current_task()
        self.thread = this_thread.marker
        self.granted = self.resumed = self._parked = False
        self.error = None
        self.loop: Any = trio_lowlevel.current_root_task()
        self._token = trio_lowlevel.current_trio_token()

    def _unpark(self) -> bool:
        if self.thread is this_thread.marker and in_trio():
            self._wake()
            return True
        try:
            self._token.run_sync_soon(self._wake)
        except _modules["trio"].RunFinishedError:
            return False
        return True

    def _wake(self) -> None:
        if self._parked:
            self._parked = False
            trio_lowlevel.reschedule(self.actor)

    def _abort(self, _raise_cancel: Callable[[], Any]) -> Any:
        if self._parked:
            self._parked = False
            return trio_lowlevel.Abort.SUCCEEDED
        return trio_lowlevel.Abort.FAILED  # a signal handler has just woken it

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
    return TrioWaiter() if in_trio() else AsyncioWaiter()
