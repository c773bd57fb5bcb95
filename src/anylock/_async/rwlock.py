"""`AsyncRWLock`: a read-write lock for the tasks of one event loop."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from anylock import _parking
from anylock._async._base import AsyncBase
from anylock._async.lock import AsyncLock
from anylock._errors import LockNotHeldError, WrongEventLoop
from anylock._hold import checked_name
from anylock._inside import Inside, NobodyInside, here, key_of
from anylock._parking import this_thread
from anylock._rwlock import Passage, TwoSided

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from types import TracebackType

    from anylock._parking import Waiter


class AsyncRWLock(TwoSided["AsyncReadSide", "AsyncWriteSide"]):
    """A read-write lock for the tasks of one event loop, of asyncio or trio.

    `read` and `write` are locks. Any number of tasks may be inside of `read`, or one
    inside of `write`. First come, first served: who comes to read waits behind a writer
    that waits, so that readers do not starve writers, nor the other way round. A task
    that reads may enter `read` again, without waiting for anybody.

    It is not bound to a loop: several loops may use it one after the other. Worker
    threads of `anyio.to_thread.run_sync` may use `with`. Between event loops, and for
    threads, there is the kind "thread".

    A task that waits to write while it reads itself, or for anything while it writes,
    gets `WouldDeadlock`. Anybody may release for who came in.

    On trio every acquire is a checkpoint; on asyncio it is one if it has to wait.

    Args:
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = ("_passage",)

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        turnstile = _Turnstile(checked_name(name), fast_acquire=fast_acquire)
        self._passage = _AsyncPassage(turnstile, name)
        self._read = AsyncReadSide(self._passage, fast_acquire=fast_acquire)
        self._write = AsyncWriteSide(self._passage, fast_acquire=fast_acquire)

    @property
    def kind(self) -> Literal["async"]:
        """Who may contend: tasks of one event loop, "async"."""
        return "async"

    def __repr__(self) -> str:
        label = "" if self.name is None else f" name={self.name!r}"
        return f"<anylock.AsyncRWLock object at {id(self):#x}{label} [{self._passage}]>"

    def __reduce__(self) -> NoReturn:
        raise _unpicklable()


class _Turnstile(AsyncLock):
    """A lock that lets those who wait to read pass through together."""

    __slots__ = ("_reading", "passage", "readers")

    _factory = "make_rwlock"

    if TYPE_CHECKING:
        passage: weakref.ref[_AsyncPassage]
        readers: Inside[None]

    def __init__(self, name: str | None, *, fast_acquire: bool) -> None:
        super().__init__(name, fast_acquire=fast_acquire)
        # Who waits to read, or was let in and has not run since.
        self._reading: dict[Waiter, Hashable] = {}

    async def wait_to_read(
        self, actor: Any, me: Hashable, timeout: float | None
    ) -> bool:
        """Wait for the turn of a reader; it is noted by whoever lets it in."""
        waiter = _parking.new_waiter()
        self._reading[waiter] = me
        try:
            return await self._wait(waiter, actor, timeout)
        finally:
            del self._reading[waiter]

    def _pass_on(self) -> None:
        # To wake one after the other would take a turn of the event loop for each.
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if waiter in self._reading:
                self._let_in(waiter)
                continue
            self._promise(waiter)
            if waiter.grant() or not self._forget(waiter):
                return
        self._keep()

    def _let_in(self, waiter: Waiter) -> None:
        self.readers.put(self._reading[waiter], None)
        if not waiter.grant():  # its event loop is closed
            self._send_back(waiter)

    def _accept(self, waiter: Waiter, actor: Any) -> None:
        if waiter not in self._reading:
            super()._accept(waiter, actor)

    def _refuse(self, waiter: Waiter) -> None:
        if waiter in self._reading:
            self._send_back(waiter)
        else:
            super()._refuse(waiter)

    def _send_back(self, waiter: Waiter) -> None:
        passage = self.passage()
        # Or else it is garbage together with all who use it.
        if passage is not None:
            passage.back_off(self._reading[waiter])

    def pass_over_the_gone(self) -> None:
        """Forget who was let in, and lost its event loop before it ran."""
        self._pass_over_the_gone()
        for waiter in list(self._reading):
            if waiter.granted and waiter.lost_its_loop():
                waiter.granted = False
                self._send_back(waiter)


class _AsyncPassage(Passage):
    __slots__ = ()

    def __init__(self, turnstile: _Turnstile, name: str | None) -> None:
        super().__init__(turnstile, name)
        turnstile.readers = self.readers
        turnstile.passage = weakref.ref(self)

    def pass_over_the_gone(self) -> None:
        super().pass_over_the_gone()
        self.turnstile.pass_over_the_gone()

    async def read_in_turn(
        self,
        me: Hashable,
        timeout: float | None,
        enter: Callable[[float | None], Awaitable[bool]],
    ) -> bool:
        # Whoever lets it in has noted it.
        return self.try_read(me) or (timeout != 0 and await enter(timeout))

    def check_loop(self, loop: Any) -> None:
        for reader in self.readers.actors():
            if _parking.loop_of(reader) not in {None, loop}:
                raise WrongEventLoop(
                    "is used by tasks of another event loop at this moment",
                    "share make_rwlock('thread') between event loops",
                    self.name,
                )

    def leave_read(self, me: Hashable) -> None:
        """Read no more.

        Raises:
            LockNotHeldError: Nobody reads.
        """
        try:
            self.readers.pop(me)
        except NobodyInside:
            raise LockNotHeldError(self.name) from None
        if self.arriving:
            self.wake()

    def leave_write(self, me: Hashable) -> None:
        """Write no more.

        Raises:
            LockNotHeldError: Nobody writes.
        """
        try:
            way_out = self.writer.pop(me)
        except NobodyInside:
            raise LockNotHeldError(self.name) from None
        way_out(None, None, None)


