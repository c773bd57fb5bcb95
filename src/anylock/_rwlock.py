"""What read-write locks share: two sides; "thread" and "async", the way in and out too.

Who wants to write enters by a turnstile, a lock of the same kind, and keeps it until it
has left. With the turnstile its own it waits for the readers to leave. Nobody new
becomes a reader meanwhile, so that readers, however many come, do not starve writers;
and who gives up leaves the turnstile, so that whoever came later gets in.

Who wants to read looks whether somebody is in the turnstile. If not, it need not enter
it: *a reader notes itself first and looks at the turnstile afterwards; a writer takes
the turnstile first and looks for readers afterwards*, so that one of them sees the
other. If it is the reader, it forgets itself, and enters by the turnstile as well.

No wake-up is lost for the same reason: *who leaves forgets itself first and looks who
waits afterwards; who waits notes itself first and looks for readers afterwards.*
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anylock import _parking
from anylock._errors import WouldDeadlock
from anylock._inside import Inside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from anylock._parking import Waiter
    from anylock._protocol import Lock

R = TypeVar("R", bound="Lock")
W = TypeVar("W", bound="Lock")


class TwoSided(Generic[R, W]):
    """A pair of locks, made by the constructor of the kind."""

    __slots__ = ("__weakref__", "_read", "_write")

    if TYPE_CHECKING:
        _read: R
        _write: W

    @property
    def name(self) -> str | None:
        """The name given to the constructor, or None."""
        return self._write.name

    @property
    def read(self) -> R:
        """The lock that many hold at the same time, to read."""
        return self._read

    @property
    def write(self) -> W:
        """The lock that one holds, to write, while nobody reads."""
        return self._write


class Passage:
    """Who is inside of a read-write lock, and the way in.

    Args:
        turnstile: A lock that nobody else uses.
        name: A label for errors.
    """

    __slots__ = ("__weakref__", "arriving", "name", "readers", "turnstile", "writer")

    def __init__(self, turnstile: Any, name: str | None) -> None:
        self.turnstile: Any = turnstile
        self.name: str | None = name
        self.readers: Inside[None] = Inside()
        self.writer: Inside[Callable[..., object]] = Inside()
        """The writer, with its way out of the turnstile."""
        self.arriving: dict[Waiter, None] = {}
        """Who waits for the readers to leave. There is at most one, and the turnstile
        belongs to whoever takes it away from here."""

    def join(self, me: Hashable, witness: Hashable) -> bool:
        """Let somebody read because the witness reads as well, who stays meanwhile.

        Nobody can write as long as the witness is there, not even who waits for the
        turnstile or for us. If somebody else made it leave just now, it was no witness.
        """
        readers = self.readers
        joined = False
        look = object()
        try:
            readers.put(look, None)
            if witness in readers:
                readers.add(me, None)
                joined = True
        finally:
            readers.keys.pop(look, None)
            if not joined:
                self.wake()
        return joined

    def try_read(self, me: Hashable) -> bool:
        """Read if nobody is in the turnstile, or if the same actor reads already."""
        readers = self.readers
        if me in readers:
            return self.join(me, me)
        if self.turnstile.locked():
            return False
        entered = False
        look = object()
        try:
            readers.put(look, None)
            if not self.turnstile.locked():
                readers.add(me, None)
                entered = True
        finally:
            readers.keys.pop(look, None)
            if not entered:
                self.wake()
        return entered

    def back_off(self, key: Hashable) -> None:
        """Do not read after all; whoever has seen us is told."""
        self.readers.drop(key)
        self.wake()

    def is_read(self) -> bool:
        """Say whether anybody reads."""
        # Beside a writer there may be somebody who notes itself for a moment.
        return bool(self.readers) and not self.writer

    def is_written(self) -> bool:
        """Say whether anybody writes, or is about to."""
        # Who was granted the turnstile, and has not run since, may have come to read.
        return bool(self.writer) or (self.turnstile.locked() and not self.readers)

    def __str__(self) -> str:
        if self.writer:
            return "locked"
        return f"read by {len(self.readers)}" if self.readers else "unlocked"

    def leave_turnstile(self, *_exc_info: object) -> None:
        """Leave the turnstile, which a task has entered."""
        self.turnstile.release()

    def wake(self) -> None:
        """Let go on who waits for the readers to leave, if they have all left."""
        if not self.readers:
            for waiter in list(self.arriving):
                if not waiter.grant():
                    self.abandon(waiter)

    def abandon(self, waiter: Waiter) -> None:
        """Leave the turnstile for a task whose event loop is closed."""
        if self.arriving.pop(waiter, waiter) is None:
            self.turnstile.release()

    def pass_over_the_gone(self) -> None:
        """Do that if there is such a task."""
        for waiter in list(self.arriving):
            if waiter.lost_its_loop():
                self.abandon(waiter)

    async def read_in_task(
        self,
        me: Hashable,
        timeout: float | None,
        enter: Callable[[float | None], Awaitable[bool]],
        *,
        checkpoint: bool,
    ) -> bool:
        """Wait in a task until it may read.

        Args:
            me: The actor that is to read.
            timeout: Seconds; None waits for ever, 0 tries once.
            enter: Enters the turnstile within so many seconds.
            checkpoint: Whether to make one, of trio, although it need not wait.

        Returns:
            Whether it reads.

        Raises:
            WouldDeadlock: It writes.
        """
        if checkpoint:
            # Before there is anything that would be undone if it is cancelled.
            await _parking.trio_lowlevel.checkpoint()
        if self.try_read(me):
            return True
        if timeout is None:
            self.refuse_reader(me)
        self.pass_over_the_gone()
        return await self.read_in_turn(me, timeout, enter)

    async def read_in_turn(
        self,
        me: Hashable,
        timeout: float | None,
        enter: Callable[[float | None], Awaitable[bool]],
    ) -> bool:
        """Wait in a task for its turn to read; the arguments are as above."""
        if not await enter(timeout):
            return False
        self.readers.add(me, None)
        self.turnstile.release()
        return True

    async def write_in_task(
        self,
        me: Hashable,
        timeout: float | None,
        enter: Callable[[float | None], Awaitable[bool]],
    ) -> bool:
        """Wait in a task until it may write; the arguments are as above.

        Raises:
            WouldDeadlock: It is inside.
        """
        deadline = None if timeout is None else monotonic() + timeout
        if timeout is None:
            self.refuse_writer(me)
        self.pass_over_the_gone()
        if timeout == 0 and self.readers:
            # Others, who try to read, are not to meet us in the turnstile.
            if _parking.in_trio():
                await _parking.trio_lowlevel.checkpoint()
            return False
        while await enter(timeout):
            drained = not self.readers or await self._drained(deadline)
            if drained:
                self.writer.add(me, self.leave_turnstile)
                return True
            if drained is False:
                break
            timeout = left(deadline)
        return False

    async def _drained(self, deadline: float | None) -> bool | None:
        """Wait in a task, whose is the turnstile, until nobody reads.

        Returns:
            Whether they left in time; None if the turnstile was taken away. Unless it
            is True, and if anything is raised, the turnstile is not the task's any
            more.
        """
        mine, drained = True, False
        try:
            while mine and self.readers:
                seconds = left(deadline)
                if seconds == 0:
                    return False
                waiter = _parking.new_waiter()
                self.check_loop(waiter.loop)
                waiter.lost = self.pass_over_the_gone
                waiter.thread.parks_tasks = True
                self.arriving[waiter] = None
                try:
                    if self.readers:
                        await waiter.wait(seconds)
                finally:
                    mine = self.arriving.pop(waiter, self) is None
            drained = True
        finally:
            if mine and not drained:
                self.turnstile.release()
        return True if mine else None

    # Why a wait would never end.

    def check_loop(self, loop: Any) -> None:
        """Refuse to wait in that event loop, if the kind is for one at a time."""

    def refuse_reader(self, me: Hashable) -> None:
        """Raise `WouldDeadlock` if the actor waits to read while it writes."""
        if me in self.writer:
            raise WouldDeadlock(
                f"this {_who(me)} holds it to write",
                "read without another 'with', or leave it first",
                self.name,
            )

    def refuse_writer(self, me: Hashable) -> None:
        """Raise `WouldDeadlock` if the actor waits to write while it is inside."""
        if me in self.writer:
            raise WouldDeadlock(
                f"this {_who(me)} holds it to write", "release it first", self.name
            )
        if me in self.readers:
            raise WouldDeadlock(
                f"this {_who(me)} holds it to read",
                "leave the read side first, or write from the beginning",
                self.name,
            )


def left(deadline: float | None) -> float | None:
    """Return how many seconds there are until then; None for ever."""
    return None if deadline is None else max(0.0, deadline - monotonic())


def _who(me: Hashable) -> str:
    return "thread" if type(me) is _parking.ThreadMarker else "task"
