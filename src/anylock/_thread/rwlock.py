"""`ThreadRWLock`: a read-write lock for threads, and tasks of any event loops."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock import _parking
from anylock._errors import LockNotHeldError
from anylock._hold import TimedHold, checked_name
from anylock._inside import NobodyInside, here
from anylock._parking import this_thread
from anylock._rwlock import TwoSided
from anylock._thread.lock import ThreadLock
from anylock._thread.passage import ThreadPassage

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_ONCE = (False,)


class ThreadRWLock(TwoSided["ThreadReadSide", "ThreadWriteSide"]):
    """A read-write lock for threads, and tasks of any event loops, of one process.

    `read` and `write` are locks, with the methods of `ThreadLock`. Any number of
    threads and tasks may be inside of `read`, or one of them inside of `write`. Who
    comes to read waits behind a writer that waits, so that readers do not starve
    writers; nor do writers starve readers. Who reads may enter `read` again, without
    waiting for anybody; a thread that runs an event loop may, if a task of it reads.

    Who waits to write while it reads itself, or for anything while it writes, gets
    `WouldDeadlock`; so does a sync `with` that waits for a task of this very thread.
    Anybody may release for who came in.

    Safe to use from threads and tasks. In a forked child those are inside whom the fork
    found there, even if they are missing in the child, unless `reset_after_fork` was
    set; those that waited stayed in the parent.

    Args:
        name: A label for reprs and errors.
        reset_after_fork: Begin with nobody inside in every forked child.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = ("_passage",)

    def __init__(
        self, name: str | None = None, *, reset_after_fork: bool = False
    ) -> None:
        turnstile = ThreadLock(checked_name(name))
        self._passage = ThreadPassage(turnstile, name, reset_after_fork)
        self._read = ThreadReadSide(self._passage)
        self._write = ThreadWriteSide(self._passage)

    @property
    def kind(self) -> Literal["thread"]:
        """The kind of lock, "thread"."""
        return "thread"

    def __repr__(self) -> str:
        label = "" if self.name is None else f"name={self.name!r} "
        return f"<{self._passage} anylock.ThreadRWLock object {label}at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise _unpicklable()


