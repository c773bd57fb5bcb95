"""`ThreadRWLock`: a read-write lock for threads, and tasks of any event loops."""

from __future__ import annotations

import _thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock import _parking
from anylock._blocking import BlockedThread
from anylock._errors import LockNotHeldError, WouldDeadlock
from anylock._hold import TimedHold, checked_name
from anylock._inside import here
from anylock._parking import this_thread
from anylock._rwlock import Passage
from anylock._thread.forks import reset_in_children
from anylock._thread.lock import ThreadLock

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType

    from typing_extensions import Self


_ONCE = (False,)
_BLOCKING = (True,)
_NO_ERROR = (None,), (None,), (None,)


class ThreadRWLock:
    """A read-write lock for threads, and tasks of any event loops, of one process.

    `read` and `write` are locks, each with all that `ThreadLock` has. Any number of
    threads and tasks may be inside of `read`, or one of them inside of `write`. Who
    comes to read waits behind a writer that waits, so that readers do not starve
    writers; nor do writers starve readers. Who reads may enter `read` again, without
    waiting for anybody; a thread that runs an event loop may, if a task of it reads.

    Who waits to write while it reads itself, or for anything while it writes, gets
    `WouldDeadlock`; so does a sync `with` that waits for a task of this very thread.
    Anybody may release for who came in.

    Safe to use from threads and tasks. In a forked child who is inside is as the fork
    found it, also those that are missing there, unless `reset_after_fork` was set;
    those that waited stayed in the parent.

    Args:
        name: A label for reprs and errors.
        reset_after_fork: Begin with nobody inside in every forked child.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = ("__weakref__", "_passage", "_read", "_write")

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

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._passage.name

    @property
    def read(self) -> ThreadReadSide:
        """The lock that many hold at the same time, to read."""
        return self._read

    @property
    def write(self) -> ThreadWriteSide:
        """The lock that one holds, to write, while nobody reads."""
        return self._write

    def __repr__(self) -> str:
        label = "" if self.name is None else f"name={self.name!r} "
        return f"<{self._passage} anylock.ThreadRWLock object {label}at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise _unpicklable()


class ThreadPassage(Passage):
    """How threads get in and out; see `Passage`.

    A signal handler may raise after any call. So whether the turnstile was entered, and
    whether somebody has left, is noted by C code, `list.extend`; and what is to be
    undone is known before it is done.
    """

    __slots__ = ("_first", "_resets")

    def __init__(self, turnstile: ThreadLock, name: str | None, resets: bool) -> None:  # noqa: FBT001
        super().__init__(turnstile, name)
        self._first = _thread.allocate_lock()
        """Held by the first of the threads that wait for the turnstile, so that who
        has left it just now cannot enter it again before that is awake."""
        self._resets = resets
        reset_in_children(self)

    def _at_fork_reinit(self) -> None:
        self._first = _thread.allocate_lock()
        self.arriving.clear()
        if self._resets:
            self.readers.clear()
            self.writer.clear()
        if not self.writer:  # whoever was in the turnstile was on the way in
            self.turnstile._at_fork_reinit()  # noqa: SLF001 - ours

    # The way in to read.

    def read(self, timeout: float | None) -> bool:
        """Block this thread until it may read; False when the time is over."""
        me = here()
        key = self.readers.next_key(me)
        try:
            return self.try_read(me) or self._read_in_turn(me, key, timeout)
        except BaseException:
            self.back_off(key)
            raise

    def _read_in_turn(self, me: Hashable, key: Hashable, timeout: float | None) -> bool:
        if timeout == 0:
            return False
        self.pass_over_the_gone()
        # Nobody of this thread can leave while it waits, nor can a writer that waits
        # for them get in.
        witness = self.readers.witness()
        if witness is not None and self.join(me, witness):
            return True
        if timeout is None:
            self._refuse_beside_writer(me)
        entered: list[bool] = []
        try:
            if self._entered(entered, timeout):
                self.readers.put(key, None)
                return True
        finally:
            self._leave(entered)
        return False

    # The way in to write.

    def write(self, timeout: float | None) -> bool:
        """Block this thread until it may write; False when the time is over."""
        deadline = None if timeout is None else monotonic() + timeout
        me = here()
        turnstile = self.turnstile
        entered: list[bool] = []
        writes = False
        try:
            if not self._first.locked():
                entered.extend(map(turnstile.acquire, _ONCE))
            if not (entered and entered[0]):
                if timeout == 0:
                    return False
                self.pass_over_the_gone()
                if timeout is None:
                    self._refuse_beside_writer(me)
                    self._refuse_beside_readers(me)
                entered.clear()
                if not self._entered(entered, timeout):
                    return False
            if self.readers and not self._drained_by_thread(me, deadline):
                return False
            self.writer.put(me, turnstile.__exit__)
            writes = True
        finally:
            if not writes:
                self._leave(entered)
        return True

    def _entered(self, entered: list[bool], timeout: float | None) -> bool:
        """Enter the turnstile within so many seconds, in turn."""
        seconds = -1 if timeout is None else timeout
        acquire = self.turnstile.acquire
        if this_thread.marker.parks_tasks or _parking.running_library() is not None:
            # Who is first may wait for a task of this thread, which cannot run. The
            # turnstile knows.
            entered.extend(map(acquire, _BLOCKING, (seconds,)))
            return entered[0]
        deadline = None if timeout is None else monotonic() + timeout
        first: list[bool] = []
        try:
            first.extend(map(self._first.acquire, _BLOCKING, (seconds,)))
            if not first[0]:
                return False
            if deadline is not None:
                seconds = max(0.0, deadline - monotonic())
            entered.extend(map(acquire, _BLOCKING, (seconds,)))
        finally:
            if first and first[0]:
                self._first.release()
        return entered[0]

    def _leave(self, entered: list[bool]) -> None:
        if entered and entered[0]:
            # The C method, also while tasks wait.
            self.turnstile.__exit__(None, None, None)

    def _drained_by_thread(self, me: Hashable, deadline: float | None) -> bool:
        while self.readers:
            left = None if deadline is None else deadline - monotonic()
            if left is None:
                self._refuse_beside_readers(me)
            elif left <= 0:
                return False
            blocked = BlockedThread()
            self.arriving[blocked] = None
            try:
                if self.readers:
                    blocked.block(left)
            finally:
                self.arriving.pop(blocked, None)
        return True

    # The ways out.

    def stop_reading(self) -> None:
        """Read no more, or let somebody else leave who reads.

        Raises:
            LockNotHeldError: Nobody reads.
        """
        popped: list[Any] = []
        try:
            self._stop_reading(popped)
        except BaseException:  # a signal handler raised, or nobody reads
            self._stop_reading(popped)
            raise

    def _stop_reading(self, popped: list[Any]) -> None:
        if not popped:
            try:
                self.readers.pop_into(popped, here())
            except KeyError:
                raise LockNotHeldError(self.name) from None
        if self.arriving:
            self.wake()

    def stop_writing(self) -> None:
        """Write no more, or let somebody else leave who writes.

        Raises:
            LockNotHeldError: Nobody writes.
        """
        popped: list[Any] = []
        left: list[Any] = []
        try:
            self._stop_writing(popped, left)
        except BaseException:  # as above
            self._stop_writing(popped, left)
            raise

    def _stop_writing(self, popped: list[Any], left: list[Any]) -> None:
        if not popped:
            try:
                self.writer.pop_into(popped, here())
            except KeyError:
                raise LockNotHeldError(self.name) from None
        if not left:
            _, way_out = popped[0]
            left.extend(map(way_out, *_NO_ERROR))

    def wake(self) -> None:
        """Let go on who waits for the readers to leave, if they have all left."""
        # A signal handler that raises amid the waking of a task can lose it. So it is
        # left to a thread of its own, as in the bridges.
        if (
            not self.readers
            and not this_thread.marker.parks_tasks
            and any(not isinstance(w, BlockedThread) for w in list(self.arriving))
        ):
            try:
                _thread.start_new_thread(super().wake, ())
            except RuntimeError:  # no more threads, or the interpreter ends
                pass
            else:
                return
        super().wake()

    # Why a wait of this thread would never end.

    def _refuse_beside_writer(self, me: Hashable) -> None:
        self.refuse_reader(me)
        if self.writer.of_this_thread():
            raise WouldDeadlock(
                "a task of this thread's event loop holds it to write",
                "use 'async with' in tasks",
                self.name,
            )

    def _refuse_beside_readers(self, me: Hashable) -> None:
        self.refuse_writer(me)
        if self.readers.of_this_thread():
            raise WouldDeadlock(
                "a task of this thread's event loop holds it to read",
                "use 'async with' in tasks",
                self.name,
            )


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

    def _leave(self) -> None:
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
        return self._enter_within(None)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave this side."""
        self._leave()

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
        self._leave()

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
        self._leave()

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

    def _enter_within(self, timeout: float | None) -> bool:
        return self._passage.read(timeout)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        passage = self._passage
        enter = passage.turnstile._enter_task_within  # noqa: SLF001 - ours
        return await passage.read_in_task(
            here(), timeout, enter, checkpoint=_parking.in_trio()
        )

    def _leave(self) -> None:
        self._passage.stop_reading()


class ThreadWriteSide(_Side):
    """The side of a `ThreadRWLock` that one is inside of, while nobody reads."""

    __slots__ = ()

    def locked(self) -> bool:
        """Say whether anybody writes at this moment, or is about to."""
        return self._passage.is_written()

    def _enter_within(self, timeout: float | None) -> bool:
        return self._passage.write(timeout)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        passage = self._passage
        enter = passage.turnstile._enter_task_within  # noqa: SLF001 - ours
        return await passage.write_in_task(here(), timeout, enter)

    def _leave(self) -> None:
        self._passage.stop_writing()


def _unpicklable() -> TypeError:
    return TypeError(
        "cannot pickle a ThreadRWLock: it is of one process; between processes use "
        "make_rwlock('machine')"
    )
