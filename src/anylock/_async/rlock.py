"""`AsyncRLock`: a re-entrant lock for the tasks of one event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._async._owned import AsyncOwned
from anylock._errors import LockNotHeldError
from anylock._parking import ACTORS_ARE_SNAPSHOTS, asyncio_actor

if TYPE_CHECKING:
    from types import TracebackType


class AsyncRLock(AsyncOwned):
    """A re-entrant lock for the tasks of one event loop, of asyncio or trio.

    A task that holds it may enter it again, and has to leave as often. Neither
    asyncio nor trio nor anyio has such a lock; what `threading.RLock` is for threads,
    this one is for tasks. First come, first served. It is not bound to a loop:
    several loops may use it one after the other.

    It belongs to the task that entered by `async with`, and only this one can release
    it: not its child tasks, nor a callback. So `asyncio.wait_for(lock.acquire(), 1)`
    is of no use up to Python 3.11, where it acquires in a task of its own: write
    `lock.acquire(timeout=1)`, or `async with lock.hold(1)`.

    Inside of `async with` the same task may use `with` as well. Worker threads of
    `anyio.to_thread.run_sync` may use `with lock:` too; then it belongs to the thread,
    and a task that waits for such a thread while it holds the lock waits for ever.
    It is no lock between event loops: that is what the kind "thread" is for.

    On trio every acquire is a checkpoint, also one by who holds it already; on asyncio
    it is one if it has to wait.

    Args:
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait. Then a loop that only takes free locks starves all other tasks.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = ("_reentries",)

    _factory = "make_rlock"

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        super().__init__(name, fast_acquire=fast_acquire)
        # How often the owner has entered again; 0 while the lock is free or granted.
        self._reentries = 0

    async def __aenter__(self) -> None:
        """Wait for the lock and take it, or enter it again.

        Raises:
            WrongEventLoop: Tasks of another event loop use it at this moment.
        """
        if _parking.trio_lowlevel and _parking.sniffed.name == "trio":
            await self._enter_task_within(None)
            return
        try:
            actor = asyncio_actor()
            if ACTORS_ARE_SNAPSHOTS and len(actor) > 1:
                actor = _parking.only_here(actor)
        except RuntimeError:  # no asyncio here
            actor = None
        owner = self._owner
        # No call from here to the taking, as in AsyncLock.
        if actor and owner is None:
            self._owner = actor
        elif actor and (owner is actor or (ACTORS_ARE_SNAPSHOTS and owner == actor)):
            self._reentries += 1
        elif actor:
            await self._wait(_parking.AsyncioWaiter(), actor, None)
        else:
            await self._enter_task_within(None)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave the lock once; never a checkpoint.

        Raises:
            LockNotHeldError: The running task does not hold it.
        """
        if _parking.trio_lowlevel and _parking.sniffed.name == "trio":
            self.release()
            return
        try:
            actor = asyncio_actor()
        except RuntimeError:  # no asyncio here
            actor = None
        owner = self._owner
        if actor and (owner is actor or (ACTORS_ARE_SNAPSHOTS and owner == actor)):
            if self._reentries:
                self._reentries -= 1
            elif self._waiters:
                self._pass_on()
            else:
                self._owner = None
        else:
            self.release()  # or several loops run, and the snapshot shows them all

    def release(self) -> None:
        """Leave the lock once; when that was the last time, hand it on.

        It goes to the task that waits longest. Never a checkpoint.

        Raises:
            LockNotHeldError: The caller does not hold it: nobody does, or another
                task or thread.
        """
        owner = self._owner
        if not _parking.same_actor(owner, _parking.current_actor()):
            raise LockNotHeldError(self._name)
        if type(owner) is _parking.ThreadMarker:
            self._run_in_loop(self._undo)
        elif self._reentries:
            self._reentries -= 1
        elif self._waiters:
            self._pass_on()
        else:
            self._owner = None

    def _enter_within(self, timeout: float | None) -> bool:
        # Who holds it need not wait: not even a task, which would stop its loop.
        if self._held():
            self._reentries += 1
            return True
        return super()._enter_within(timeout)

    def _take(self, actor: Any) -> bool:
        if _parking.same_actor(self._owner, actor):
            self._reentries += 1
            return True
        return super()._take(actor)

    def _undo(self) -> None:
        if self._reentries:
            self._reentries -= 1
        else:
            self._pass_on()

    def _held(self) -> bool:
        return _parking.same_actor(self._owner, _parking.current_actor())

    def _kept(self) -> tuple[Any, int]:
        return self._owner, self._reentries

    def _restore(self, kept: tuple[Any, int]) -> None:
        self._owner, self._reentries = kept

    def _give_up(self) -> tuple[Any, int]:
        self._require_held()
        kept = self._kept()
        self._reentries = 0
        self._pass_on()
        return kept

    def _state(self) -> str:
        if self._owner is None:
            return "unlocked"
        return f"locked, depth:{self._reentries + 1}" if self._reentries else "locked"
