"""Lets tasks wait for a lock that only knows how to block a thread.

A thread that leaves `with lock:` through the C method tells nobody. So tasks that
find the lock taken queue here, and one helper thread blocks in the C `acquire` on
behalf of the whole queue. When it gets the lock it grants it to the first waiter
and ends. A task that holds the lock hands it straight to the next waiter when it
leaves, so that between tasks no thread is needed.

The invariant that keeps wake-ups from being lost: *whenever somebody is queued, the
helper is on its way to the lock, or the holder is a task and will look here when it
leaves.* Everybody queues first and looks at the lock afterwards; a task that leaves
gives the lock up first and looks at the queue afterwards.

Nobody ever blocks on the bridge's own state. Changes are *steps* in a mailbox, and
whoever finds the bridge idle runs them, its own and those that others leave
meanwhile. A finalizer or a signal handler that releases the lock in the middle of a
step therefore leaves its own step behind instead of deadlocking with the frame that
it interrupted, and no step sees another half done.
"""

from __future__ import annotations

import _thread
import os
import weakref
from collections import OrderedDict, deque
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._blocking import BlockedThread, acquired
from anylock._errors import WouldDeadlock
from anylock._parking import AsyncioWaiter, TrioWaiter, Waiter, this_thread

if TYPE_CHECKING:
    from collections.abc import Callable

TENURE = 0.005
"""Seconds for which tasks may hand the lock on before threads get a turn.

Eventual fairness as in the mutexes of WebKit's WTF (Pizlo, "Locking in WebKit",
2016) and of Go, which use 1 ms.
"""

_SLICE = 0.1
"""Seconds after which the helper looks whether anybody still waits."""

_bridges: weakref.WeakSet[Bridge] = weakref.WeakSet()


_forking: Any = None
"""In a forked child, the marker of the thread that forked: the only one there is."""


def _disown_in_child() -> None:
    global _forking  # noqa: PLW0603 - one per process is the meaning
    _forking = this_thread.marker
    for bridge in _bridges:
        bridge.of_this_process = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_in_child)


class Holder:
    """A task that holds the lock and never had to wait for it."""

    __slots__ = ("actor", "thread")
    resumed = True

    def __init__(self) -> None:
        self.actor: Any = _parking.current_actor()
        self.thread = this_thread.marker


