"""What all bridges share: what tasks do with one, and threads beside them."""

from __future__ import annotations

import _thread
import os
import weakref
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._blocking import BlockedThread, acquired
from anylock._bridge.queue import Waiting
from anylock._parking import Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_bridges: weakref.WeakSet[Bridge] = weakref.WeakSet()

forking: Any = None
"""In a forked child, the marker of the thread that forked: the only one there is."""


def _disown_in_child() -> None:
    global forking  # noqa: PLW0603 - one per process is the meaning
    forking = this_thread.marker
    for bridge in _bridges:
        bridge.of_this_process = False
        bridge.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_in_child)


class Bridge(Waiting):
    """Where tasks wait for one lock; a subclass knows who holds it.

    Args:
        acquire: The inner lock's C method; called as `acquire()`,
            `acquire(False)` and `acquire(True, seconds)`.
        release: The inner lock's C method.
    """

    __slots__ = ("__weakref__", "careful", "of_this_process", "switching")

    def __init__(
        self, acquire: Callable[..., bool], release: Callable[[], None]
    ) -> None:
        super().__init__(acquire, release)
        self.of_this_process = True
        """False in a forked child, where the waiters and the helper are missing."""
        _bridges.add(self)
        self.switching = _thread.RLock()
        """Held while the lock's native slots are exchanged."""
        self.careful = False
        """Whether the slots hold the careful methods; see `switching`."""

    @property
    def busy(self) -> bool:
        """Whether a task holds the lock, was granted it, or waits for it.

        It does not say no while a waiter moves from one of these to another: that is
        done by steps, and a step is in the mailbox until it has been counted.
        """
        steps = self._steps
        return (
            self._in_use()
            or bool(self._queue)
            or bool(self._mail)
            or steps != self._steps
        )

    # What a subclass knows.

    def forked(self) -> None:
        """Look to what the forking thread has, in a forked child, in that thread."""

    def inherit(self, old: Any) -> None:
        """Take over from the bridge of the process that forked this one."""
        raise NotImplementedError

    def _in_use(self) -> bool:
        """Say whether a task holds the lock, or was granted it."""
        raise NotImplementedError

    def _refuse_deadlock(self, name: str | None) -> None:
        """Raise `WouldDeadlock` if the running task holds the lock itself."""
        raise NotImplementedError

    def _held_here(self, timeout: float | None, name: str | None) -> bool:
        """Say whether tasks of this very thread hold the lock.

        Raises:
            WouldDeadlock: They do, and to wait for them here would never end.
        """
        raise NotImplementedError

    def _accepted(self, waiter: Waiter) -> None:
        """Note that the waiter runs again, in its own thread."""

    # What tasks do.

    def take(self) -> bool:
        """Take the lock for the running task if nobody has it or waits for it."""
        raise NotImplementedError

    def leave(self) -> bool:
        """Release the lock that a task holds; False if the caller may not."""
        raise NotImplementedError

    def give_up(self) -> None:
        """Release the lock that a task holds, whoever calls."""
        raise NotImplementedError

    def take_without_checkpoint(self) -> bool:
        """Take the lock as `take` does, unless a checkpoint is due first."""
        return not _parking.in_trio() and self.take()

    async def enter(
        self,
        go_careful: Callable[[Bridge], None],
        timeout: float | None,
        name: str | None,
    ) -> bool:
        """Wait until the lock belongs to the running task.

        Args:
            go_careful: Called once the task holds the lock or is in the queue.
            timeout: Seconds; None waits for ever, 0 tries once.
            name: The lock's name, for errors.

        Returns:
            Whether the lock was had in time.

        Raises:
            WouldDeadlock: The running task holds the lock itself.
        """
        in_trio = _parking.in_trio()
        if in_trio:
            await _parking.trio_lowlevel.checkpoint_if_cancelled()
        if self.take():
            go_careful(self)
            if in_trio:
                try:
                    await _parking.trio_lowlevel.cancel_shielded_checkpoint()
                except BaseException:  # closed with its loop: nothing else gets in
                    self.give_up()
                    raise
            return True
        if timeout != 0:
            return await self._wait(go_careful, timeout, name)
        if in_trio:
            await _parking.trio_lowlevel.cancel_shielded_checkpoint()
        return False

    async def _wait(
        self,
        go_careful: Callable[[Bridge], None],
        timeout: float | None,
        name: str | None,
    ) -> bool:
        waiter = _parking.new_waiter()
        if timeout is None:
            self._refuse_deadlock(name)
        waiter.thread.parks_tasks = True
        waiter.lost = self._pass_over_the_gone
        try:
            self._do(partial(self._enqueue, waiter))
            go_careful(self)
            if await waiter.wait(timeout):
                self._accepted(waiter)
                return True
        except BaseException:
            # Cancelled, or closed by the garbage collector with its loop.
            self._do(partial(self._withdraw, waiter))
            raise
        self._do(partial(self._withdraw, waiter))
        return False

    def dispose(self) -> None:
        """Hand on the inner lock, which is the caller's, or give it up."""
        if self._queue or self._mail:
            self._do(partial(self._pass_on, this_thread.marker))
            return
        try:
            self._release()
        finally:
            # Who queued since we looked may have seen us hold it, and relies on us.
            if self._queue or self._mail:
                self._do(self._serve)

    # What threads do while tasks hold or wait.

    def try_block(self) -> bool:
        """Take the lock for this thread if nobody has it or is to get it first."""
        self._pass_over_the_gone()
        if self._queue or not self._turnstile.acquire(False):
            return False
        self._turnstile.release()
        return self._acquire(False)

    def block(self, timeout: float | None, name: str | None) -> bool:
        """Block this thread until the lock is its own.

        Args:
            timeout: Seconds, or None for ever.
            name: The lock's name, for errors.

        Returns:
            Whether the lock was had in time.

        Raises:
            WouldDeadlock: A task of this very thread holds the lock.
        """
        return self.block_while(timeout, name, None)

    def block_while(
        self,
        timeout: float | None,
        name: str | None,
        awaited: Callable[[], bool] | None,
    ) -> bool:
        """Block as `block` does.

        Args:
            timeout: Seconds, or None for ever.
            name: The lock's name, for errors.
            awaited: Asked now and then whether to wait on, where tasks of this thread
                may wait as well.
        """
        if self._lost() is not None:
            self._pass_over_the_gone_elsewhere()
        if (
            not self._held_here(timeout, name)
            and this_thread.marker.parks_tasks
            and not self._amid_steps()
        ):
            return self._block_loop_thread(timeout, awaited)
        return self._block_politely(timeout)

    def _pass_over_the_gone(self) -> None:
        if self._lost() is not None:
            self._do(self._serve)

    def _pass_over_the_gone_elsewhere(self) -> None:
        # A signal handler that raises amid a step can lose the lock. No handler runs in
        # a thread of its own; that of an event loop is not promised so much.
        if not this_thread.marker.parks_tasks:
            try:
                _thread.start_new_thread(self._pass_over_the_gone, ())
            except RuntimeError:  # no more threads, or the interpreter ends
                pass
            else:
                return
        self._pass_over_the_gone()

    def _block_loop_thread(
        self, timeout: float | None, awaited: Callable[[], bool] | None = None
    ) -> bool:
        # Tasks of this thread may be queued or granted, and none of them can run
        # while we block. So this thread queues like a task, before all of them.
        deadline = None if timeout is None else monotonic() + timeout
        blocked = BlockedThread()
        try:
            self._do(partial(self._enqueue_thread, blocked))
            if blocked.block(timeout, awaited) and self._take_up(blocked, deadline):
                return True
        except BaseException:
            self._withdraw_thread(blocked)
            raise
        self._withdraw_thread(blocked)
        return False

    def _take_up(self, _blocked: BlockedThread, _deadline: float | None) -> bool:
        """Make good use of the grant, in the thread that blocked for it."""
        return True

    def _withdraw_thread(self, blocked: BlockedThread) -> None:
        # Until it is carried out, another thread may be about to take a grant back
        # from a task of this thread, which must not run meanwhile.
        self._do(partial(self._withdraw, blocked))
        self._do(blocked.withdrawn.release)
        blocked.withdrawn.acquire()

    def _block_politely(self, timeout: float | None) -> bool:
        # The helper holds the turnstile while it waits for the lock, so nobody who
        # comes later gets in front of it: the inner lock itself would let a thread
        # that released it just now take it again before the helper is awake.
        if timeout is None:
            with self._turnstile:
                pass
            return acquired(self._acquire, self._release)
        deadline = monotonic() + timeout
        if not acquired(self._turnstile.acquire, self._turnstile.release, timeout):
            return False
        self._turnstile.release()
        left = max(0.0, deadline - monotonic())
        return acquired(self._acquire, self._release, left)
