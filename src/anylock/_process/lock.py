"""`ProcessLock`: a `multiprocessing.Lock` that tasks can wait for as well."""

from __future__ import annotations

from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

from anylock._bridged import NativeSlots
from anylock._errors import LockNotHeldError
from anylock._hold import checked_name
from anylock._process.base import BridgedSemLock, start_method

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from types import TracebackType

    from anylock._bridge.lock import LockBridge


class CarefulProcessLock(BridgedSemLock["LockBridge"], synchronize.Lock):
    """The methods of `ProcessLock`, as they run while tasks hold it or wait for it.

    The rest of the time the slots of `ProcessLock` shadow them with the C methods
    of the inner semaphore.
    """

    def release(self) -> None:
        """Release the lock, from any thread or process, whoever acquired it.

        Raises:
            ValueError: Nobody holds it.
        """
        bridge = self._careful_bridge()
        if bridge is not None and bridge.holder is not None:
            self._leave_task(bridge)
            return
        try:
            self._semlock.release()
        except ValueError:
            raise LockNotHeldError(self.name) from None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        self.release()

    def _new_bridge(self) -> LockBridge:
        from anylock._bridge.lock import LockBridge  # noqa: PLC0415 - when a task comes

        return LockBridge(self._semlock.acquire, self._semlock.release)


class ProcessLock(CarefulProcessLock, metaclass=NativeSlots):
    """A `multiprocessing.Lock` that tasks can wait for as well.

    Excludes a process and the processes that it starts, with all their threads and
    tasks. A drop-in for `multiprocessing.Lock()` and a subclass of its class: hand
    it to `Process(args=...)`, `Pool(initargs=...)`, `Value(lock=...)` or
    `multiprocessing.Condition`. While no task of this process holds it or waits for
    it, `with lock:` runs the C method of the semaphore.

    Safe to use from threads, tasks and forked children. A child that is started by
    "spawn" or "forkserver" must be *given* the lock: a lock made at module level is
    another one there. The semaphore is made by the constructor, as in
    `multiprocessing`. When its holder is killed it stays locked for ever: that is
    what semaphores do.

    Args:
        name: A label for reprs and errors.
        context: The start method it is for, from `multiprocessing.get_context`;
            None takes the default of this program.

    Raises:
        TypeError: `name` is not a string.
        OSError: The system has no more semaphores.
    """

    __slots__ = {
        "__enter__": "Acquire the lock, blocking this thread.",
        "__exit__": "Release the lock.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_name": "See `name`.",
        "locked": "Say whether anybody in any process holds the lock.",
        "release": "Release the lock, from any thread or process.",
    }

    if TYPE_CHECKING:
        _bridge: LockBridge | None
        _name: str | None

    def __init__(
        self, name: str | None = None, *, context: BaseContext | None = None
    ) -> None:
        self._name = checked_name(name)
        self._bridge = None
        # Up to Python 3.11 the base class does not look at this.
        context, self._is_fork_ctx = start_method(context)
        super().__init__(ctx=context)

    def _make_methods(self) -> None:
        # The hook by which the base class fills in its methods, here and in a child.
        self._use_native()

    def _use_native(self) -> None:
        slots: Any = self
        semaphore = self._semlock
        slots.release = semaphore.release
        slots.locked = semaphore._is_zero  # noqa: SLF001 - what locked() of 3.14 calls
        slots.__enter__ = semaphore.__enter__
        slots.__exit__ = semaphore.__exit__

    def _use_careful(self) -> None:
        # __exit__ stays native: who leaves through it came in through __enter__,
        # so no task holds the lock.
        slots: Any = self
        slots.release = super().release
        slots.__enter__ = super().__enter__
