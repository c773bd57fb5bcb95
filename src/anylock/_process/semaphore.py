"""`ProcessSemaphore`: a `multiprocessing.Semaphore` that tasks can wait for as well."""

from __future__ import annotations

from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

from anylock._bridged import NativeSlots
from anylock._errors import SemaphoreOverReleased
from anylock._hold import checked_count, checked_name, checked_value
from anylock._process.base import BridgedSemLock, start_method

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from types import TracebackType

    from anylock._bridge.semaphore import SemaphoreBridge

MOST: int = vars(synchronize)["SEM_VALUE_MAX"]  # type checkers do not know of it
"""Permits that a semaphore of this system has at most."""


class CarefulProcessSemaphore(BridgedSemLock["SemaphoreBridge"], synchronize.Semaphore):
    """The methods of `ProcessSemaphore`, those that it shadows included."""

    if TYPE_CHECKING:
        _total: int

    @property
    def value(self) -> int:
        """How many permits are free at this moment.

        Raises:
            NotImplementedError: The system cannot tell: macOS.
        """
        return 0 if self._awaited() else self.get_value()

    def locked(self) -> bool:
        """Say whether who wants a permit at this moment would have to wait."""
        return super().locked() or self._awaited()

    def _awaited(self) -> bool:
        # When tasks make room for threads, a permit is not granted to the next of
        # them: for a moment nobody has it, but who comes now does not get it either.
        bridge = self._bridge_if_any()
        return bridge is not None and bridge.awaited()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give a permit back."""
        self._semlock.release()

    def release(self, n: int = 1) -> None:
        """Give `n` permits back, from any thread, task or process.

        Tasks of this process that wait get them first, in the order in which they came.

        Raises:
            SemaphoreOverReleased: It is bounded, and has no room for as many.
            TypeError: `n` is not an int.
            ValueError: `n` is less than one.
        """
        n = checked_count(n)
        self._refuse(n)
        self._total = 0  # who else releases, and when, is not known any more
        bridge = self._bridge_if_any()
        if bridge is not None:
            bridge.lose_count()
        for _ in range(n):
            if bridge is None:
                self._semlock.release()
            else:
                bridge.dispose()

    def _leave_task(self, bridge: SemaphoreBridge) -> None:
        try:
            self._refuse(1)
        except SemaphoreOverReleased:
            bridge.discount()
            raise
        super()._leave_task(bridge)

    def _refuse(self, n: int) -> None:
        """Raise if there is no room for `n` permits more."""

    def _make_bridge(self) -> SemaphoreBridge:
        bridge = super()._make_bridge()
        if not self._total:  # released just now, by who found no bridge to tell it
            bridge.lose_count()
        return bridge

    def _new_bridge(self) -> SemaphoreBridge:
        from anylock._bridge.semaphore import SemaphoreBridge  # noqa: PLC0415 - as said

        semaphore = self._semlock
        return SemaphoreBridge(
            semaphore.acquire, semaphore.release, self._total, shared=True
        )


class ProcessSemaphore(CarefulProcessSemaphore, metaclass=NativeSlots):
    """A `multiprocessing.Semaphore` that tasks can wait for as well.

    For a process and the processes that it starts, with all their threads and tasks.
    A drop-in for `multiprocessing.Semaphore(value)` and a subclass of its class. While
    no task of this process holds a permit or waits for one, `with` runs the C methods.

    Tasks of one process get permits in the order in which they came; between processes
    the system decides. A `with` in the thread of an event loop whose own tasks hold all
    permits raises `WouldDeadlock`, unless `release` was called by itself in this
    process: then anybody may be about to do so again.

    Safe to use from threads, tasks and forked children. Hand it to processes when they
    are started, as `ProcessLock`. The permits of a process that is killed are lost.

    Args:
        value: How many permits there are at first.
        name: A label for reprs and errors.
        context: The start method it is for, from `multiprocessing.get_context`;
            None takes the default of this program.

    Raises:
        TypeError: `value` is not an int, or `name` is not a string.
        ValueError: `value` is negative, or more than a semaphore of the system holds.
        OSError: The system has no more semaphores.
    """

    __slots__ = {
        "__enter__": "Take a permit, blocking this thread.",
        "__exit__": "Give a permit back.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_name": "See `name`.",
        "_total": "How many permits there are in all; 0 where nobody knows.",
        "locked": "Say whether who wants a permit at this moment would have to wait.",
    }

    if TYPE_CHECKING:
        _bridge: SemaphoreBridge | None
        _name: str | None

    def __init__(
        self,
        value: int = 1,
        name: str | None = None,
        *,
        context: BaseContext | None = None,
    ) -> None:
        self._total = checked_value(value)
        if value > MOST:
            message = (
                f"value must be {MOST:,} at most, not {value:,}: the semaphores of "
                f"this system hold no more"
            )
            raise ValueError(message)
        self._name = checked_name(name)
        self._bridge = None
        # Up to Python 3.11 the base class does not look at this.
        context, self._is_fork_ctx = start_method(context)
        super().__init__(value, ctx=context)

    def _make_methods(self) -> None:
        # The hook by which the base class fills in its methods, here and in a child.
        self._use_native()

    def _use_native(self) -> None:
        slots: Any = self
        semaphore = self._semlock
        slots.locked = semaphore._is_zero  # noqa: SLF001 - what locked() of 3.14 calls
        slots.__enter__ = semaphore.__enter__
        slots.__exit__ = semaphore.__exit__

    def _use_careful(self) -> None:
        # __exit__ stays native: the helper waits for what it puts back.
        slots: Any = self
        slots.__enter__ = super().__enter__
        slots.locked = super().locked

    def __getstate__(self) -> tuple[Any, ...]:
        return (super().__getstate__(), self._total)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        inner, self._total = state
        super().__setstate__(inner)


class ProcessBoundedSemaphore(ProcessSemaphore, synchronize.BoundedSemaphore):
    """A `multiprocessing.BoundedSemaphore` that tasks can wait for as well.

    It never has more permits than at first: to release more is a `ValueError`, and
    releases nothing. That is `SemaphoreOverReleased` from `release`, and the error of
    the C method from `with`. (macOS can tell only if there is one permit.) For the
    rest see `ProcessSemaphore`.
    """

    def _refuse(self, n: int) -> None:
        bound: int = self._semlock.maxvalue
        bridge = self._bridge_if_any()
        free = self._free() if bridge is None else bridge.spoken_for(self._free)
        if free + n > bound:
            raise SemaphoreOverReleased(bound, self.name)

    def _free(self) -> int:
        try:
            free: int = self._semlock._get_value()  # noqa: SLF001
        except NotImplementedError:  # macOS
            free = 0 if self._semlock._is_zero() else 1  # noqa: SLF001
        return free
