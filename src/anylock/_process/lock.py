"""`ProcessLock`: a `multiprocessing.Lock` that tasks can wait for as well."""

from __future__ import annotations

import multiprocessing
import sys
import weakref
from multiprocessing import synchronize, util
from threading import TIMEOUT_MAX
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from anylock._bridged import Bridged, NativeSlots
from anylock._errors import LockNotHeldError
from anylock._hold import checked_name

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from types import TracebackType

    from anylock._bridge.lock import LockBridge


class CarefulProcessLock(Bridged["LockBridge"], synchronize.Lock):
    """The methods of `ProcessLock`, as they run while tasks hold it or wait for it.

    The rest of the time the slots of `ProcessLock` shadow them with the C methods
    of the inner semaphore.
    """

    _copied_by_fork = False

    if TYPE_CHECKING:
        _semlock: Any

    def acquire(
        self,
        block: bool = True,  # noqa: FBT001, FBT002 - multiprocessing's signature
        timeout: float | None = None,
        *,
        blocking: bool | None = None,
    ) -> bool:
        """Acquire the lock as `multiprocessing.Lock.acquire` does.

        Args:
            block: False tries once, and ignores `timeout`.
            timeout: Seconds to wait at most; None waits for ever, negative is 0.
            blocking: The name that `threading` has for `block`.

        Returns:
            Whether the lock was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for a task of this very thread.
        """
        if blocking is not None:
            block = blocking
        # Whatever is odd about the arguments, the C method shall say so.
        if self._bridge is not None and isinstance(block, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            bridge = self._careful_bridge()
            if bridge is not None:
                wait = None if timeout is None else max(0.0, min(timeout, TIMEOUT_MAX))
                return bridge.block(wait, self.name) if block else bridge.try_block()
        acquired: bool = self._semlock.acquire(block, timeout)
        return acquired

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread; True, as from `multiprocessing`.

        Raises:
            WouldDeadlock: A task of this very thread's event loop holds the lock.
        """
        return self.acquire()

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

    def locked(self) -> bool:
        """Say whether anybody in any process holds the lock at this moment."""
        taken: bool = self._semlock._is_zero()  # noqa: SLF001
        return taken

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self.acquire(block=False)

    def _enter_within(self, timeout: float | None) -> bool:
        if timeout is None:
            return self.acquire()
        # The semaphore waits by the wall clock where POSIX has no other: if somebody
        # sets that forward, the wait ends too early and is taken up again.
        deadline = monotonic() + timeout
        while not self.acquire(True, timeout):
            timeout = deadline - monotonic()
            if timeout <= 0:
                return False
        return True

    def _make_bridge(self) -> LockBridge:
        bridge = super()._make_bridge()
        # Not atexit, which does not run in the children of multiprocessing.
        util.Finalize(bridge, _retire, (weakref.ref(bridge),), exitpriority=100)
        return bridge

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
        if context is not None and not hasattr(context, "get_start_method"):
            message = (
                f"context must be one of multiprocessing.get_context(...), "
                f"not {context!r}"
            )
            raise TypeError(message)
        context = context or multiprocessing.get_context()
        # Up to Python 3.11 the base class does not look at this.
        self._is_fork_ctx = context.get_start_method() == "fork"
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

    @property
    def kind(self) -> Literal["process"]:
        """The kind of lock, "process"."""
        return "process"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    def __getstate__(self) -> tuple[Any, ...]:
        base: Any = super()
        try:
            state = base.__getstate__()
        except RuntimeError as error:
            raise _not_to_be_sent(str(error)) from None
        if self._is_fork_ctx and sys.platform != "win32":
            raise _not_to_be_sent("A lock of a fork context was sent to another one.")
        return (state, self._name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._bridge = None
        self._is_fork_ctx = False
        inner, self._name = state
        base: Any = super()
        base.__setstate__(inner)

    def __repr__(self) -> str:
        if self._name is None:
            return super().__repr__()
        return f"{super().__repr__()[:-1]} name={self._name!r}>"


def _retire(bridge: weakref.ref[LockBridge]) -> None:
    found = bridge()
    if found is not None:
        found.retire()


def _not_to_be_sent(reason: str) -> RuntimeError:
    return RuntimeError(
        f"{reason} Pass the lock when the process is started: Process(args=(lock,)), "
        f"or Pool(initializer=..., initargs=(lock,)), of the context that the lock was "
        f"made for"
    )
