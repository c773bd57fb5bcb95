"""`ThreadSemaphore`: a `threading.Semaphore` that tasks can wait for as well."""

from __future__ import annotations

import _thread
import sys
from functools import partial
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock._bridged import Bridged, NativeSlots
from anylock._errors import SemaphoreOverReleased
from anylock._hold import checked_count, checked_name, checked_value
from anylock._thread.forks import reset_in_children

if TYPE_CHECKING:
    from types import TracebackType

    from anylock._bridge.semaphore import SemaphoreBridge


MOST = 10_000_000
"""Permits at first: as many items are put into a queue."""

_MAY_OVERSLEEP = sys.version_info < (3, 13)
"""Whether `SimpleQueue.get` waits for ever if somebody was faster and then, while it
looks, its time is over; or if a signal handler lasts longer than its time."""


def _took(
    permits: SimpleQueue[Any],
    blocking: bool = True,  # noqa: FBT001, FBT002 - as a lock's acquire
    timeout: float | None = None,
) -> bool:
    # The permit is noted from C, so that a signal handler that raises loses none.
    taken: list[object] = []
    # Not with a time-out of 0: that may oversleep as well, see above.
    blocking = blocking and timeout != 0
    try:
        taken.extend(map(permits.get, (blocking,), (timeout,)))
    except Empty:
        return False
    except BaseException:
        if taken:
            permits.put(None)
        raise
    return True


class CarefulThreadSemaphore(Bridged["SemaphoreBridge"]):
    """The methods of `ThreadSemaphore`, those that it shadows included."""

    __slots__ = ()

    _copied_by_fork = True

    if TYPE_CHECKING:
        _permits: SimpleQueue[Any]
        _initial: int
        _total: int

    @property
    def value(self) -> int:
        """How many permits are free at this moment."""
        return 0 if self._awaited() else self._permits.qsize()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Take a permit as `threading.Semaphore.acquire` does.

        Args:
            blocking: False tries once.
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            Whether a permit was taken.

        Raises:
            WouldDeadlock: It would wait for ever for tasks of this very thread.
            ValueError: As in `threading`: there is a timeout and `blocking=False`.
        """
        if not blocking and timeout is not None:
            message = "can't specify timeout for non-blocking acquire"
            raise ValueError(message)
        wait = None if timeout is None else max(0.0, min(timeout, TIMEOUT_MAX))
        if wait and _MAY_OVERSLEEP:
            return self.acquire(False) or self._wait_among_tasks(wait)
        bridge = self._careful_bridge()
        if bridge is None:
            return _took(self._permits, blocking, wait)
        return bridge.block(wait, self.name) if blocking else bridge.try_block()

    def _wait_among_tasks(self, seconds: float) -> bool:
        bridge: Any = self._live_bridge()
        if bridge._amid_steps():  # noqa: SLF001 - who sees to the queue is below us
            return _took(self._permits, True, seconds)
        queued: bool = bridge._block_loop_thread(seconds)  # noqa: SLF001 - as there
        return queued

    def __enter__(self) -> object:
        """Take a permit, blocking this thread.

        Raises:
            WouldDeadlock: Tasks of this very thread's event loop hold all of them.
        """
        return self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give a permit back."""
        self._give_back(self._bridge_if_any(), 1)

    def release(self, n: int = 1) -> None:
        """Give `n` permits back, from any thread or task.

        Tasks that wait get them first, in the order in which they came.

        Raises:
            TypeError: `n` is not an int.
            ValueError: `n` is less than one.
        """
        n = checked_count(n)
        self._total = 0  # type: ignore[misc]  # a slot of the adapter
        bridge = self._bridge_if_any()
        if bridge is not None:
            bridge.lose_count()
        self._give_back(bridge, n)

    def _give_back(self, bridge: SemaphoreBridge | None, n: int) -> None:
        for _ in range(n):
            if bridge is None:
                self._permits.put(None)
            else:
                bridge.dispose()

    def locked(self) -> bool:
        """Say whether who wants a permit at this moment would have to wait."""
        return self._permits.empty() or self._awaited()

    def _awaited(self) -> bool:
        # When tasks make room for threads, a permit is not granted to the next of
        # them: for a moment nobody has it, but who comes now does not get it either.
        bridge = self._bridge_if_any()
        return bridge is not None and bridge.awaited()

    def try_acquire(self) -> bool:
        """Take a permit if that needs no waiting; say whether it was taken."""
        return self.acquire(False)

    def _enter_within(self, timeout: float | None) -> bool:
        return self.acquire(True, timeout)

    def _make_bridge(self) -> SemaphoreBridge:
        bridge = super()._make_bridge()
        if not self._total:  # released just now, by who found no bridge to tell it
            bridge.lose_count()
        return bridge

    def _new_bridge(self) -> SemaphoreBridge:
        from anylock._bridge.semaphore import SemaphoreBridge  # noqa: PLC0415 - as said

        permits = self._permits
        return SemaphoreBridge(
            partial(_took, permits),
            partial(permits.put, None),
            self._total,
            shared=False,
        )


