"""What the family of the kind "async" shares: the queue of waiters, and the ways in.

A member of the family says what is to be had and who has it: a lock, or so many
permits. Everything here but the ways in for threads runs in the thread of the event
loop.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeVar

from anylock import _parking
from anylock._errors import LockError, WouldDeadlock, WrongEventLoop
from anylock._hold import TimedHold, checked_name, seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter

T = TypeVar("T")


class AsyncBase:
    """Something that tasks of one event loop wait for, first come first served.

    Args:
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait.
    """

    __slots__ = ("__weakref__", "_fast_acquire", "_name", "_waiters")

    _factory: ClassVar[str]
    """Who makes its like for other kinds."""

    def __init__(self, name: str | None, *, fast_acquire: bool) -> None:
        self._name = checked_name(name)
        self._fast_acquire = fast_acquire
        # Who waits, first come first; None until somebody has to. A waiter that was
        # granted is not here any more.
        self._waiters: OrderedDict[Waiter, None] | None = None
        _parking.in_trio()  # so that the fast path knows of it

    @property
    def kind(self) -> Literal["async"]:
        """Who may contend: tasks of one event loop, "async"."""
        return "async"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    # The members of the family write out what runs without waiting: a call more
    # would be a third of its time.

    async def __aenter__(self) -> None:
        """Wait for it and take it."""
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give it back; never a checkpoint."""
        raise NotImplementedError

    def release(self) -> None:
        """Give it back; never a checkpoint."""
        raise NotImplementedError

    async def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float | None = None,
    ) -> bool:
        """Acquire it.

        `await acquire()` is that of the class of `asyncio`. The time-out is its own
        because `asyncio.wait_for` acquires in another task up to Python 3.11.

        Args:
            blocking: False tries once.
            timeout: Seconds; None waits for ever, 0 tries once.

        Returns:
            Whether it was acquired; True where neither argument is given.

        Raises:
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN, or given together with
                `blocking=False`.
            WouldDeadlock: The wait would never end.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        if blocking and timeout is None:
            await self.__aenter__()
            return True
        return await self._enter_task_within(within(blocking, timeout))

    def try_acquire(self) -> bool:
        """Take it if that needs no waiting; say whether it was taken."""
        return self._run_in_loop(partial(self._take, _parking.current_actor()))

    def hold(self, timeout: float | None = None) -> TimedHold[Self]:
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
        return TimedHold(self, timeout, self._enter_within, self._enter_task_within)

    def __enter__(self) -> bool:
        """Wait for it in a worker thread of the event loop.

        Raises:
            WouldDeadlock: An event loop runs in this thread, or this thread holds
                what it waits for.
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
        """Give it back."""
        self.release()

    # What a member of the family knows.

    def _take(self, actor: Any) -> bool:
        """Take it for the actor if that needs no waiting."""
        raise NotImplementedError

    def _check(
        self, waiter: AsyncioWaiter | TrioWaiter, actor: Any, timeout: float | None
    ) -> None:
        """Refuse to wait if that would never end; the waiter is queued already."""
        raise NotImplementedError

    def _promise(self, waiter: Waiter) -> None:
        """Note that it is the waiter's, which has not run yet."""
        raise NotImplementedError

    def _accept(self, waiter: Waiter, actor: Any) -> None:
        """Note that the waiter runs, and has it."""
        raise NotImplementedError

    def _refuse(self, waiter: Waiter) -> None:
        """Take back what was the waiter's, which does not want it any more."""
        raise NotImplementedError

    def _forget(self, waiter: Waiter) -> bool:
        """Note that what was promised to the waiter goes to somebody else.

        Returns:
            Whether that is for the caller to do; a signal handler may have done it.
        """
        raise NotImplementedError

    def _keep(self) -> None:
        """Note that nobody has it: nobody waits."""
        raise NotImplementedError

    def _undo(self) -> None:
        """Give back what the running actor has just taken."""
        raise NotImplementedError

    # The queue, and the ways in.

    async def _enter_task_within(
        self, timeout: float | None, actor: Any = None
    ) -> bool:
        checkpoint = _parking.in_trio() and not self._fast_acquire
        if checkpoint:
            await _parking.trio_lowlevel.checkpoint_if_cancelled()
        if actor is None:
            actor = _parking.current_actor()
        if self._take(actor):
            if checkpoint:
                try:
                    await _parking.trio_lowlevel.cancel_shielded_checkpoint()
                except BaseException:  # closed with its loop: nothing else gets in
                    self._undo()
                    raise
            return True
        if timeout != 0:
            return await self._wait(_parking.new_waiter(), actor, timeout)
        if checkpoint:
            await _parking.trio_lowlevel.cancel_shielded_checkpoint()
        return False

    async def _wait(
        self, waiter: AsyncioWaiter | TrioWaiter, actor: Any, timeout: float | None
    ) -> bool:
        if self._waiters is None:
            self._waiters = OrderedDict()
        self._waiters[waiter] = None
        try:
            self._check(waiter, actor, timeout)
            if await waiter.wait(timeout):
                self._accept(waiter, actor)
                return True
        except BaseException:
            # Refused, cancelled, or closed by the garbage collector with its loop.
            self._withdraw(waiter)
            raise
        self._withdraw(waiter)
        return False

    def _withdraw(self, waiter: Waiter) -> None:
        if waiter.granted:
            self._refuse(waiter)
        elif self._waiters:
            self._waiters.pop(waiter, None)

    def _pass_on(self) -> None:
        """Give it to the first waiter that can still run, or keep it."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            self._promise(waiter)
            # Else its event loop is closed.
            if waiter.grant() or not self._forget(waiter):
                return
        self._keep()

    def _check_loop(self, waiter: AsyncioWaiter | TrioWaiter, holder: Any) -> None:
        """Refuse to wait behind another event loop; the waiter is queued already."""
        waiters = self._waiters
        while waiters:
            first = first_of(waiters)
            if first is None:
                return
            loop = _parking.loop_of(holder) if first is waiter else first.loop
            if loop is None or loop is waiter.loop:
                return
            if first.gone:
                waiters.pop(first, None)
                continue
            raise WrongEventLoop(
                "is used by tasks of another event loop at this moment",
                f"share {self._factory}('thread') between event loops",
                self._name,
            )

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
                "start it by anyio.to_thread.run_sync, or use "
                f"{self._factory}('thread')",
                self._name,
            ) from None
        me = _parking.this_thread.marker
        return from_thread.run(self._enter_task_within, timeout, me)

    def _state(self) -> str:
        """Tell in the repr what is to be had."""
        raise NotImplementedError

    def __repr__(self) -> str:
        state = self._state()
        if self._waiters:
            state += f", waiters:{len(self._waiters)}"
        label = "" if self._name is None else f" name={self._name!r}"
        who = type(self).__name__
        return f"<anylock.{who} object at {id(self):#x}{label} [{state}]>"

    def __reduce__(self) -> NoReturn:
        message = (
            f"cannot pickle an {type(self).__name__}: it is of one event loop; between "
            f"processes use {self._factory}('process') and pass it when the process is "
            f"started"
        )
        raise TypeError(message)


def first_of(waiters: OrderedDict[Waiter, None]) -> Any:
    """Return who came first, or None."""
    try:
        return next(iter(waiters), None)
    except RuntimeError:
        # A signal handler has changed them between the two calls: look again.
        return first_of(waiters)


def within(blocking: bool, timeout: float | None) -> float | None:  # noqa: FBT001
    """Return how many seconds `acquire(blocking, timeout)` may wait."""
    if blocking:
        return seconds(timeout)
    if timeout is None:
        return 0.0
    message = "acquire(blocking=False) does not wait: leave out the timeout"
    raise ValueError(message)


def would_deadlock(actor: Any, name: str | None) -> WouldDeadlock:
    """Make the error for who waits for what it holds itself."""
    who = "thread" if type(actor) is _parking.ThreadMarker else "task"
    return WouldDeadlock(f"this {who} holds it", "release it first", name)


def still_runs(actor: Any) -> bool:
    """Say whether the event loop of an actor runs at this moment; False if unknown."""
    loop = _parking.loop_of(actor)
    if loop is None:
        return False
    is_running = getattr(loop, "is_running", None)
    # The root task of trio has a nursery for as long as anything runs in it.
    return bool(loop.child_nurseries if is_running is None else is_running())
