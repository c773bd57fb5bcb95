"""`ThreadRLock`: a `threading.RLock` that tasks can wait for as well."""

from __future__ import annotations

import _thread
import weakref
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock._blocking import acquired
from anylock._bridged import Bridged, NativeSlots
from anylock._errors import LockNotHeldError
from anylock._hold import checked_name
from anylock._parking import current_actor, this_thread
from anylock._thread.forks import reset_in_children
from anylock._ways import Ways, way_to_enter

if TYPE_CHECKING:
    from types import TracebackType

    from anylock._bridge.rlock import RLockBridge


class CarefulThreadRLock(Bridged["RLockBridge"]):
    """The methods of `ThreadRLock`.

    While no task holds the lock or waits for it, `with` and `release` do not find them,
    but the C methods of the inner `threading.RLock`. `acquire` is Python all the time:
    it may be called in another thread than it was looked up in.
    """

    __slots__ = ()

    _copied_by_fork = True

    if TYPE_CHECKING:
        _inner: Any
        _native_ways: Ways
        _orphaned: bool

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock as `threading.RLock.acquire` does.

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
        native = self._native_ways.acquire  # to be asked by every thread; see there
        bridge = self._careful_bridge()
        if bridge is None:
            got: bool = native(blocking, timeout)
            return got
        # Whatever is odd about the arguments, the C method shall say so; not that of
        # the inner lock, which a task of this thread may have.
        _thread.allocate_lock().acquire(blocking, timeout)
        if not blocking:
            return bridge.try_block()
        return bridge.block(None if timeout == -1 else timeout, self.name)

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread; True, as from `threading.RLock`.

        Raises:
            WouldDeadlock: Another task of this very thread's event loop holds it.
        """
        native = self._native_ways.acquire  # as above
        bridge = self._careful_bridge()
        if bridge is None:  # the tasks have left since `with` looked this method up
            return acquired(native, self._inner.release)
        return bridge.block(None, self.name)

    def release(self) -> None:
        """Leave the lock once, as the task or else the thread that holds it.

        Raises:
            RuntimeError: The caller does not hold it.
        """
        bridge = self._careful_bridge()
        if bridge is not None:
            if bridge.leave():
                self._go_native(bridge)
                return
            if not bridge.held_by_thread():
                raise LockNotHeldError(self.name)
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
        """Leave the lock once."""
        self.release()

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment, or is about to."""
        bridge = self._careful_bridge()
        if bridge is not None and bridge.spoken_for():
            return True
        if hasattr(self._inner, "locked"):  # since Python 3.14
            taken: bool = self._inner.locked()
            return taken
        # Nothing else tells without taking it for a moment.
        return repr(self._inner).startswith("<locked")

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken.

        In a task it is taken for the task, as by `async with`.
        """
        if current_actor() is this_thread.marker:
            return self.acquire(False)
        bridge = self._live_bridge()
        taken = bridge.take_or_enter()
        if taken:
            # Not _go_careful: in a signal handler, that may be half done below us, and
            # the C method's way out would undo more than this way in.
            with bridge.switching:
                bridge.careful = True
                self._use_careful()
        return taken

    # What a condition asks; the first three are the names that `threading` knows.

    def _is_owned(self) -> bool:
        return self._held_by_task() or self._held_by_thread()

    def _recursion_count(self) -> int:
        bridge = self._careful_bridge()
        if bridge is not None and bridge.held_by_me():
            return bridge.depth + 1
        inner: Any = self._inner  # early releases of Python 3.11 have no such method
        count: int = inner._recursion_count() if self._held_by_thread() else 0  # noqa: SLF001
        return count

    def _release_save(self) -> tuple[int, Any]:
        bridge = self._careful_bridge()
        if bridge is not None and bridge.held_by_me():
            depth = bridge.depth
            bridge.give_up()
            self._go_native(bridge)
            return depth + 1, True
        if not self._held_by_thread():
            raise LockNotHeldError(self.name)
        kept: tuple[int, Any] = self._inner._release_save()  # noqa: SLF001
        return kept

    def _acquire_restore(self, state: tuple[int, Any]) -> None:
        depth, owner = state
        if owner is True:
            self.acquire()
            bridge = self._live_bridge()
            bridge.adopt(depth - 1)
            self._go_careful(bridge)
        elif self._careful_bridge() is None:
            # Whatever signal handlers raise: a condition needs it back.
            self._inner._acquire_restore((depth, _thread.get_ident()))  # noqa: SLF001
        else:
            for _ in range(depth):
                self.acquire()

    def _held_by_task(self) -> bool:
        bridge = self._careful_bridge()
        return bridge is not None and bridge.held_by_me()

    def _held_by_thread(self) -> bool:
        bridge = self._careful_bridge()
        if bridge is None:
            owned: bool = self._inner._is_owned()  # noqa: SLF001
            return owned
        return bridge.held_by_thread()

    def _give_up(self) -> tuple[int, Any]:
        return self._release_save()

    async def _take_back(self, state: tuple[int, Any]) -> None:
        await self.__aenter__()
        self._live_bridge().depth = state[0] - 1

    def _careful_bridge(self) -> RLockBridge | None:
        return self._live_bridge() if self._orphaned else super()._careful_bridge()

    def _enter_within(self, timeout: float | None) -> bool:
        return self.acquire(True, -1 if timeout is None else timeout)

    def _new_bridge(self) -> RLockBridge:
        from anylock._bridge.loans import ABANDONED, Lent  # noqa: PLC0415 - as said
        from anylock._bridge.rlock import RLockBridge  # noqa: PLC0415

        inner = self._inner
        lent = Lent(inner.release, inner._release_save)  # noqa: SLF001
        if self._orphaned:
            lent.by = ABANDONED
        reset = inner._at_fork_reinit  # noqa: SLF001
        return RLockBridge(inner.acquire, inner._is_owned, lent, reset)  # noqa: SLF001


class ThreadRLock(CarefulThreadRLock, metaclass=NativeSlots):
    """A `threading.RLock` that tasks can wait for, and own, as well.

    Who holds it may enter it again, and leaves as often. Who entered by `async with`
    holds it as a task: no other task of the same event loop gets in. Who entered by
    `with` holds it as a thread, with all that runs there. Inside of `async with` the
    same task may use `with`; the other way round there is no telling which task of
    the thread entered, and `async with` raises `WouldDeadlock`.

    A drop-in for `threading.RLock()`, inside of `threading.Condition` as well: while
    no task holds it or waits for it, `with` runs the C methods of such a lock.
    Unlike there, a thread that ends while it holds the lock is never mistaken for a
    later one that has the same ident: who would wait for it gets `WouldDeadlock`.

    Safe to use from threads and tasks. In a forked child it is as the fork found it,
    without the parent's waiting tasks: if another thread held it, it stays held unless
    `reset_after_fork` was set. An event loop must not go on in another thread while a
    task of it is inside (asyncio could): from Python 3.14 on the lock stays held then.

    Args:
        name: A label for reprs and errors.
        reset_after_fork: Unlock it in every forked child, even if the forking thread
            itself holds it.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = {
        "__exit__": "Leave the lock once.",
        "__weakref__": "Weak references to the lock.",
        "_bridge": "What tasks need; None until the first task comes.",
        "_inner": "The lock itself.",
        "_name": "See `name`.",
        "_native_ways": "The C methods that lead in.",
        "_orphaned": "Whether the thread that held it has ended.",
        "_ways": "Those, or the careful ones.",
        "release": "Leave the lock once.",
    }

    if not TYPE_CHECKING:  # to a type checker it is the method of the base
        __enter__ = way_to_enter

    def __init__(
        self, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        self._name = checked_name(name)
        self._bridge = None
        self._inner: Any = _thread.RLock()
        self._orphaned = False
        inner, me = self._inner, weakref.ref[Any](self)
        owned_by = partial(_owned_by, inner)
        self._native_ways = Ways(inner.__enter__, inner.acquire, owned_by, me)
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
        self._inner._at_fork_reinit()  # noqa: SLF001
        if self._bridge is not None:
            self._bridge.forget()
        self._bridge = None
        self._orphaned = False
        self._use_native()

    def _abandoned(self) -> None:
        """Open to nobody any more: the thread that held it has ended."""
        # It may be in a forked child before anything else runs there: no import here.
        bridge = self._bridge
        if bridge is None or bridge.abandon():
            self._orphaned = True
            self._use_careful()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        label = "" if self._name is None else f"name={self._name!r} "
        return f"<{state} anylock.ThreadRLock object {label}at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        message = (
            "cannot pickle a ThreadRLock: it is of one process; for several use "
            "make_rlock('process') and pass it when the process is started"
        )
        raise TypeError(message)

    # The careful way out does for the native way in, but not the other way round. So
    # nobody may get the former's way in with the latter's way out.

    def _use_native(self) -> None:
        # By way of Any: to a type checker these names are the methods of the base.
        slots: Any = self
        slots._ways = self._native_ways  # noqa: SLF001
        slots.__exit__ = self._inner.__exit__
        slots.release = self._inner.release
        if self._orphaned:  # meanwhile
            self._use_careful()

    def _use_careful(self) -> None:
        slots: Any = self
        slots.__exit__ = super().__exit__
        slots.release = super().release
        slots._ways = SimpleNamespace(enter=super().__enter__)  # noqa: SLF001


def _owned_by(inner: Any, ident: int) -> bool:
    # Nothing else tells it of a thread that is not the running one, as in a forked
    # child, where all others are gone.
    return f" owner={ident} " in repr(inner)