class _Side(AsyncBase):
    """What both sides share."""

    __slots__ = ("_passage",)

    _factory = "make_rwlock"

    def __init__(self, passage: _AsyncPassage, *, fast_acquire: bool) -> None:
        super().__init__(passage.name, fast_acquire=fast_acquire)
        self._passage = passage

    def locked(self) -> bool:
        """Say whether anybody is inside of this side at this moment."""
        raise NotImplementedError

    def _leave(self, me: Hashable) -> None:
        raise NotImplementedError

    def release(self) -> None:
        """Leave, or let somebody else leave who has entered; never a checkpoint.

        Raises:
            LockNotHeldError: Nobody is inside of this side.
        """
        self._run_in_loop(partial(self._leave, here()))

    def _way(self, actor: Any) -> tuple[Hashable, Callable[..., Any]]:
        """Return the actor's key, and its way into the turnstile."""
        if actor is None:
            actor = _parking.current_actor()
        enter = self._passage.turnstile._enter_task_within  # noqa: SLF001 - ours
        return key_of(actor), partial(enter, actor=actor)

    def __repr__(self) -> str:
        label = "" if self._name is None else f" name={self._name!r}"
        which = type(self).__name__[len("Async") : -len("Side")].lower()
        state = "locked" if self.locked() else "unlocked"
        return f"<anylock.AsyncRWLock.{which} object at {id(self):#x}{label} [{state}]>"

    def __reduce__(self) -> NoReturn:
        raise _unpicklable()


class AsyncReadSide(_Side):
    """The side of an `AsyncRWLock` that many are inside of at the same time."""

    __slots__ = ()

    async def __aenter__(self) -> None:
        """Wait until nobody writes, or waits to write, and read.

        A task that reads already does not wait.

        Raises:
            WouldDeadlock: The running task writes.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        passage = self._passage
        me, keys = here(), passage.readers.keys
        if (
            passage.turnstile._owner is None  # noqa: SLF001 - ours
            and me not in keys
            and (_parking.trio_lowlevel is None or _parking.sniffed.name != "trio")
        ):
            keys[me] = this_thread.marker, None
        else:
            await self._enter_task_within(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave; never a checkpoint."""
        passage = self._passage
        me, keys = here(), passage.readers.keys
        if me in keys and (me, 1) not in keys and not passage.arriving:
            del keys[me]
        else:
            passage.leave_read(me)

    def locked(self) -> bool:
        """Say whether anybody reads at this moment."""
        return self._passage.is_read()

    def _leave(self, me: Hashable) -> None:
        self._passage.leave_read(me)

    def _take(self, actor: Any) -> bool:
        passage, me = self._passage, key_of(actor)
        if passage.try_read(me):
            return True
        passage.pass_over_the_gone()
        return passage.try_read(me)

    async def _enter_task_within(
        self, timeout: float | None, actor: Any = None
    ) -> bool:
        checkpoint = _parking.in_trio() and not self._fast_acquire
        if actor is None:
            actor = _parking.current_actor()

        async def enter(timeout: float | None) -> bool:
            turnstile: _Turnstile = self._passage.turnstile
            return await turnstile.wait_to_read(actor, me, timeout)

        me = key_of(actor)
        return await self._passage.read_in_task(
            me, timeout, enter, checkpoint=checkpoint
        )


class AsyncWriteSide(_Side):
    """The side of an `AsyncRWLock` that one is inside of, while nobody reads."""

    __slots__ = ()

    async def __aenter__(self) -> None:
        """Wait until nobody is inside, and write.

        Raises:
            WouldDeadlock: The running task is inside itself, to read or to write.
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        passage = self._passage
        turnstile, me = passage.turnstile, here()
        if (
            turnstile._owner is None  # noqa: SLF001 - ours
            and not passage.readers.keys
            and (_parking.trio_lowlevel is None or _parking.sniffed.name != "trio")
        ):
            turnstile._owner = me  # noqa: SLF001
            passage.writer.keys[me] = this_thread.marker, passage.leave_turnstile
        else:
            await self._enter_task_within(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave; never a checkpoint."""
        self._passage.leave_write(here())

    def locked(self) -> bool:
        """Say whether anybody writes at this moment, or is about to."""
        return self._passage.is_written()

    def _leave(self, me: Hashable) -> None:
        self._passage.leave_write(me)

    def _take(self, actor: Any) -> bool:
        passage = self._passage
        passage.pass_over_the_gone()
        if passage.readers or not passage.turnstile._take(actor):  # noqa: SLF001 - ours
            return False
        passage.writer.add(key_of(actor), passage.leave_turnstile)
        return True

    async def _enter_task_within(
        self, timeout: float | None, actor: Any = None
    ) -> bool:
        me, enter = self._way(actor)
        return await self._passage.write_in_task(me, timeout, enter)


def _unpicklable() -> TypeError:
    return TypeError(
        "cannot pickle an AsyncRWLock: it is of one event loop; between processes use "
        "make_rwlock('machine')"
    )
