"""Re-entrant locks that break a rule each, in the order of the rules."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from itertools import count
from weakref import WeakKeyDictionary

import anyio.lowlevel

from broken_locks import hanging, quick
from reference_family import ReferenceRLock, current
from reference_lock import ReferenceLock


class FreeAtFirstLeave(ReferenceRLock):
    def release(self) -> None:
        if self._held:
            self._depth = 1
            super().release()


class TakenByThread(ReferenceRLock):
    """The owner is the thread, but of who came by `async with`."""

    def try_acquire(self) -> bool:
        self.who = threading.current_thread  # type: ignore[method-assign]
        try:
            return super().try_acquire()
        finally:
            del self.who


class OwnedByThread(ReferenceRLock):
    """As threading's is: the tasks of an event loop are all one to it."""

    def who(self) -> object:
        return threading.current_thread()


class OwnedByContext(ReferenceRLock):
    """A task begins with the context of who started it."""

    me: ContextVar[object] = ContextVar("me")

    def who(self) -> object:
        if self.me.get(None) is None:
            self.me.set(current())
        return self.me.get()


class OwnedByAll(ReferenceRLock):
    def who(self) -> object:
        return "everybody"


class ReleasedByAll(ReferenceRLock):
    def release(self) -> None:
        self._owner = self.who()
        super().release()


class SilentRelease(ReferenceRLock):
    def release(self) -> None:
        if self.is_mine():
            super().release()


class OwnedByNumber(ReferenceRLock):
    """The number of who is dead is used again, as an id is, only sooner."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def who(self) -> object:
        with self._mutex:
            used = set(self._numbers.values())
            free = next(number for number in count() if number not in used)
            return self._numbers.setdefault(current(), free)


class CheckpointAfterReentry(ReferenceRLock):
    async def enter_task_within(self, seconds: float | None) -> bool:
        again = self.is_mine()
        entered = await super().enter_task_within(seconds)
        if again:
            await anyio.lowlevel.checkpoint()
        return entered


BROKEN_RLOCKS = [
    quick("reentry_by_task", ReferenceLock, "gave False to who may have it"),
    quick("reentry_by_task", FreeAtFirstLeave, "too early"),
    quick("taken_by_task", TakenByThread, "another task took it by try_acquire()"),
    quick("reentry_by_thread", ReferenceLock, "gave False to who may have it"),
    quick("reentry_by_thread", FreeAtFirstLeave, "free after the first"),
    quick("owner_among_tasks", OwnedByThread, "hold(0) got another task inside"),
    quick("owner_among_tasks", OwnedByContext, "hold(0) got another task inside"),
    quick("sync_in_another_task", OwnedByThread, "`with` in another task got"),
    quick("owner_among_threads", OwnedByAll, "a task got the lock while"),
    quick("release_by_others", ReleasedByAll, "of what a thread holds, raised nothing"),
    quick("release_by_others", SilentRelease, "of what a thread holds, raised nothing"),
    quick("dead_tasks", OwnedByNumber, "a later task took it"),
    quick("dead_threads", OwnedByNumber, "a later thread took it"),
    hanging("cancelled_reentry", CheckpointAfterReentry, "the task that waited"),
]