class ThreadSemaphore(CarefulThreadSemaphore, metaclass=NativeSlots):
    """A `threading.Semaphore` that tasks can wait for as well.

    For threads, and tasks of any event loops of asyncio and trio, of one process. A
    drop-in for `threading.Semaphore(value)`. Its permits are the items of a C queue,
    so that `with` runs no Python while no task holds a permit or waits for one, and a
    signal handler that raises cannot lose one.

    Tasks get permits in the order in which they came, and a permit that was granted
    to a task is nobody else's. A `with` in the thread of an event loop whose own tasks
    hold all permits raises `WouldDeadlock`, unless `release` was ever called by
    itself: then anybody may be about to do so again.

    Safe to use from threads and tasks; signal handlers and finalizers may release it.
    In a forked child it is as the fork found it, without the parent's waiting tasks:
    what other threads had taken stays taken unless `reset_after_fork` was set.

    Args:
        value: How many permits there are at first; each takes a few bytes.
        name: A label for reprs and errors.
        reset_after_fork: Begin with `value` permits in every forked child.

    Raises:
        TypeError: `value` is not an int, or `name` is not a string.
        ValueError: `value` is negative, or more than ten million.
    """

    __slots__ = {
        "__enter__": "Take a permit, blocking this thread.",
        "__exit__": "Give a permit back.",
        "__weakref__": "Weak references to the semaphore.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_initial": "How many permits there are at first.",
        "_name": "See `name`.",
        "_permits": "The free permits.",
        "_total": "How many there are in all; 0 where nobody knows.",
    }

    def __init__(
        self, value: int = 1, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        self._initial = checked_value(value)
        if value > MOST:
            message = (
                f"value must be {MOST:,} at most, not {value:,}: a semaphore of kind "
                f"'thread' keeps its permits one by one; for no limit, use none"
            )
            raise ValueError(message)
        self._name = checked_name(name)
        self._at_fork_reinit()
        if reset_after_fork:
            reset_in_children(self)

    @property
    def kind(self) -> Literal["thread"]:
        """The kind of semaphore, "thread"."""
        return "thread"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    def _at_fork_reinit(self) -> None:
        """Begin anew, without waiters, in a forked child."""
        self._total = self._initial
        self._permits = SimpleQueue()
        for _ in range(self._initial):
            self._permits.put(None)
        self._bridge = None
        self._use_native()

    def __repr__(self) -> str:
        label = "" if self._name is None else f"name={self._name!r} "
        kind = type(self).__name__
        return f"<anylock.{kind} object {label}at {id(self):#x}, value={self.value}>"

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle a ThreadSemaphore: it is of one process; for several use "
            "make_semaphore('process') and pass it when the process is started"
        )
        raise TypeError(message)

    def _use_native(self) -> None:
        # By way of Any: to a type checker these names are the methods of the base.
        slots: Any = self
        slots.__enter__ = self._permits.get
        slots.__exit__ = self._permits.put  # what it puts is the exception, or None

    def _use_careful(self) -> None:
        # __exit__ stays native: the helper waits for what it puts.
        slots: Any = self
        slots.__enter__ = super().__enter__


class ThreadBoundedSemaphore(ThreadSemaphore):
    """A `threading.BoundedSemaphore` that tasks can wait for as well.

    It never has more permits than at first: to release more raises
    `SemaphoreOverReleased`, a `ValueError`, and releases nothing. To look at that
    costs `with` a Python method on its way out, at whose beginning a signal handler
    that raises loses the permit, as with that of `threading`. For the rest see
    `ThreadSemaphore`.
    """

    __slots__ = ("_counting",)

    def __init__(
        self, value: int = 1, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        counting: Any = _thread.RLock()
        reset_in_children(counting)  # or who is missing there may hold it
        self._counting = counting
        """Held from looking at the permits until one more is there."""
        super().__init__(value, name, reset_after_fork=reset_after_fork)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give a permit back.

        Raises:
            SemaphoreOverReleased: All are there already.
        """
        self._give_back(self._bridge_if_any(), 1)

    def release(self, n: int = 1) -> None:
        """Give `n` permits back, from any thread or task.

        Raises:
            SemaphoreOverReleased: There is no room for as many.
            TypeError: `n` is not an int.
            ValueError: `n` is less than one.
        """
        with self._counting:
            self._refuse(checked_count(n))
            super().release(n)

    def _give_back(self, bridge: SemaphoreBridge | None, n: int) -> None:
        with self._counting:
            self._refuse(n)
            super()._give_back(bridge, n)

    def _leave_task(self, bridge: SemaphoreBridge) -> None:
        with self._counting:
            try:
                self._refuse(1)
            except SemaphoreOverReleased:
                bridge.discount()
                raise
            super()._leave_task(bridge)

    def _refuse(self, n: int) -> None:
        bridge = self._bridge_if_any()
        free = self.value if bridge is None else bridge.spoken_for(self._permits.qsize)
        if free + n > self._initial:
            raise SemaphoreOverReleased(self._initial, self.name)

    def _use_native(self) -> None:
        slots: Any = self
        slots.__enter__ = self._permits.get
