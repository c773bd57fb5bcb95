"""The bridge of a semaphore: several are inside, and anybody may release."""

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

    from anylock._parking import ThreadMarker


class SemaphoreBridge(Bridge):
    """Where tasks wait for a permit.

    A thread that leaves through the C method tells nobody, and a permit may be free
    while others are held. So *whenever somebody is queued, the helper is on its way, or
    tasks have all permits*.

    Args:
        acquire: Takes a permit; called as `acquire()`, `acquire(False)` and
            `acquire(True, seconds)`.
        release: Puts one back.
        permits: How many there are in all, or 0 where nobody knows.
        shared: Whether other processes may make permits unseen.
    """

    __slots__ = ("_granted", "_held", "_moving", "_only", "_shared", "permits")

    def __init__(
        self,
        acquire: Callable[..., bool],
        release: Callable[[], Any],
        permits: int,
        *,
        shared: bool,
    ) -> None:
        super().__init__(acquire, release)
        self._shared = shared
        self.permits = permits
        """How many there are as long as all who release have acquired; 0 from when
        somebody released by itself, and may be about to do so again."""
        self._granted: dict[Waiter, None] = {}
        """The tasks that were granted a permit and have not run since."""
        self._moving: dict[Waiter, None] = {}
        """Those that run just now for the first time since."""
        self._held: dict[ThreadMarker, int] = {}
        """How many permits the tasks of a thread hold; changed there."""
        self._only: Any = None
        """The task that holds the permit, where there is only one."""

    def inherit(self, old: Any) -> None:
        """Take over from the bridge of the process that forked this one."""
        held = old._held.get(base.forking)  # noqa: SLF001 - of this class
        if held:
            self._held[base.forking] = held
        for waiter in old._granted:  # noqa: SLF001
            if waiter.thread is base.forking and not waiter.resumed:
                self._release()  # the grant is the parent's

    def take(self) -> bool:
        """Take a permit for the running task if one is free and nobody waits."""
        if self._queue or not self._acquire(False):
            return False
        self._tenure_ends = None
        self._count()
        return True

    def awaited(self) -> bool:
        """Say whether what is free is on its way to somebody who waits."""
        return bool(self._queue)

    def leave(self) -> bool:
        """Give back a permit that a task holds."""
        self.give_up()
        return True

    def give_up(self) -> None:
        """Give back a permit that a task holds, whoever calls."""
        self.discount()
        self.dispose()

    def discount(self) -> None:
        """Count a permit that a task holds no more."""
        held = self._held
        # Elsewhere if its event loop goes on in another thread than it entered in.
        marker: Any = this_thread.marker if this_thread.marker in held else None
        if marker is None:
            marker = next(iter(list(held)), None)
        if marker is not None:
            self._only = None
            count = held.get(marker, 0) - 1
            if count > 0:
                held[marker] = count
            else:
                held.pop(marker, None)

    def lose_count(self) -> None:
        """Note that somebody released by itself, and may be about to do so again."""
        if self.permits:
            self.permits = 0
            self._do(self._serve)  # until now tasks may have had all permits

    def _count(self) -> None:
        held = self._held
        marker = this_thread.marker
        held[marker] = held.get(marker, 0) + 1
        if self.permits == 1:
            self._only = _parking.current_actor()

    def _in_use(self) -> bool:
        # Where anybody may release, nobody knows who still holds one.
        held = self.permits and self._held
        return bool(held) or bool(self._granted) or bool(self._moving)

    def _refuse_deadlock(self, name: str | None) -> None:
        if (
            self._only is not None
            and self.permits
            and _parking.same_actor(self._only, _parking.current_actor())
        ):
            raise WouldDeadlock(
                "this task holds its only permit", "release it first", name
            )

    def _held_here(self, timeout: float | None, name: str | None) -> bool:
        # Only this thread changes its own count, so the answer stays true.
        here = this_thread.marker
        held = self._held.get(here, 0)
        # On trio, whoever was granted one at once makes a checkpoint before it counts.
        held += sum(w.resumed and w.thread is here for w in list(self._granted))
        if not 0 < self.permits <= held:
            return False
        if timeout is None:
            reason = "tasks of this thread's event loop hold all its permits"
            raise WouldDeadlock(reason, "use 'async with' in tasks", name)
        return True

    def spoken_for(self, free: Callable[[], int]) -> int:
        """Count the permits that are free, and those that were granted and wait.

        A bounded semaphore has no room for others in their place: they come back if
        the tasks they were granted to are cancelled.
        """
        steps = self._steps
        counted = free() + len(self._unresumed())
        # A step makes one of these of the other, which would then be counted twice.
        return counted if steps == self._steps and not self._mail else free()

    def _unresumed(self) -> list[Waiter]:
        return [waiter for waiter in list(self._granted) if not waiter.resumed]

    def _lost(self) -> Waiter | None:
        if not self._granted:
            return None
        return next((w for w in list(self._granted) if w.lost_its_loop()), None)

    def _take_back(self, blocked: BlockedThread) -> Waiter | None:
        for waiter in self._unresumed():
            if isinstance(
                waiter, AsyncioWaiter | TrioWaiter
            ) and blocked.keeps_from_running(waiter):
                waiter.granted = False
                self._distrust(waiter)
                return waiter
        return None

    def _entrust(self, waiter: Waiter) -> None:
        if not isinstance(waiter, BlockedThread):
            self._granted[waiter] = None

    def _distrust(self, waiter: Waiter) -> None:
        self._granted.pop(waiter, None)

    def _accepted(self, waiter: Waiter) -> None:
        self._moving[waiter] = None  # so that it is in use all the time
        self._granted.pop(waiter, None)
        self._count()
        del self._moving[waiter]

    def _pass_on(self, thread: ThreadMarker) -> None:
        super()._pass_on(thread)
        self._summon_helper()

    def _summon_helper(self) -> None:
        # Where tasks have all permits it would only keep threads from the turnstile:
        # they look at the queue when they leave.
        # In this order: who was granted a permit and runs now holds it a moment later,
        # and must not be counted twice. To be counted not at all costs a helper only.
        with_tasks = sum(list(self._held.values()))
        with_tasks += len(self._granted)
        if self._shared or not 0 < self.permits <= with_tasks:
            super()._summon_helper()

    def _serve(self) -> None:
        while (lost := self._lost()) is not None:
            lost.granted = False  # its event loop was closed before it could run
            self._distrust(lost)
            self._grant()
        # A helper on its way waits in the turn of the threads; to take permits past it
        # would be to pass all of those by, for as long as tasks keep coming.
        while self._queue and not self._helping and self._acquire(False):
            self._tenure_ends = None
            self._grant()
        self._summon_helper()

    def _helped(self, acquired: bool) -> None:  # noqa: FBT001 - a step
        self._helping = False
        if acquired:
            self._tenure_ends = None
            self._grant()
        self._serve()