class _Side:
    """What both sides share: the surface of a `ThreadLock`."""

    __slots__ = ("__weakref__", "_passage")

    def __init__(self, passage: ThreadPassage) -> None:
        self._passage = passage

    @property
    def kind(self) -> Literal["thread"]:
        """The kind of lock, "thread"."""
        return "thread"

    @property
    def name(self) -> str | None:
        """The label of the read-write lock, or None."""
        return self._passage.name

    def locked(self) -> bool:
        """Say whether anybody is inside of this side at this moment."""
        raise NotImplementedError

    def _enter_within(self, timeout: float | None) -> bool:
        raise NotImplementedError

    async def _enter_task_within(self, timeout: float | None) -> bool:
        raise NotImplementedError

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire this side as `threading.Lock.acquire` does.

        Args:
            blocking: False tries once.
            timeout: Seconds to wait at most; -1 waits for ever.

        Returns:
            Whether it was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for this very thread, or a task of it.
            ValueError: As in `threading`: `timeout` is negative, or given together
                with `blocking=False`.
            OverflowError: As in `threading`: `timeout` is beyond
                `threading.TIMEOUT_MAX`.
        """
        if timeout != -1:  # whatever is odd about it, the C method shall say so
            _thread.allocate_lock().acquire(blocking, timeout)
        if not blocking:
            return self._enter_within(0.0)
        return self._enter_within(None if timeout == -1 else timeout)

    def __enter__(self) -> bool:
        """Enter this side, blocking this thread; True, as from `threading.Lock`.

        Raises:
            WouldDeadlock: It would wait for ever for this very thread, or a task of it.
        """
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave this side."""
        raise NotImplementedError

    async def __aenter__(self) -> None:
        """Enter this side without blocking the event loop.

        The loop may be of asyncio or trio, and may be another one each time. A
        cancelled wait leaves nothing behind. On trio this is a checkpoint, on
        asyncio only when it has to wait.

        Raises:
            WouldDeadlock: The running task is inside, in a way that it would wait for.
        """
        await self._enter_task_within(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave this side; never a checkpoint."""
        self.__exit__(None, None, None)

    def hold(self, timeout: float | None = None) -> TimedHold[Self]:
        """Give a context manager that waits at most `timeout` seconds.

        It works with `with` and with `async with`, keeps no state, and may be
        shared and used again.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        return TimedHold(self, timeout, self._enter_within, self._enter_task_within)

    def try_acquire(self) -> bool:
        """Enter this side if that needs no waiting; say whether it was entered."""
        return self._enter_within(0.0)

    def release(self) -> None:
        """Leave this side, or let somebody else leave who has entered it.

        Raises:
            LockNotHeldError: Nobody is inside of this side.
        """
        self.__exit__(None, None, None)

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        label = "" if self.name is None else f"name={self.name!r} "
        which = type(self).__name__[len("Thread") : -len("Side")].lower()
        return f"<{state} anylock.ThreadRWLock.{which} object {label}at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise _unpicklable()


class ThreadReadSide(_Side):
    """The side of a `ThreadRWLock` that many are inside of at the same time."""

    __slots__ = ()

    def locked(self) -> bool:
        """Say whether anybody reads at this moment."""
        return self._passage.is_read()

    # The ways in and out write out what is done if nobody has to wait: each call more
    # would be a tenth of their time.

    def __enter__(self) -> bool:
        """Enter this side, blocking this thread; True, as from `threading.Lock`.

        Raises:
            WouldDeadlock: It would wait for ever for this very thread, or a task of it.
        """
        passage = self._passage
        keys, locked = passage.readers.keys, passage.turnstile.locked
        me = here()
        if me in keys or locked():
            return passage.read(None)
        look = object()  # as in `Passage.try_read`
        try:
            keys[look] = note = this_thread.marker, None
            # Again, because a signal handler may have come in meanwhile.
            if not locked() and me not in keys:
                keys[me] = note
                keys.pop(look, None)  # it may run in a child by now
                return True
            passage.back_off(look)
        except BaseException:
            passage.back_off(me)
            passage.back_off(look)
            raise
        return passage.read(None)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave this side."""
        passage = self._passage
        keys = passage.readers.keys
        done: list[object] = []
        left = False
        try:
            me = here()
            if (me, 1) not in keys:
                try:
                    del keys[me]
                    # No signal handler runs before this, nor between an assignment
                    # and the C method that is called next.
                    left = True
                except KeyError:
                    pass
            if not left:
                passage.stop_reading(done)
            elif passage.arriving:
                passage.wake()
        except LockNotHeldError:
            raise
        except BaseException:  # a signal handler raised
            if left:
                passage.wake()
            else:
                passage.stop_reading(done)
            raise

    def _enter_within(self, timeout: float | None) -> bool:
        return self._passage.read(timeout)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        passage = self._passage
        enter = passage.turnstile._enter_task_within  # noqa: SLF001 - ours
        return await passage.read_in_task(
            here(), timeout, enter, checkpoint=_parking.in_trio()
        )


class ThreadWriteSide(_Side):
    """The side of a `ThreadRWLock` that one is inside of, while nobody reads."""

    __slots__ = ()

    def locked(self) -> bool:
        """Say whether anybody writes at this moment, or is about to."""
        return self._passage.is_written()

    def __enter__(self) -> bool:
        """Enter this side, blocking this thread; True, as from `threading.Lock`.

        Raises:
            WouldDeadlock: It would wait for ever for this very thread, or a task of it.
        """
        passage = self._passage
        turnstile = passage.turnstile
        entered = writes = False
        try:
            me = here()
            if not passage.first.locked():
                # No signal handler runs between the C method and this assignment.
                (entered,) = map(turnstile.acquire, _ONCE)
                if entered and not passage.readers.keys:
                    passage.writer.keys[me] = this_thread.marker, turnstile.__exit__
                    writes = True
                    return True
        finally:
            if entered and not writes:
                turnstile.__exit__(None, None, None)
        return passage.write(None)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave this side."""
        writer = self._passage.writer
        keys = writer.keys
        done: list[Any] = []
        way_out: Any = None
        left = False
        try:
            me = here()
            try:
                _, way_out = keys[me]
                del keys[me]
            except KeyError:
                way_out = None
                writer.pop_into(done, me)
                _, way_out = done[0]
            # As above.
            left = True
            way_out(None, None, None)
        except NobodyInside:
            raise LockNotHeldError(self.name) from None
        except BaseException:  # a signal handler raised
            if way_out is None:
                if not done:
                    writer.pop_into(done, here())
                _, way_out = done[0]
            if not left:
                way_out(None, None, None)
            raise

    def _enter_within(self, timeout: float | None) -> bool:
        return self._passage.write(timeout)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        passage = self._passage
        enter = passage.turnstile._enter_task_within  # noqa: SLF001 - ours
        return await passage.write_in_task(here(), timeout, enter)


def _unpicklable() -> TypeError:
    return TypeError(
        "cannot pickle a ThreadRWLock: it is of one process; between processes use "
        "make_rwlock('machine')"
    )
