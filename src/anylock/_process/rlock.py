"""`ProcessRLock`: a `multiprocessing.RLock` that tasks can wait for as well."""

from __future__ import annotations

import os
import weakref
from functools import partial
from multiprocessing import synchronize
from threading import get_ident
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from anylock._bridged import NativeSlots
from anylock._errors import LockNotHeldError
from anylock._hold import checked_name
from anylock._parking import current_actor, this_thread
from anylock._process.base import BridgedSemLock, start_method
from anylock._ways import Ways, way_to_enter

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from types import TracebackType

    from anylock._bridge.rlock import RLockBridge


_locks: weakref.WeakSet[ProcessRLock] = weakref.WeakSet()


def _disown_in_child() -> None:
    # As `multiprocessing` does in the children that it starts itself: or else the
    # forking thread would hold it there as well, and what another thread holds would
    # be counted as entered once more.
    for lock in _locks:
        lock._semlock._after_fork()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_in_child)


class CarefulProcessRLock(BridgedSemLock["RLockBridge"], synchronize.RLock):
    """The methods of `ProcessRLock`.

    While no task holds the lock or waits for it, `with` and `release` do not find them,
    but the C methods of the inner semaphore.
    """

    if TYPE_CHECKING:
        _native_ways: Ways
        _orphaned: bool

    def acquire(
        self,
        block: bool = True,  # noqa: FBT001, FBT002 - multiprocessing's signature
        timeout: float | None = None,
        *,
        blocking: bool | None = None,
    ) -> bool:
        """Acquire the lock as `multiprocessing.RLock.acquire` does.

        Args:
            block: False tries once, and ignores `timeout`.
            timeout: Seconds to wait at most; None waits for ever, negative is 0.
            blocking: The name that `threading` has for `block`.

        Returns:
            Whether the lock was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for a task of this very thread, or
                for a thread that has ended.
        """
        _ = self._native_ways.enter  # to be asked by every thread; see there
        return super().acquire(block, timeout, blocking=blocking)

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread; True, as from `multiprocessing`.

        Raises:
            WouldDeadlock: As `acquire` does.
        """
        _ = self._native_ways.enter  # as above
        return super().__enter__()

    def _careful_bridge(self) -> RLockBridge | None:
        return self._live_bridge() if self._orphaned else super()._careful_bridge()

    def locked(self) -> bool:
        """Say whether anybody in any process holds the lock, or is about to."""
        bridge = self._careful_bridge()
        return (bridge is not None and bridge.spoken_for()) or super().locked()

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken.

        In a task it is taken for the task, as by `async with`.
        """
        if current_actor() is this_thread.marker:
            return self.acquire(block=False)
        bridge = self._live_bridge()
        taken = bridge.take_or_enter()
        if taken:
            # Not _go_careful: in a signal handler, that may be half done below us, and
            # the C method's way out would undo more than this way in.
            with bridge.switching:
                bridge.careful = True
                self._use_careful()
        return taken

    def release(self) -> None:
        """Leave the lock once, as the task or else the thread that holds it.

        Raises:
            AssertionError: The caller does not hold it, as from `multiprocessing`;
                `LockNotHeldError` while tasks of this process use it.
        """
        bridge = self._careful_bridge()
        if bridge is not None:
            if bridge.leave():
                self._go_native(bridge)
                return
            if not bridge.held_by_thread():
                raise LockNotHeldError(self.name)
        self._semlock.release()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave the lock once."""
        self.release()

    def _new_bridge(self) -> RLockBridge:
        from anylock._bridge.loans import ABANDONED, Lent  # noqa: PLC0415 - as said
        from anylock._bridge.rlock import RLockBridge  # noqa: PLC0415

        semaphore = self._semlock
        lent = Lent(semaphore.release, semaphore.release)
        if self._orphaned:
            lent.by = ABANDONED
        return RLockBridge(semaphore.acquire, semaphore._is_mine, lent, None)  # noqa: SLF001


class ProcessRLock(CarefulProcessRLock, metaclass=NativeSlots):
    """A `multiprocessing.RLock` that tasks can wait for, and own, as well.

    Who holds it may enter it again, and leaves as often. Who entered by `async with`
    holds it as a task: no other task of the same event loop gets in. Who entered by
    `with` holds it as a thread, with all that runs there. Inside of `async with` the
    same task may use `with`; the other way round there is no telling which task of
    the thread entered, and `async with` raises `WouldDeadlock`.

    A drop-in for `multiprocessing.RLock()` and a subclass of its class. While no task
    of this process holds it or waits for it, `with` runs the C method of the
    semaphore. `multiprocessing.Condition` takes it, for threads and processes. Unlike
    there, a thread that ends while it holds the lock is never mistaken for a later one
    that has the same ident: who would wait for it in this process gets `WouldDeadlock`.

    Safe to use from threads, tasks and forked children. Hand it to processes when they
    are started, as `ProcessLock`. When its holder is killed it stays locked for ever.
    An event loop must not go on in another thread while a task of it is inside
    (asyncio could): the lock stays held then.

    Args:
        name: A label for reprs and errors.
        context: The start method it is for, from `multiprocessing.get_context`;
            None takes the default of this program.

    Raises:
        TypeError: `name` is not a string.
        OSError: The system has no more semaphores.
    """

    __slots__ = {
        "__exit__": "Leave the lock once.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_name": "See `name`.",
        "_native_ways": "The C methods that lead in.",
        "_orphaned": "Whether the thread that held it has ended.",
        "_ways": "Those, or the careful ones.",
        "locked": "Say whether anybody in any process holds the lock.",
        "release": "Leave the lock once.",
    }

    if TYPE_CHECKING:
        _bridge: RLockBridge | None
        _name: str | None

    if not TYPE_CHECKING:  # to a type checker it is the method of the base
        __enter__ = way_to_enter

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
        semaphore: Any = self._semlock
        owned_by, me = partial(_owned_by, semaphore), weakref.ref[Any](self)
        self._native_ways = Ways(semaphore.__enter__, semaphore.acquire, owned_by, me)
        self._orphaned = False
        self._use_native()
        _locks.add(self)

    def _abandoned(self) -> None:
        """Open to nobody any more: the thread that held it has ended."""
        if self._live_bridge().abandon():
            self._orphaned = True
            self._use_careful()

    # The order is as in ThreadRLock.

    def _use_native(self) -> None:
        slots: Any = self
        semaphore = self._semlock
        slots._ways = self._native_ways  # noqa: SLF001
        slots.__exit__ = semaphore.__exit__
        slots.release = semaphore.release
        slots.locked = semaphore._is_zero  # noqa: SLF001 - what locked() of 3.14 calls
        if self._orphaned:  # meanwhile
            self._use_careful()

    def _use_careful(self) -> None:
        slots: Any = self
        slots.__exit__ = super().__exit__
        slots.release = super().release
        slots.locked = super().locked
        slots._ways = SimpleNamespace(enter=super().__enter__)  # noqa: SLF001


def _owned_by(semaphore: Any, ident: int) -> bool:
    # Of a child that was forked it is never: see above.
    mine: bool = ident == get_ident() and semaphore._is_mine()  # noqa: SLF001
    return mine
