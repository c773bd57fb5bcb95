"""What `AsyncLock` and `AsyncRLock` share: one owner at a time."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._async._base import AsyncBase, would_deadlock
from anylock._errors import LockNotHeldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter


_PASSED_ON = object()
"""Stands for the owner while the lock goes from somebody who is gone to the next."""


class AsyncOwned(AsyncBase):
    """A lock of one owner."""

    __slots__ = ("_owner",)

    def __init__(self, name: str | None = None, *, fast_acquire: bool = False) -> None:
        super().__init__(name, fast_acquire=fast_acquire)
        # An actor of _parking, or a waiter that was granted the lock and has not run
        # yet; None while the lock is free.
        self._owner: Any = None

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        return self._owner is not None

    def _take(self, actor: Any) -> bool:
        if self._owner is not None:
            self._pass_over_the_gone()
            if self._owner is not None:
                return False
        self._owner = actor
        return True

    def _check(
        self, waiter: AsyncioWaiter | TrioWaiter, actor: Any, timeout: float | None
    ) -> None:
        owner = self._owner
        # What `same_actor` says, without a call: this runs for each who has to wait.
        if timeout is None and (
            owner is actor or (type(owner) is dict and owner == actor)
        ):
            raise would_deadlock(actor, self._name)
        if owner is None:  # a signal handler released it meanwhile
            self._pass_on()
            return
        if isinstance(owner, _parking.Waiter):
            # The loop runs, so the owner is not gone; and whoever came between the two
            # was refused if it was of another loop.
            if owner.loop is waiter.loop:
                return
            if owner.lost_its_loop():
                self._pass_over_the_gone()
                return
        self._check_loop(waiter, owner)

    def _promise(self, waiter: Waiter) -> None:
        self._owner = waiter

    def _accept(self, waiter: Waiter, actor: Any) -> None:  # noqa: ARG002 - only one
        self._owner = actor

    def _refuse(self, waiter: Waiter) -> None:  # noqa: ARG002 - there is only one
        self._pass_on()

    def _forget(self, waiter: Waiter) -> bool:
        if self._owner is not waiter:
            return False
        # Not free: whoever is promised it next takes the place.
        self._owner = _PASSED_ON
        return True

    def _keep(self) -> None:
        self._owner = None

    def _undo(self) -> None:
        self._pass_on()

    def _pass_over_the_gone(self) -> None:
        owner = self._owner
        if (
            isinstance(owner, _parking.Waiter)
            and owner.lost_its_loop()
            and self._forget(owner)
        ):
            owner.granted = False
            self._pass_on()

    # What conditions need.

    def _held(self) -> bool:
        """Say whether the caller may wait and notify on a condition of this lock."""
        raise NotImplementedError

    def _require_held(self) -> None:
        if not self._held():
            raise LockNotHeldError(self._name)

    def _kept(self) -> Any:
        """Return what `_restore` needs to make the lock its owner's as it is now."""
        return self._owner

    def _restore(self, kept: Any) -> None:
        self._owner = kept

    def _give_up(self) -> Any:
        """Release the lock, however often its owner has entered it."""
        self._require_held()
        kept = self._kept()
        self._pass_on()
        return kept

    async def _take_back(self, kept: Any) -> None:
        # No checkpoint: to wait for the notification was one.
        actor = _parking.current_actor()
        if not self._take(actor):
            await self._wait(_parking.new_waiter(), actor, None)
        self._restore(kept)

    def _close(self, kept: Any) -> None:
        """Take the lock back in a task that is closed, and cannot wait for it.

        All that such a task does before its end is to release the lock. If that is
        somebody else's by now, it must not lose it by this.
        """
        if self._owner is not None:
            if self._waiters is None:
                self._waiters = OrderedDict()
            host = Host(partial(self._restore, self._kept()))
            self._waiters[host] = None
            self._waiters.move_to_end(host, last=False)
        self._restore(kept)
        self._owner = _parking.current_actor()


class Host(_parking.Waiter):
    """The owner of a lock, while a task that is closed is its guest.

    It waits in front of all others, and has the lock again when its guest has left.
    """

    __slots__ = ("_restore", "loop")

    def __init__(self, restore: Callable[[], None]) -> None:
        self._restore = restore
        self.loop = None

    def grant(self) -> bool:
        """Give the lock back to its owner."""
        self._restore()
        return True
