"""`AsyncLock`: a lock for the tasks of one event loop."""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from anylock import _parking
from anylock._errors import (
    LockError,
    LockNotHeldError,
    WouldDeadlock,
    WrongEventLoop,
)
from anylock._hold import TimedHold, checked_name, seconds
from anylock._parking import ACTORS_ARE_SNAPSHOTS, asyncio_actor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from anylock._parking import AsyncioWaiter, TrioWaiter

T = TypeVar("T")


class AsyncLock:
    """A lock for the tasks of one event loop, of asyncio or trio.

    A drop-in for `asyncio.Lock()`, and for what `trio.Lock` and `anyio.Lock` have
    in common with it. It is not bound to a loop: several loops may use it one
    after the other, those of asyncio and trio in turn. First come, first served.
    Unlike `asyncio.Lock`, a task that waits for what it holds itself gets an error.
    As there, any task may release what another one acquired.

    Like it, this is a lock of one thread, that of the event loop. Worker threads of
    `anyio.to_thread.run_sync` may use `with lock:`; they wait outside of the loop.
    A task that finds the lock used by another event loop gets an error: that is what
    the kind "thread" is for.

    On trio every acquire is a checkpoint; on asyncio it is one if it has to wait.

    Args:
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait. Then a loop that only takes free locks starves all other tasks.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = (
        "__weakref__",
        "_fast_acquire",
        "_name",
        "_owner",
        "_waiters",
    )

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        self._name = checked_name(name)
        self._fast_acquire = fast_acquire
        self._owner: Any = None  # an actor of _parking; None while the lock is free
        # Who waits, first come first; None until somebody has to. A waiter that was
        # granted is not here any more.
        self._waiters: OrderedDict[AsyncioWaiter | TrioWaiter, None] | None = None
        _parking.in_trio()  # so that the fast path knows of it

    @property
    def kind(self) -> Literal["async"]:
        """The kind of lock, "async"."""
        return "async"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    async def __aenter__(self) -> None:
        """Wait for the lock and take it.

        Raises:
            WouldDeadlock: The running task holds it.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        if _parking.trio_lowlevel and _parking.sniffed.name == "trio":
            await self._enter_task_within(None)
            return
        try:
            actor = asyncio_actor()
            if ACTORS_ARE_SNAPSHOTS and len(actor) > 1:
                actor = _parking.only_here(actor)
        except (KeyError, RuntimeError):  # no asyncio here
            actor = None
        # No call from here to the taking: on builds with a GIL, from 3.11 on, not
        # even two event loops that contend against the rules get in together.
        if actor and self._owner is None:
            self._owner = actor
        elif actor:
            await self._wait(_parking.AsyncioWaiter(), actor, None)
        else:
            await self._enter_task_within(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock; never a checkpoint."""
        if self._waiters or self._owner is None:
            self._pass_on()
        else:
            self._owner = None

    async def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float | None = None,
    ) -> bool:
        """Acquire the lock.

        `await lock.acquire()` is that of `asyncio.Lock`. The time-out is its own
        because `asyncio.wait_for` acquires in another task up to Python 3.11.

        Args:
            blocking: False tries once.
            timeout: Seconds; None waits for ever, 0 tries once.

        Returns:
            Whether the lock was acquired; True where neither argument is given.

        Raises:
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN, or given together with
                `blocking=False`.
            WouldDeadlock: The running task holds it.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        if blocking and timeout is None:
            await self.__aenter__()
            return True
        if not blocking and timeout is not None:
            message = "acquire(blocking=False) does not wait: leave out the timeout"
            raise ValueError(message)
        return await self._enter_task_within(seconds(timeout) if blocking else 0.0)

    def release(self) -> None:
        """Release the lock: hand it to the task that waits longest.

        Never a checkpoint. Any task of the event loop may call it.

        Raises:
            LockNotHeldError: Nobody holds it.
        """
        owner = self._owner
        if type(owner) is _parking.ThreadMarker:
            self._run_in_loop(self._pass_on)
        elif isinstance(owner, _parking.Waiter) and not owner.resumed:
            raise LockNotHeldError(self._name)  # granted, but not held yet
        elif self._waiters or owner is None:
            self._pass_on()
        else:
            self._owner = None

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        return self._owner is not None

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self._run_in_loop(partial(self._take, _parking.current_actor()))

    def hold(self, timeout: float | None = None) -> TimedHold[AsyncLock]:
        """Give a context manager that waits at most `timeout` seconds.

        It works with `async with`, and with `with` in a worker thread. It keeps no
        state, and may be shared and used again.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        enter = self._enter_within
        return TimedHold(self, timeout, enter, self._enter_task_within)

    def __enter__(self) -> bool:
        """Wait for the lock in a worker thread of the event loop.

        Raises:
            WouldDeadlock: An event loop runs in this thread, or this thread holds
                the lock already.
            WrongEventLoop: This is no worker thread of `anyio.to_thread`.
        """
        return self._enter_within(None)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        self.release()

    # Everything below runs in the thread of the event loop, unless it says otherwise.

    async def _enter_task_within(self, timeout: float | None) -> bool:
        checkpoint = _parking.in_trio() and not self._fast_acquire
        if checkpoint:
            await _parking.trio_lowlevel.checkpoint_if_cancelled()
        if self._owner is None:
            self._owner = _parking.current_actor()
            if checkpoint:
                try:
                    await _parking.trio_lowlevel.cancel_shielded_checkpoint()
                except BaseException:  # closed with its loop: nothing else gets in
                    self._pass_on()
                    raise
            return True
        if timeout != 0:
            actor = _parking.current_actor()
            return await self._wait(_parking.new_waiter(), actor, timeout)
        if checkpoint:
            await _parking.trio_lowlevel.cancel_shielded_checkpoint()
        return False

    def _take(self, actor: Any) -> bool:
        if self._owner is not None:
            self._pass_over_the_gone()
        if self._owner is not None:
            return False
        self._owner = actor
        return True

    async def _wait(
        self, waiter: AsyncioWaiter | TrioWaiter, actor: Any, timeout: float | None
    ) -> bool:
        if self._take(actor):
            return True
        owner = self._owner
        if timeout is None and _parking.same_actor(owner, actor):
            raise WouldDeadlock("this task holds it", "release it first", self._name)
        if self._waiters is None:
            self._waiters = OrderedDict()
        waiters = self._waiters
        first = next(iter(waiters)) if waiters else None
        loop = _parking.loop_of(owner) if first is None else first.loop
        if loop is not None and loop is not waiter.loop:
            raise WrongEventLoop(
                "is used by tasks of another event loop at this moment",
                "share make_lock('thread') between event loops",
                self._name,
            )
        waiters[waiter] = None
        try:
            if await waiter.wait(timeout):
                self._owner = waiter.actor
                return True
        except BaseException:
            # Cancelled, or closed by the garbage collector with its loop.
            self._withdraw(waiter)
            raise
        self._withdraw(waiter)
        return False

    def _pass_over_the_gone(self) -> None:
        owner = self._owner
        if isinstance(owner, _parking.Waiter) and owner.lost_its_loop():
            owner.granted = False
            self._pass_on()

    def _withdraw(self, waiter: AsyncioWaiter | TrioWaiter) -> None:
        if waiter.granted:
            self._pass_on()
        elif self._waiters:
            self._waiters.pop(waiter, None)

    def _pass_on(self) -> None:
        if self._owner is None:
            raise LockNotHeldError(self._name)
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            self._owner = waiter
            if waiter.grant():  # else its event loop is closed
                return
        self._owner = None

    def _run_in_loop(self, step: Callable[[], T]) -> T:
        """Run a step in the thread of the event loop; called from any thread."""
        if _parking.running_library() is not None or "anyio" not in sys.modules:
            return step()
        from anyio import from_thread  # noqa: PLC0415 - only worker threads need it

        try:
            return from_thread.run_sync(step)
        except LockError:
            raise
        except RuntimeError:  # this thread belongs to no event loop
            return step()

    def _enter_within(self, timeout: float | None) -> bool:
        """Enter from a worker thread; called there."""
        if _parking.running_library() is not None:
            raise WouldDeadlock(
                "an event loop runs in this thread, and would stop",
                "use 'async with'",
                self._name,
            )
        from anyio import from_thread  # noqa: PLC0415 - only worker threads need it

        try:
            from_thread.check_cancelled()
        except RuntimeError:
            raise WrongEventLoop(
                "is for tasks, and this thread belongs to no event loop",
                "start it by anyio.to_thread.run_sync, or use make_lock('thread')",
                self._name,
            ) from None
        me = _parking.this_thread.marker
        return from_thread.run(self._enter_for_thread, me, timeout)

    async def _enter_for_thread(self, thread: object, timeout: float | None) -> bool:
        if timeout is None and self._owner is thread:
            raise WouldDeadlock("this thread holds it", "release it first", self._name)
        acquired = await self._enter_task_within(timeout)
        if acquired:
            self._owner = thread
        return acquired

    def __repr__(self) -> str:
        state = "unlocked" if self._owner is None else "locked"
        if self._waiters:
            state += f", waiters:{len(self._waiters)}"
        label = "" if self._name is None else f" name={self._name!r}"
        return f"<anylock.AsyncLock object at {id(self):#x}{label} [{state}]>"

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle an AsyncLock: it is of one event loop; between processes "
            "use make_lock('process') and pass it when the process is started"
        )
        raise TypeError(message)
