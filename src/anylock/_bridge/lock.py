"""The bridge of a lock: one at a time has it, and may be a task that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._blocking import BlockedThread
from anylock._bridge import base
from anylock._bridge.base import Bridge
from anylock._errors import WouldDeadlock
from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable


class Holder:
    """A task that holds the lock and never had to wait for it."""

    __slots__ = ("actor", "thread")
    resumed = True

    def __init__(self) -> None:
        self.actor: Any = _parking.current_actor()
        self.thread = this_thread.marker


class LockBridge(Bridge):
    """Where tasks wait for a lock."""

    __slots__ = ("holder",)

    def __init__(
        self, acquire: Callable[..., bool], release: Callable[[], None]
    ) -> None:
        super().__init__(acquire, release)
        self.holder: Holder | Waiter | None = None
        """The task that holds the lock or was granted it; changed only by who has
        the inner lock."""

    def inherit(self, old: Any) -> None:
        """Take over from the bridge of the process that forked this one."""
        holder = old.holder
        if holder is None or holder.thread is not base.forking:
            return
        if holder.resumed:
            # A new one, because asyncio denies in the child that its loop runs.
            self.holder = Holder()
            self.holder.thread = base.forking
        else:
            self._release()  # the grant is the parent's

    def take(self) -> bool:
        """Take the lock for the running task if nobody has it or waits for it."""
        if self._queue or not self._acquire(False):
            return False
        self._tenure_ends = None
        self.holder = Holder()
        return True

    def leave(self) -> bool:
        """Release the lock that a task holds; False if none does."""
        holder = self.holder
        if holder is None or not holder.resumed:  # granted is not held yet
            return False
        self.give_up()
        return True

    def give_up(self) -> None:
        """Release the lock that a task holds, whoever calls."""
        self.holder = None  # at once: the step may run in another thread, later
        self.dispose()

    def _in_use(self) -> bool:
        return self.holder is not None

    def _refuse_deadlock(self, name: str | None) -> None:
        holder = self.holder
        if (
            holder is not None
            and holder.resumed
            and _parking.same_actor(holder.actor, _parking.current_actor())
        ):
            raise WouldDeadlock("this task holds it", "release it first", name)

    def _held_here(self, timeout: float | None, name: str | None) -> bool:
        # A task of this thread holds the lock or it does not: only this thread can
        # change that, so the answer stays true.
        holder = self.holder
        if (
            holder is None
            or holder.thread is not this_thread.marker
            or not holder.resumed
        ):
            return False
        if timeout is None and not _parking.runs_elsewhere(holder.actor):
            reason = "a task of this thread's event loop holds it"
            raise WouldDeadlock(reason, "use 'async with' in tasks", name)
        return True

    def _lost(self) -> Waiter | None:
        holder = self.holder
        if isinstance(holder, Waiter) and holder.lost_its_loop():
            return holder
        return None

    def _take_back(self, blocked: BlockedThread) -> Waiter | None:
        holder = self.holder
        if (
            isinstance(holder, AsyncioWaiter | TrioWaiter)
            and not holder.resumed
            and blocked.keeps_from_running(holder)
        ):
            holder.granted = False
            return holder
        return None

    def _entrust(self, waiter: Waiter) -> None:
        self.holder = None if isinstance(waiter, BlockedThread) else waiter

    def _distrust(self, waiter: Waiter) -> None:
        if self.holder is waiter:
            self.holder = None

    def _serve(self) -> None:
        lost = self._lost()
        if lost is not None:
            lost.granted = False  # its event loop was closed before it could run
            self._distrust(lost)
            self._grant()
            return
        if self._queue and not self._helping and self.holder is None:
            self._fetch()

    def _fetch(self) -> None:
        """Get the inner lock for those who wait."""
        if self._acquire(False):
            self._tenure_ends = None
            self._grant()
        else:
            self._summon_helper()
