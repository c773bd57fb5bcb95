"""`ThreadLock`: a `threading.Lock` that tasks can wait for as well."""

from __future__ import annotations

import _thread
import sys
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock._blocking import acquired
from anylock._bridged import Bridged, NativeSlots
from anylock._errors import LockNotHeldError
from anylock._hold import checked_name
from anylock._thread.forks import reset_in_children

if TYPE_CHECKING:
    from types import TracebackType

    from anylock._bridge.lock import LockBridge


class CarefulThreadLock(Bridged["LockBridge"]):
    """The methods of `ThreadLock`, as they run while tasks hold it or wait for it.

    The rest of the time the slots of `ThreadLock` shadow them with the C methods of
    the inner `threading.Lock`.
    """

    __slots__ = ()

    _copied_by_fork = True

    if TYPE_CHECKING:
        _inner: _thread.LockType

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock as `threading.Lock.acquire` does.

        Args:
            blocking: False tries once.
            timeout: Seconds to wait at most; -1 waits for ever.

        Returns:
            Whether the lock was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for a task of this very thread.
            ValueError: As in `threading`: `timeout` is negative, or given together
                with `blocking=False`.
            OverflowError: As in `threading`: `timeout` is beyond
                `threading.TIMEOUT_MAX`.
        """
        if sys.version_info >= (3, 12):
            blocking = bool(blocking)  # as the C method does, since then
        bridge = self._careful_bridge()
        # Whatever is odd about the arguments, the C method shall say so.
        if bridge is not None and isinstance(blocking, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            if not blocking and timeout == -1:
                return bridge.try_block()
            if blocking and (timeout == -1 or 0 <= timeout <= TIMEOUT_MAX):
                return bridge.block(None if timeout == -1 else timeout, self.name)
        return self._inner.acquire(blocking, timeout)

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread; True, as from `threading.Lock`.

        Raises:
            WouldDeadlock: A task of this very thread's event loop holds the lock.
        """
        bridge = self._careful_bridge()
        if bridge is None:  # the tasks have left since `with` looked this method up
            return acquired(self._inner.acquire, self._inner.release)
        return bridge.block(None, self.name)

    def release(self) -> None:
        """Release the lock, from any thread, whoever acquired it.

        Raises:
            RuntimeError: Nobody holds it.
        """
        bridge = self._careful_bridge()
        if bridge is not None and bridge.holder is not None:
            self._leave_task(bridge)
            return
        try:
            self._inner.release()
        except RuntimeError:
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
        """Say whether anybody holds the lock at this moment."""
        return self._inner.locked()

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock: an old name that `threading.Lock` has for `acquire`."""
        return self.acquire(blocking, timeout)

    def release_lock(self) -> None:
        """Release the lock: an old name that `threading.Lock` has for `release`."""
        self.release()

    def locked_lock(self) -> bool:
        """Say if it is held: an old name that `threading.Lock` has for `locked`."""
        return self.locked()

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self.acquire(False)

    # What a condition asks.

    def _held_by_task(self) -> bool:
        bridge = self._careful_bridge()
        holder = None if bridge is None else bridge.holder
        return holder is not None and holder.resumed

    def _held_by_thread(self) -> bool:
        return self.locked() and not self._held_by_task()

    def _give_up(self) -> tuple[int, None]:
        self.release()
        return 1, None

    def _acquire_restore(self, _state: object) -> None:
        self.acquire()

    async def _take_back(self, _state: object) -> None:
        await self.__aenter__()

    def _enter_within(self, timeout: float | None) -> bool:
        return self.acquire(True, -1 if timeout is None else timeout)

    def _new_bridge(self) -> LockBridge:
        from anylock._bridge.lock import LockBridge  # noqa: PLC0415 - when a task comes

        return LockBridge(self._inner.acquire, self._inner.release)


class ThreadLock(CarefulThreadLock, metaclass=NativeSlots):
    """A `threading.Lock` that tasks can wait for as well.

    Excludes threads, and tasks of any event loops of asyncio and trio, of one
    process. A drop-in for `threading.Lock()`: while no task holds it or waits for
    it, its methods *are* the C methods of such a lock, so that `with lock:` is
    faster than through a wrapper, and a signal handler that raises cannot leave
    it locked.

    Safe to use from threads and tasks; signal handlers and finalizers may release it
    and `try_acquire` it. In a forked child it is as
    the fork found it, without the parent's waiting tasks: if another thread held
    it, it stays held unless `reset_after_fork` was set.

    Args:
        name: A label for reprs and errors.
        reset_after_fork: Unlock it in every forked child, even if the forking
            thread itself holds it (as `logging` does with its locks).

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = {
        "__enter__": "Acquire the lock, blocking this thread.",
        "__exit__": "Release the lock.",
        "__weakref__": "Weak references to the lock.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_inner": "The lock itself.",
        "_name": "See `name`.",
        "acquire": "Acquire the lock as `threading.Lock.acquire` does.",
        "locked": "Say whether anybody holds the lock at this moment.",
        "release": "Release the lock, from any thread.",
    }

    def __init__(
        self, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        self._name = checked_name(name)
        self._bridge = None
        self._inner = _thread.allocate_lock()
        self._use_native()
        if reset_after_fork:
            reset_in_children(self)

    @property
    def kind(self) -> Literal["thread"]:
        """The kind of lock, "thread"."""
        return "thread"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    def _at_fork_reinit(self) -> None:
        """Unlock and forget all waiters, in a forked child; as in `threading`."""
        inner: Any = self._inner
        inner._at_fork_reinit()  # noqa: SLF001 - the name that logging uses as well
        self._bridge = None
        self._use_native()

    def __repr__(self) -> str:
        state = "locked" if self._inner.locked() else "unlocked"
        label = "" if self._name is None else f"name={self._name!r} "
        return f"<{state} anylock.ThreadLock object {label}at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle a ThreadLock: it is of one process; for several use "
            "make_lock('process') and pass it when the process is started"
        )
        raise TypeError(message)

    def _use_native(self) -> None:
        # By way of Any: to a type checker these names are the methods of the base.
        slots: Any = self
        inner = self._inner
        slots.acquire = inner.acquire
        slots.release = inner.release
        slots.locked = inner.locked
        slots.__enter__ = inner.__enter__
        slots.__exit__ = inner.__exit__

    def _use_careful(self) -> None:
        # __exit__ stays native: who leaves through it came in through __enter__,
        # so no task holds the lock.
        slots: Any = self
        slots.acquire = super().acquire
        slots.release = super().release
        slots.__enter__ = super().__enter__
