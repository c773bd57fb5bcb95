"""`AsyncLock`: a lock for the tasks of one event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock import _parking
from anylock._async._owned import AsyncOwned
from anylock._errors import LockNotHeldError
from anylock._parking import ACTORS_ARE_SNAPSHOTS, asyncio_actor

if TYPE_CHECKING:
    from types import TracebackType


class AsyncLock(AsyncOwned):
    """A lock for the tasks of one event loop, of asyncio or trio.

    A drop-in for `asyncio.Lock()`, and for what `trio.Lock` and `anyio.Lock` have
    in common with it. It is not bound to a loop: several loops may use it one
    after the other, those of asyncio and trio in turn. First come, first served.
    Unlike `asyncio.Lock`, a task that waits for what it holds itself gets an error.
    As there, any task may release what another one acquired.

    Like it, this is a lock of one thread, that of the event loop. Worker threads of
    `anyio.to_thread.run_sync` may use `with lock:`; they wait outside of the loop.
    A task that finds the lock used by another event loop gets an error: that is what
    the kind "thread" is for.

    On trio every acquire is a checkpoint; on asyncio it is one if it has to wait.

    Args:
        name: A label for reprs and errors.
        fast_acquire: On trio, do not make a checkpoint of an acquire that need not
            wait. Then a loop that only takes free locks starves all other tasks.

    Raises:
        TypeError: `name` is not a string.
    """

    __slots__ = ()

    _factory = "make_lock"

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        # Of its own, so that a wrong argument is told with the name of this class.
        super().__init__(name, fast_acquire=fast_acquire)

    async def __aenter__(self) -> None:
        """Wait for the lock and take it.

        Raises:
            WouldDeadlock: The running task holds it.
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
        # No call from here to the taking: on builds with a GIL, from 3.11 on, not
        # even two event loops that contend against the rules get in together.
        if actor and self._owner is None:
            self._owner = actor
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
        """Release the lock; never a checkpoint."""
        if self._waiters:
            self._pass_on()
        elif self._owner is None:
            raise LockNotHeldError(self._name)
        else:
            self._owner = None

    def release(self) -> None:
        """Release the lock: hand it to the task that waits longest.

        Never a checkpoint. Any task of the event loop may call it.

        Raises:
            LockNotHeldError: Nobody holds it.
        """
        owner = self._owner
        if type(owner) is _parking.ThreadMarker:
            self._run_in_loop(self._pass_on)
        elif isinstance(owner, _parking.Waiter) and not owner.resumed:
            raise LockNotHeldError(self._name)  # granted, but not held yet
        elif owner is None:
            raise LockNotHeldError(self._name)
        elif self._waiters:
            self._pass_on()
        else:
            self._owner = None

    def _held(self) -> bool:
        # By whom does not matter, as in release and in `asyncio.Condition`.
        owner = self._owner
        return owner is not None and not isinstance(owner, _parking.Waiter)

    def _state(self) -> str:
        return "unlocked" if self._owner is None else "locked"
