"""The kind "async": tasks of one event loop, of asyncio or trio."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock._errors import LockNotHeldError, WouldDeadlock, WrongEventLoop
from anylock._parking import (
    AsyncioWaiter,
    TrioWaiter,
    asyncio_task,
    checkpoint_if_cancelled,
    current_task,
    in_trio,
    loop_of,
    new_waiter,
    running_library,
    schedule_point,
    this_thread,
)
from anylock._protocol import TimedHold, checked_name, seconds

if TYPE_CHECKING:
    from types import TracebackType

_modules = sys.modules


class AsyncLock:
    """A lock for the tasks of one event loop, of asyncio or trio.

    A drop-in for `asyncio.Lock()`, and for what `trio.Lock` and `anyio.Lock` have
    in common with it. It is not bound to a loop: several loops may use it one
    after the other, those of asyncio and trio in turn. First come, first served.
    Unlike `asyncio.Lock`, a task that waits for what it holds itself gets an error.
    As there, any task may release what another one acquired.

    Threads of `anyio.to_thread.run_sync` may use `with lock:`; they wait outside of
    the loop. `release` may be called from any thread. Two event loops that contend
    for it at the same time are refused: that is what the kind "thread" is for.

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
        "_free",
        "_name",
        "_owner",
        "_waiters",
    )

    def __init__(
        self, name: str | None = None, *, fast_acquire: bool = False
    ) -> None:
        self._name = checked_name(name)
        self._fast_acquire = fast_acquire
        # One token while the lock is free. list.pop takes it in one atomic step,
        # with or without a GIL, and in half of the time of a C lock.
        self._free = [True]
        self._owner: Any = None
        # Whoever removes a waiter from here decides its fate: the releaser that
        # grants, or the waiter that gives up.
        self._waiters: OrderedDict[AsyncioWaiter | TrioWaiter, None] = OrderedDict()

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
        if ("trio" not in _modules or not in_trio()) and self._free:
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                self._owner = asyncio_task()
                return
        await self._acquire(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock; never a checkpoint."""
        self.release()

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
        if not blocking and timeout is not None:
            message = "acquire(blocking=False) does not wait: leave out the timeout"
            raise ValueError(message)
        return await self._acquire(seconds(timeout) if blocking else 0.0)

    def release(self) -> None:
        """Release the lock: hand it to the task that waits longest.

        Never a checkpoint. May be called by any task, and from any thread.

        Raises:
            LockNotHeldError: Nobody holds it.
        """
        if self._free:
            raise LockNotHeldError(self._name)
        self._hand_on()

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        return not self._free

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self._take(current_task() or this_thread.marker)

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
        return TimedHold(self, timeout)

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

    async def _enter_task_within(self, timeout: float | None) -> bool:
        return await self._acquire(timeout)

    async def _acquire(self, timeout: float | None) -> bool:
        checkpoint = in_trio() and not self._fast_acquire
        if checkpoint:
            await checkpoint_if_cancelled()
        if self._take(current_task()):
            if checkpoint:
                await schedule_point()
            return True
        return timeout != 0 and await self._wait(timeout)

    def _take(self, owner: Any) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        self._owner = owner
        return True

    async def _wait(self, timeout: float | None) -> bool:
        waiter = new_waiter()
        self._refuse_hopeless(waiter, timeout)
        self._waiters[waiter] = None
        try:
            if self._free:  # released by another thread since we looked
                self._serve()
            if await waiter.wait(timeout):
                return True
        except BaseException:
            # Cancelled, or closed by the garbage collector with its loop.
            self._withdraw(waiter)
            raise
        self._withdraw(waiter)
        return False

    def _refuse_hopeless(
        self, waiter: AsyncioWaiter | TrioWaiter, timeout: float | None
    ) -> None:
        if timeout is None and self._owner is waiter.task:
            raise WouldDeadlock("this task holds it", "release it first", self._name)
        others = next(iter(self._waiters), None)
        loop = others.loop if others is not None else loop_of(self._owner)
        if loop is not None and loop is not waiter.loop:
            raise WrongEventLoop(
                "is used by tasks of another event loop at this moment",
                "share make_lock('thread') between event loops",
                self._name,
            )

    def _withdraw(self, waiter: AsyncioWaiter | TrioWaiter) -> None:
        try:
            del self._waiters[waiter]
        except KeyError:  # granted in the meantime
            self._hand_on()

    def _hand_on(self) -> None:
        """Dispose of the lock, which is ours."""
        while self._waiters:
            try:
                waiter, _ = self._waiters.popitem(last=False)
            except KeyError:  # the last one gave up, in another thread
                break
            self._owner = waiter.task
            waiter.granted = True
            if waiter.unpark():
                return
        self._owner = None
        self._free.append(True)
        if self._waiters:  # queued in another thread since we looked
            self._serve()

    def _serve(self) -> None:
        if self._take(None):
            self._hand_on()

    def _enter_within(self, timeout: float | None) -> bool:
        if running_library() is not None:
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
        me = this_thread.marker
        if self._take(me):
            return True
        if timeout == 0:
            return False
        if timeout is None and self._owner is me:
            raise WouldDeadlock("this thread holds it", "release it first", self._name)
        return from_thread.run(self._wait_for_thread, me, timeout)

    async def _wait_for_thread(self, thread: object, timeout: float | None) -> bool:
        acquired = await self._wait(timeout)
        if acquired:
            self._owner = thread
        return acquired

    def __repr__(self) -> str:
        state = "unlocked" if self._free else "locked"
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
