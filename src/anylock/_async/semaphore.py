"""`AsyncSemaphore`: so many tasks of one event loop at a time."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._async._base import (
    AsyncBase,
    first_of,
    still_runs,
    within,
    would_deadlock,
)
from anylock._errors import SemaphoreOverReleased
from anylock._hold import checked_count, checked_value
from anylock._parking import ACTORS_ARE_SNAPSHOTS, asyncio_actor, same_actor

if TYPE_CHECKING:
    from types import TracebackType

    from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter

_SOMEBODY = object()
"""Stands for who took a permit by `acquire`: who gives it back may be another."""


class AsyncSemaphore(AsyncBase):
    """A semaphore for the tasks of one event loop, of asyncio or trio.

    A drop-in for `asyncio.Semaphore()`, and for what those of trio and anyio have in
    common with it. It counts permits: who enters takes one and waits while there is
    none, who leaves gives one back. It has no owner; any task may release, also what
    nobody has acquired, which makes one more permit. First come, first served: a
    permit that is given back belongs to who waits longest, and nobody who comes later
    gets in between.

    Unlike `asyncio.Semaphore`, it is not bound to a loop: several loops may use it one
    after the other, those of asyncio and trio in turn. Like it, it is of one thread,
    that of the event loop. Worker threads of `anyio.to_thread.run_sync` may use `with`;
    they wait outside of the loop. Tasks of two event loops at once are what the kind
    "thread" is for; where it can be told, the second one gets an error.

    A task that waits for a permit which it holds itself is not told so: another task
    may release. Only with `AsyncBoundedSemaphore` of one permit that cannot end well.

    On trio every acquire is a checkpoint; on asyncio it is one if it has to wait.

    Args:
        value: How many permits there are at first.
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait. Then a loop that only takes free permits starves all other tasks.

    Raises:
        TypeError: `value` is not an int, or `name` is not a string.
        ValueError: `value` is negative.
    """

    __slots__ = ("_bound", "_granted", "_insider", "_value")

    _factory = "make_semaphore"

    def __init__(
        self, value: int = 1, name: str | None = None, *, fast_acquire: bool = False
    ) -> None:
        super().__init__(name, fast_acquire=fast_acquire)
        self._value = checked_value(value)
        self._bound: int | None = None
        # Who was granted a permit and has not run since; None until somebody was.
        self._granted: OrderedDict[Waiter, None] | None = None
        # The actor that entered last, by 'async with' or 'with'; None as soon as
        # anybody has given a permit back since.
        self._insider: Any = None

    @property
    def value(self) -> int:
        """How many permits are free at this moment."""
        return self._value

    async def __aenter__(self) -> None:
        """Wait for a permit and take it.

        Raises:
            WouldDeadlock: The running task holds the only permit of a bounded
                semaphore by 'async with'.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        if _parking.trio_lowlevel and _parking.sniffed.name == "trio":
            await self._enter_task_within(None)
            return
        try:
            actor = asyncio_actor()
            if ACTORS_ARE_SNAPSHOTS and len(actor) > 1:
                actor = _parking.only_here(actor)
        except RuntimeError:  # no asyncio here
            actor = None
        # No call from here to the taking, as in AsyncLock.
        if actor and self._value and not self._granted:
            self._value -= 1
            self._insider = actor
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
        """Give a permit back; never a checkpoint.

        Raises:
            SemaphoreOverReleased: It is bounded, and all permits are free.
        """
        if self._waiters or self._granted or self._value == self._bound:
            self._give(1)
        else:
            self._value += 1
            self._insider = None

    async def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float | None = None,
    ) -> bool:
        """Acquire a permit.

        `await semaphore.acquire()` is that of `asyncio.Semaphore`. The time-out is its
        own because `asyncio.wait_for` acquires in another task up to Python 3.11.

        Args:
            blocking: False tries once.
            timeout: Seconds; None waits for ever, 0 tries once.

        Returns:
            Whether a permit was acquired; True where neither argument is given.

        Raises:
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN, or given together with
                `blocking=False`.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        left = None if blocking and timeout is None else within(blocking, timeout)
        if not _parking.in_trio() and self._take(_SOMEBODY):
            return True
        return await self._enter_task_within(left, _SOMEBODY)

    def try_acquire(self) -> bool:
        """Take a permit if that needs no waiting; say whether it was taken."""
        return self._run_in_loop(partial(self._take, _SOMEBODY))

    def release(self, n: int = 1) -> None:
        """Give `n` permits back, to the tasks that wait longest.

        Never a checkpoint. Any task of the event loop may call it.

        Raises:
            SemaphoreOverReleased: It is bounded, and not so many permits are taken.
                Then none is given back.
            TypeError: `n` is not an int.
            ValueError: `n` is less than one.
        """
        checked_count(n)
        if _parking.running_library() is None:
            self._run_in_loop(partial(self._give, n))
        else:
            self._give(n)

    def locked(self) -> bool:
        """Say whether who wants a permit at this moment would have to wait.

        As with `asyncio.Semaphore`, that is also the case while there are free ones,
        but somebody who waited before is only on its way to run.
        """
        return not self._value or bool(self._granted)

    # What the queue asks.

    def _take(self, actor: Any) -> bool:
        if self._granted:
            self._pass_over_the_gone()
        if not self._value or self._granted:
            return False
        self._value -= 1
        self._insider = actor
        return True

    def _check(
        self, waiter: AsyncioWaiter | TrioWaiter, actor: Any, timeout: float | None
    ) -> None:
        if self._granted:
            self._pass_over_the_gone()
        insider = self._insider
        if self._value and not self._granted:  # somebody released it meanwhile
            self._settle()
        elif insider is None or insider is _SOMEBODY:
            self._check_loop(waiter, None)
        elif timeout is None and self._bound == 1 and same_actor(insider, actor):
            # It would leave twice: whoever lets it in, that is once too often.
            raise would_deadlock(actor, self._name)
        else:
            # Of a loop that does not run now it is only known that it did once.
            self._check_loop(waiter, insider if still_runs(insider) else None)

    def _promise(self, waiter: Waiter) -> None:
        if self._granted is None:
            self._granted = OrderedDict()
        self._granted[waiter] = None

    def _forget(self, waiter: Waiter) -> bool:
        granted = self._granted
        return granted is not None and granted.pop(waiter, granted) is None

    def _accept(self, waiter: Waiter, actor: Any) -> None:
        self._arrived(waiter)
        self._insider = actor

    def _refuse(self, waiter: Waiter) -> None:
        if self._arrived(waiter):
            self._pass_on()

    def _keep(self) -> None:
        self._value += 1

    def _undo(self) -> None:
        self._insider = None
        self._pass_on()

    def _give(self, n: int) -> None:
        promised = len(self._granted) if self._granted else 0
        if self._bound is not None and self._value + promised + n > self._bound:
            raise SemaphoreOverReleased(self._bound, self._name)
        self._insider = None
        while n and self._waiters:
            n -= 1
            self._pass_on()
        self._value += n

    def _arrived(self, waiter: Waiter) -> bool:
        """Forget that it is on its way; False if its permit was taken back."""
        known = self._forget(waiter)
        self._settle()
        return known

    def _settle(self) -> None:
        # Who came while others were on their way to run has queued behind them.
        while self._value and self._waiters:
            self._value -= 1
            self._pass_on()

    def _pass_over_the_gone(self) -> None:
        # Those of a loop that was closed come before those of the next one.
        while self._granted:
            waiter = first_of(self._granted)
            if waiter is None or not waiter.lost_its_loop():
                return
            if self._arrived(waiter):
                self._pass_on()

    def _state(self) -> str:
        return "locked" if self.locked() else f"unlocked, value:{self._value}"


class AsyncBoundedSemaphore(AsyncSemaphore):
    """An `AsyncSemaphore` that never has more permits than at first.

    A drop-in for `asyncio.BoundedSemaphore()`. To release more often than was acquired
    is an error, `SemaphoreOverReleased`, and changes nothing.

    If there is only one permit, a task that holds it by `async with` and waits for it
    by another `async with` gets `WouldDeadlock`.

    Args:
        value: How many permits there are.
        name: A label for reprs and errors.
        fast_acquire: As for `AsyncSemaphore`.

    Raises:
        TypeError: `value` is not an int, or `name` is not a string.
        ValueError: `value` is negative.
    """

    __slots__ = ()

    def __init__(
        self, value: int = 1, name: str | None = None, *, fast_acquire: bool = False
    ) -> None:
        super().__init__(value, name, fast_acquire=fast_acquire)
        self._bound = self._value