class Bridge:
    """The queue, the helper thread and the turnstile of one lock.

    Args:
        acquire: The inner lock's C method; called as `acquire()`,
            `acquire(False)` and `acquire(True, seconds)`.
        release: The inner lock's C method.
    """

    __slots__ = (
        "__weakref__",
        "_acquire",
        "_helping",
        "_mail",
        "_queue",
        "_release",
        "_retired",
        "_running",
        "_steps",
        "_tenure_ends",
        "_turnstile",
        "careful",
        "holder",
        "of_this_process",
        "switching",
    )

    def __init__(
        self, acquire: Callable[..., bool], release: Callable[[], None]
    ) -> None:
        self._acquire = acquire
        self._release = release
        self.of_this_process = True
        """False in a forked child, where the waiters and the helper are missing."""
        _bridges.add(self)
        self.switching = _thread.RLock()
        """Held while the lock's native slots are exchanged."""
        self.careful = False
        """Whether the slots hold the careful methods; see `switching`."""
        self.holder: Holder | Waiter | None = None
        """The task that holds the lock or was granted it; changed only by who has
        the inner lock."""
        self._queue: OrderedDict[Waiter, None] = OrderedDict()
        """Who waits, first come first; changed only in steps."""
        self._mail: deque[Callable[[], None]] = deque()
        """The steps; the first of them may be running."""
        self._steps = 0
        """How many have been carried out."""
        self._running: Any = _thread.RLock()
        """Held by whoever runs the steps. It is asked who owns it, not re-entered."""
        self._helping = False
        """Whether a helper thread is on its way."""
        self._retired = False
        """Whether no helper may start any more."""
        self._turnstile = _thread.allocate_lock()
        """Held by the helper while it waits for the lock."""
        self._tenure_ends: float | None = None
        """When threads get a turn; None until tasks hand the lock on."""

    def inherit(self, old: Bridge) -> None:
        """Take over from the bridge of the process that forked this one."""
        holder = old.holder
        if holder is None or holder.thread is not _forking:
            return
        if holder.resumed:
            # A new one, because asyncio denies in the child that its loop runs.
            self.holder = Holder()
            self.holder.thread = _forking
        else:
            self._release()  # the grant is the parent's

    def retire(self) -> None:
        """Let the helper end before this process does.

        Or else it may take a lock between processes just when the interpreter has
        stopped running threads, and the lock is taken for ever.
        """
        self._retired = True
        with self._turnstile:  # the helper leaves it within a slice
            pass
        deadline = monotonic() + _SLICE
        while self._helping and monotonic() < deadline:
            sleep(0.001)  # it is giving back what it got

    @property
    def busy(self) -> bool:
        """Whether a task holds the lock, was granted it, or waits for it.

        It does not say no while a waiter moves from one of these to another: that is
        done by steps, and a step is in the mailbox until it has been counted.
        """
        steps = self._steps
        return (
            self.holder is not None
            or bool(self._queue)
            or bool(self._mail)
            or steps != self._steps
        )

    # What tasks do.

    def take(self) -> bool:
        """Take the lock for the running task if nobody has it or waits for it."""
        if self._queue or not self._acquire(False):
            return False
        self._tenure_ends = None
        self.holder = Holder()
        return True

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
                    self.leave()
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
        holder = self.holder
        if (
            timeout is None
            and holder is not None
            and holder.resumed
            and _parking.same_actor(holder.actor, _parking.current_actor())
        ):
            raise WouldDeadlock("this task holds it", "release it first", name)
        waiter.thread.parks_tasks = True
        waiter.lost = self._pass_over_the_gone
        try:
            self._do(partial(self._enqueue, waiter))
            go_careful(self)
            if await waiter.wait(timeout):
                return True
        except BaseException:
            # Cancelled, or closed by the garbage collector with its loop.
            self._do(partial(self._withdraw, waiter))
            raise
        self._do(partial(self._withdraw, waiter))
        return False

    def leave(self) -> None:
        """Release the lock that a task holds: hand it on, or give it up."""
        self.holder = None  # at once: the step may run in another thread, later
        if self._queue or self._mail:
            self._do(self._pass_on)
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
        if not self._turnstile.acquire(False):
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
        me = this_thread.marker
        self._pass_over_the_gone()
        holder = self.holder
        # A task of this thread holds the lock or it does not: only this thread can
        # change that, so the answer stays true.
        if holder is not None and holder.thread is me and holder.resumed:
            if timeout is None and not _parking.runs_elsewhere(holder.actor):
                reason = "a task of this thread's event loop holds it"
                raise WouldDeadlock(reason, "use 'async with' in tasks", name)
        elif me.parks_tasks and not self._amid_steps():
            return self._block_loop_thread(timeout)
        return self._block_politely(timeout)

    def _pass_over_the_gone(self) -> None:
        holder = self.holder
        if isinstance(holder, Waiter) and holder.lost_its_loop():
            self._do(self._serve)

    def _block_loop_thread(self, timeout: float | None) -> bool:
        # Tasks of this thread may be queued or granted, and none of them can run
        # while we block. So this thread queues like a task, before all of them.
        blocked = BlockedThread()
        try:
            self._do(partial(self._enqueue_thread, blocked))
            if blocked.block(timeout):
                return True
        except BaseException:
            self._withdraw_thread(blocked)
            raise
        self._withdraw_thread(blocked)
        return False

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

    # The steps. They run one at a time, in whichever thread finds the bridge idle.

    def _do(self, step: Callable[[], None]) -> None:
        self._mail.append(step)
        try:
            self._run_steps()
        except BaseException:
            # Raised by a signal handler in this thread. What others have left here
            # must not stay behind.
            self._run_steps()
            raise

    def _run_steps(self) -> None:
        # The test is repeated after the release: who left a step while we were
        # about to stop saw `_running` taken and relies on us.
        while self._mail and not self._amid_steps() and self._running.acquire(False):
            try:
                while self._mail:
                    try:
                        self._mail[0]()
                    finally:
                        self._steps += 1
                        self._mail.popleft()
            finally:
                self._running.release()

    def _amid_steps(self) -> bool:
        """Say whether a frame of this thread, below us, runs the steps."""
        amid: bool = self._running._is_owned()  # noqa: SLF001 - as in threading
        return amid

    def _enqueue(self, waiter: Waiter) -> None:
        self._queue[waiter] = None
        self._serve()

    def _enqueue_thread(self, blocked: BlockedThread) -> None:
        holder = self.holder
        if (
            isinstance(holder, AsyncioWaiter | TrioWaiter)
            and not holder.resumed
            and blocked.keeps_from_running(holder)
        ):
            holder.granted = False
            self._put_first(holder)
            self.holder = None
            self._give(blocked)
            return
        if any(waiter.thread is blocked.thread for waiter in self._queue):
            self._put_first(blocked)
        else:
            self._queue[blocked] = None
        self._serve()

    def _put_first(self, waiter: Waiter) -> None:
        self._queue[waiter] = None
        self._queue.move_to_end(waiter, last=False)

    def _withdraw(self, waiter: Waiter) -> None:
        if waiter.granted:
            self._pass_on()
        else:
            self._queue.pop(waiter, None)

    def _pass_on(self) -> None:
        """Dispose of the inner lock, which is ours."""
        now = monotonic()
        if self._tenure_ends is None:
            self._tenure_ends = now + TENURE
        if now < self._tenure_ends:
            self._grant()
            return
        self._tenure_ends = None
        self.holder = None
        self._release()
        self._summon_helper()

    def _grant(self) -> None:
        """Give the inner lock, which is ours, to the first who can take it."""
        while self._queue:
            waiter = next(iter(self._queue))
            # Holder first, so that `busy` stays true in between.
            self.holder = None if isinstance(waiter, BlockedThread) else waiter
            del self._queue[waiter]
            if self._give(waiter):
                return
        self.holder = None
        self._release()

    def _give(self, waiter: Waiter) -> bool:
        if not waiter.grant():  # its event loop was closed
            return False
        if isinstance(waiter, BlockedThread):
            self._summon_helper()  # a thread leaves without a word
        return True

    def _serve(self) -> None:
        """Restore the invariant: somebody is on the way to those who wait."""
        holder = self.holder
        if isinstance(holder, Waiter) and holder.lost_its_loop():
            holder.granted = False  # its event loop was closed before it could run
            self._grant()
            return
        if not self._queue or self._helping or holder is not None:
            return
        if self._acquire(False):
            self._tenure_ends = None
            self._grant()
        else:
            self._summon_helper()

    def _summon_helper(self) -> None:
        if not self._queue or self._helping or self._retired:
            return
        self._helping = True
        try:
            # Not threading.Thread: its start() waits until the new thread runs,
            # which stops this event loop for as long as others keep the GIL.
            _thread.start_new_thread(self._help, ())
        except RuntimeError as error:  # no more threads, or the interpreter ends
            self._helping = False
            while self._queue:
                waiter, _ = self._queue.popitem(last=False)
                waiter.fail(error)

    def _help(self) -> None:
        acquired = False
        with self._turnstile:
            while self._queue and not acquired and not self._retired:
                acquired = self._acquire(True, _SLICE)
        self._do(partial(self._helped, acquired))

    def _helped(self, acquired: bool) -> None:  # noqa: FBT001 - a step
        self._helping = False
        if acquired:
            self._tenure_ends = None
            self._grant()
        else:
            self._serve()
