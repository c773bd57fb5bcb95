"""The bridge of a re-entrant lock, which belongs to the thread that took it.

Tasks can have such a lock only through a thread. A task that finds it free has it
through its own thread, that of the event loop. To those who had to wait the helper
*lends* it: it keeps the inner lock while it goes from one to the next, until one of
them gives it back. In both cases the bridge knows the holder, and who else runs in
that thread is told from it.

A thread has such a lock always itself, as the C methods know it. A loop's thread that
blocks in the queue is therefore not lent the lock but *elected*: the inner lock is
released, the thread takes it, and until then nobody in the queue is granted anything.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._blocking import BlockedThread, acquired
from anylock._bridge import base
from anylock._bridge.loans import ABANDONED, Lent, Loan
from anylock._bridge.lock import Holder, LockBridge
from anylock._bridge.queue import SLICE
from anylock._errors import WouldDeadlock
from anylock._parking import ThreadMarker, Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable


class Forker(threading.local):
    """Who is about to fork in this thread, and not only which thread."""

    actor: Any = None


_forker = Forker()


def _note_forker() -> None:
    _forker.actor = _parking.current_actor()


def _forget_forker() -> None:
    _forker.actor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_note_forker, after_in_parent=_forget_forker)


def _slice(deadline: float | None) -> float:
    """Return for how long to wait at once."""
    return SLICE if deadline is None else max(0.0, min(deadline - monotonic(), SLICE))


class RLockBridge(LockBridge):
    """Where tasks wait for a re-entrant lock.

    Args:
        acquire: The inner lock's C method.
        owned: Says whether the inner lock belongs to the running thread.
        lent: Releases it.
        reset: Unlocks it in a forked child; None if it is shared with the parent.
    """

    __slots__ = ("_elected", "_lent", "_owned", "_reset", "depth")

    def __init__(
        self,
        acquire: Callable[..., bool],
        owned: Callable[[], bool],
        lent: Lent,
        reset: Callable[[], None] | None,
    ) -> None:
        super().__init__(acquire, lent.release)
        self._owned = owned
        self._lent = lent
        self._reset = reset
        self._elected: BlockedThread | None = None
        """The thread that is to take the inner lock; changed only in steps."""
        self.depth = 0
        """How often the holder has entered again; changed only by the holder."""

    # Who holds it.

    def held_by_me(self) -> bool:
        """Say whether the running task is the holder."""
        holder = self.holder
        return (
            holder is not None
            and holder.resumed
            and _parking.same_actor(holder.actor, _parking.current_actor())
        )

    def held_by_thread(self) -> bool:
        """Say whether this thread itself has the lock, and none of its tasks."""
        # What a task has is the inner lock of its thread, of the helper (in which
        # finalizers run as well), or of a dead thread, whose ident this one may have.
        return self._lent.by is None and self._owned()

    def abandon(self) -> bool:
        """Note that the thread that held it has ended; False if a task holds it."""
        if self._lent.by is None:
            self._lent.by = ABANDONED
        return self._lent.by is ABANDONED

    def _refuse_the_abandoned(self, name: str | None) -> None:
        if self._lent.by is ABANDONED:
            advice = "leave it in the thread that entered it, by 'with'"
            raise WouldDeadlock(ABANDONED, advice, name)

    def spoken_for(self) -> bool:
        """Say whether somebody who waits is the next to have it if it is free."""
        return bool(self._queue) or self._elected is not None

    def _in_use(self) -> bool:
        return self._elected is not None or super()._in_use()

    def enter_again(self) -> bool:
        """Enter once more, if the running task is the holder."""
        if not self.held_by_me():
            return False
        self.depth += 1
        return True

    # What tasks do.

    def take(self) -> bool:
        """Take the lock for the running task if nobody has it or waits for it."""
        # What its thread holds by `with` is not the task's.
        if self.spoken_for() or self._owned() or not self._acquire(False):
            return False
        self._lent.by = this_thread.marker
        self._tenure_ends = None
        self.holder = Holder()
        return True

    def take_or_enter(self) -> bool:
        """Take the lock for the running task as by `take`, or enter it again."""
        if self.enter_again():
            return True
        if self.held_by_thread():
            return self._acquire(False)
        self._pass_over_the_gone()
        return self.take()

    def take_without_checkpoint(self) -> bool:
        """Enter again, or take the lock, unless a checkpoint is due first."""
        if _parking.in_trio():
            return False
        return self.enter_again() or self.take()

    async def enter(
        self,
        go_careful: Callable[[base.Bridge], None],
        timeout: float | None,
        name: str | None,
    ) -> bool:
        """Enter again, or wait until the lock belongs to the running task."""
        if not self.held_by_me():
            return await super().enter(go_careful, timeout, name)
        if not _parking.in_trio():
            self.depth += 1
            return True
        await _parking.trio_lowlevel.checkpoint_if_cancelled()
        self.depth += 1
        try:
            await _parking.trio_lowlevel.cancel_shielded_checkpoint()
        except BaseException:  # closed with its loop: nothing else gets in
            self.depth -= 1
            raise
        return True

    def leave(self) -> bool:
        """Leave once; False if the running task is not the holder."""
        if not self.held_by_me():
            return False
        if self.depth:
            self.depth -= 1
        else:
            self.give_up()
        return True

    def give_up(self) -> None:
        """Release the lock that the holder has, whatever its depth."""
        self.holder = None
        self.depth = 0
        if isinstance(self._lent.by, Loan):
            self.dispose()
            return
        # It is this thread's, and cannot be handed on.
        self._tenure_ends = None
        try:
            self._release()
        finally:
            if self._queue or self._mail:
                self._do(self._serve)

    def adopt(self, depth: int) -> None:
        """Make the running task the holder of what its thread has just taken."""
        self._lent.by = this_thread.marker
        self.holder = Holder()
        self.depth = depth

    def _refuse_deadlock(self, name: str | None) -> None:
        self._refuse_the_abandoned(name)
        if self.held_by_thread():
            reason = "this thread holds it by 'with'"
            raise WouldDeadlock(reason, "use 'async with' in tasks", name)

    # What threads do.

    def try_block(self) -> bool:
        """Enter again, or take the lock for this thread if it is to be had."""
        if self.enter_again():
            return True
        if self.held_by_thread():
            return self._acquire(False)
        self._pass_over_the_gone()
        # The inner lock would be entered again by who it takes for its owner; and who
        # is queued is not overtaken while the helper has yet to reach the turnstile.
        return not (self._owned() or self.spoken_for()) and super().try_block()

    def block(self, timeout: float | None, name: str | None) -> bool:
        """Enter again, or block this thread until the lock is its own."""
        if self.enter_again():
            return True
        if self.held_by_thread():
            return self._acquire()
        if timeout is None:
            self._refuse_the_abandoned(name)
        deadline = None if timeout is None else monotonic() + timeout
        had = self._acquire_amid_election(deadline)
        if had is not None:
            return had
        if deadline is not None:
            timeout = max(0.0, deadline - monotonic())
        if not self._owned():
            return super().block(timeout, name)
        # A task has it, most likely through this thread: to acquire the inner lock
        # would be to enter it again.
        self._held_here(timeout, name)
        if not self._amid_steps():
            return self._block_loop_thread(timeout)
        if timeout is None:
            reason = "this thread is just about to hand it on"
            raise WouldDeadlock(reason, "use try_acquire() in finalizers", name)
        return False

    def _take_up(self, blocked: BlockedThread, deadline: float | None) -> bool:
        try:
            had = self._acquire_in_turn(deadline)
            if had:
                self._do(partial(self._withdraw, blocked))
        except BaseException:
            if self.held_by_thread():
                self._release()
            raise
        return had

    def _acquire_amid_election(self, deadline: float | None) -> bool | None:
        # We are a signal handler or a finalizer above the frame that is about to take
        # the lock, which may have the turnstile. Or that frame is gone, and another
        # thread about to end the election. Then a task of this thread may have adopted
        # the lock, or it is lent to one as soon as that is done: hence the slices.
        me = this_thread.marker
        while (elected := self._elected) and elected.thread is me and not self._owned():
            if acquired(self._acquire, self._release, _slice(deadline)):
                return True
            if deadline is not None and monotonic() >= deadline:
                return False
        return None

    def _acquire_in_turn(self, deadline: float | None) -> bool:
        # As the helper does: nobody who comes later gets in front of it.
        turnstile = self._turnstile
        while True:
            if acquired(turnstile.acquire, turnstile.release, _slice(deadline)):
                try:
                    if acquired(self._acquire, self._release, _slice(deadline)):
                        return True
                finally:
                    turnstile.release()
            if deadline is not None and monotonic() >= deadline:
                return False

    # The steps.

    def _entrust(self, waiter: Waiter) -> None:
        super()._entrust(waiter)
        if isinstance(waiter, BlockedThread):
            self._elected = waiter

    def _distrust(self, waiter: Waiter) -> None:
        if self._elected is waiter:
            self._elected = None
        super()._distrust(waiter)

    def _grant(self, thread: ThreadMarker | None = None) -> None:
        if self._elected is None:
            super()._grant(thread)
        else:
            self._release()

    def _give(self, waiter: Waiter) -> bool:
        if waiter is not self._elected:
            return waiter.grant()
        try:
            self._release()
        finally:
            waiter.grant()
        return True

    def _withdraw(self, waiter: Waiter) -> None:
        if waiter.granted and isinstance(waiter, BlockedThread):
            self._distrust(waiter)
            self._serve()
        else:
            super()._withdraw(waiter)

    def _fetch(self) -> None:
        # The helper may have the ident of the thread that ended.
        if self._elected is None and self._lent.by is not ABANDONED:
            self._summon_helper()

    def _help(self) -> None:
        acquired = self._wait_for_the_queue()
        if not acquired:
            self._do(partial(self._helped, False))
            return
        loan = self._lent.by = Loan()
        self._do(partial(self._helped, True))
        loan.due.acquire()
        self._lent.release_here()
        loan.returned.release()

    # Forks.

    def forked(self) -> None:
        """Have the forking thread itself hold what the helper held for its task."""
        if self._reset is None:
            return
        holder = self.holder
        if holder is not None and holder.thread is not base.forking:
            return
        if isinstance(self._lent.by, Loan):
            self._reset()
            self._lent.by = None
            if holder is not None and holder.resumed:
                self._acquire()
                self._lent.by = base.forking
        if holder is not None:
            forks = _parking.same_actor(holder.actor, _forker.actor)
            # Anew, because asyncio denies in the child that its loop runs; and another
            # task than the one that forks never runs there.
            holder.actor = _parking.current_actor() if forks else None

    def forget(self) -> None:
        """Know of no holder, in a forked child where the inner lock was unlocked."""
        self.holder = self._lent.by = None

    def inherit(self, old: Any) -> None:
        """Take over from the bridge of the process that forked this one."""
        holder: Any = old.holder
        if holder is not None and holder.resumed and holder.thread is base.forking:
            self.holder = holder
            self.depth = old.depth
            self._lent.by = old._lent.by  # noqa: SLF001 - of this class
