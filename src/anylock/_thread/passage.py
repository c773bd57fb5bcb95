"""The way into a read-write lock for threads, beside tasks."""

from __future__ import annotations

import _thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock import _parking
from anylock._blocking import BlockedThread
from anylock._errors import LockNotHeldError, WouldDeadlock
from anylock._inside import NobodyInside, here
from anylock._parking import AsyncioWaiter, TrioWaiter, this_thread
from anylock._rwlock import Passage, left
from anylock._thread.forks import reset_in_children

if TYPE_CHECKING:
    from collections.abc import Hashable

    from anylock._thread.lock import ThreadLock

_ONCE = (False,)
_BLOCKING = (True,)


class ThreadPassage(Passage):
    """How threads get in and out; see `Passage`.

    A signal handler may raise after any call. So whether the turnstile was entered, and
    whether somebody has left, is noted by C code, `list.extend`; and what is to be
    undone is known before it is done. Threads leave the turnstile by its `__exit__`,
    which is a C method, also while tasks wait.
    """

    __slots__ = ("_resets", "first")

    def __init__(self, turnstile: ThreadLock, name: str | None, resets: bool) -> None:  # noqa: FBT001
        super().__init__(turnstile, name)
        self.first: _thread.LockType = _thread.allocate_lock()
        """Held by the first of the threads that wait for the turnstile, so that who
        has left it just now cannot enter it again before that is awake."""
        self._resets = resets
        reset_in_children(self)

    def _at_fork_reinit(self) -> None:
        self.first = _thread.allocate_lock()
        self.arriving.clear()
        if self._resets:
            self.readers.clear()
            self.writer.clear()
        self.readers.forget_who_looks()
        if not self.writer:  # whoever was in the turnstile was on the way in
            self.turnstile._at_fork_reinit()  # noqa: SLF001 - ours

    # The way in to read.

    def read(self, timeout: float | None) -> bool:
        """Block this thread until it may read; False when the time is over."""
        if self.arriving:
            self.pass_over_the_gone()
        me = here()
        key = self.readers.next_key(me)
        try:
            if self.try_read(me):
                return True
            key = self.readers.next_key(me)  # it may have been made to leave meanwhile
            return self._read_in_turn(me, key, timeout)
        except BaseException:
            self.back_off(key)
            raise

    def _read_in_turn(self, me: Hashable, key: Hashable, timeout: float | None) -> bool:
        if timeout == 0:
            return False
        # Nobody of this thread can leave while it waits, nor can a writer that waits
        # for them get in.
        witness = self.readers.witness()
        if witness is not None and self.join(me, witness):
            return True
        if self._task_on_its_way():
            # It looks for readers when it goes on, and it cannot while we wait.
            self.readers.put(key, None)
            return True
        if timeout is None:
            self._refuse_beside_writer(me)
        entered: list[bool] = []
        try:
            if self._entered(entered, timeout):
                self.readers.put(key, None)
                return True
        finally:
            if entered and entered[0]:
                self.turnstile.__exit__(None, None, None)
        return False

    def _task_on_its_way(self) -> bool:
        """Say whether a task of this thread is in the turnstile, and not yet inside."""
        bridge = self.turnstile._careful_bridge()  # noqa: SLF001 - ours
        holder = None if bridge is None else bridge.holder
        return (
            holder is not None
            and holder.resumed
            and holder.thread is this_thread.marker
            and not _parking.runs_elsewhere(holder.actor)
            and not self.writer
        )

    # The way in to write.

    def write(self, timeout: float | None) -> bool:
        """Block this thread until it may write; False when the time is over."""
        deadline = None if timeout is None else monotonic() + timeout
        me = here()
        turnstile = self.turnstile
        entered: list[bool] = []
        writes = False
        try:
            if self._may_try_to_write(timeout):
                entered.extend(map(turnstile.acquire, _ONCE))
            if not (entered and entered[0]):
                if timeout == 0:
                    return False
                if timeout is None:
                    self._refuse_beside_readers(me)
                    self._refuse_beside_writer(me)
                if self._take_over():
                    return self._write_in_its_place(me, deadline)
                entered.clear()
                if not self._entered(entered, timeout):
                    return False
            if self.readers and not self._drained_by_thread(me, deadline):
                return False
            self.writer.put(me, turnstile.__exit__)
            writes = True
        finally:
            if not writes and entered and entered[0]:
                turnstile.__exit__(None, None, None)
        return True

    def _may_try_to_write(self, timeout: float | None) -> bool:
        if self.arriving:
            self.pass_over_the_gone()
        # Others, who try to read, are not to meet in the turnstile who only tries.
        return not (self.first.locked() or (timeout == 0 and self.readers))

    def _take_over(self) -> bool:
        """Take the turnstile from a task that cannot run while this thread waits."""
        blocked = BlockedThread()
        for waiter in list(self.arriving):
            if (
                isinstance(waiter, AsyncioWaiter | TrioWaiter)
                and blocked.keeps_from_running(waiter)
                and self.arriving.pop(waiter, self) is None
            ):
                bridge = self.turnstile._live_bridge()  # noqa: SLF001 - ours
                bridge.holder.actor = _parking.current_actor()
                waiter.grant()  # it will see that it has to begin again
                return True
        return False

    def _write_in_its_place(self, me: Hashable, deadline: float | None) -> bool:
        writes = False
        try:
            if self._drained_by_thread(me, deadline):
                self.writer.put(me, self.leave_turnstile)
                writes = True
        finally:
            if not writes:
                self.turnstile.release()
        return writes

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
            first.extend(map(self.first.acquire, _BLOCKING, (seconds,)))
            if first[0]:
                rest = left(deadline)
                seconds = -1 if rest is None else rest
                entered.extend(map(acquire, _BLOCKING, (seconds,)))
        finally:
            if first and first[0]:
                self.first.release()
        return bool(entered) and entered[0]

    def _drained_by_thread(self, me: Hashable, deadline: float | None) -> bool:
        while self.readers:
            seconds = left(deadline)
            if seconds is None:
                self._refuse_beside_readers(me)
            elif seconds == 0:
                return False
            blocked = BlockedThread()
            self.arriving[blocked] = None
            try:
                if self.readers:
                    blocked.block(seconds)
            finally:
                self.arriving.pop(blocked, None)
        return True

    # The ways out.

    def stop_reading(self, done: list[Any]) -> None:
        """Read no more, or let somebody else leave who reads.

        Args:
            done: What is done; after a signal handler has raised, it may be called
                again with that.

        Raises:
            LockNotHeldError: Nobody reads.
        """
        if not done:
            try:
                self.readers.pop_into(done, here())
            except NobodyInside:
                raise LockNotHeldError(self.name) from None
        if self.arriving:
            self.wake()

    def wake(self) -> None:
        """Let go on who waits for the readers to leave, if they have all left."""
        # A signal handler that raises amid the waking of a task can lose it. So it is
        # left to a thread of its own, as in the bridges.
        if not self.readers and not this_thread.marker.parks_tasks:
            for waiter in list(self.arriving):
                if not isinstance(waiter, BlockedThread):
                    try:
                        _thread.start_new_thread(super().wake, ())
                    except RuntimeError:  # no more threads, or the interpreter ends
                        break
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
