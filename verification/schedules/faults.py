"""Bugs that are put into the locks, each of which must be found.

What cannot find them proves nothing when it finds none.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock._bridge import base, lock, queue, rlock, semaphore, steps
from anylock._notices import Notices

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .scenarios import Kind

    Method = Callable[..., Any] | property
    Fault = tuple[str, type, str, Method, tuple[Kind, ...]]
    """What is wrong, in which class, by what in the place of which method; what has
    it."""


def _forget_the_grant(self: Any, waiter: Any) -> None:
    self._remove(waiter)


def _dispose_without_looking(self: Any) -> None:
    self._release()


def _look_before_queueing(self: Any, waiter: Any) -> None:
    self._serve()
    self._add(waiter)


def _remain_behind(self: Any) -> None:
    if self._mail and not self._amid_steps() and self._running.acquire(False):
        try:
            while self._mail:
                try:
                    self._mail[0]()
                finally:
                    self._steps += 1
                    self._mail.popleft()
        finally:
            self._running.release()


def _help_once(self: Any, acquired: bool) -> None:  # noqa: FBT001 - a step
    self._helping = False
    if acquired:
        self._tenure_ends = None
        self._grant()


def _note_before_taking(self: Any) -> bool:
    if self._queue:
        return False
    self.holder = lock.Holder()
    taken: bool = self._acquire(False)
    return taken


def _withdraw_without_waiting(self: Any, blocked: Any) -> None:
    self._do(partial(self._withdraw, blocked))


def _forget_who_is_elected(self: Any, waiter: Any) -> None:
    lock.LockBridge._distrust(self, waiter)


def _elect_and_keep(_self: Any, waiter: Any) -> bool:
    given: bool = waiter.grant()
    return given


def _help_only_without_tasks(self: Any) -> None:
    if not self._granted and not self._held:
        base.Bridge._summon_helper(self)


def _serve_one(self: Any) -> None:
    if self._queue and self._acquire(False):
        self._grant()


def _accept_and_count_later(self: Any, waiter: Any) -> None:
    self._granted.pop(waiter, None)
    self._count()


def _keep_the_notification(self: Any, waiter: Any) -> bool:
    self._remove(waiter)
    return True


_ALL: tuple[Kind, ...] = ("lock", "rlock", "semaphore-1", "semaphore-2", "process-lock")
_LOCKS: tuple[Kind, ...] = ("lock", "process-lock")
_SEMAPHORES: tuple[Kind, ...] = ("semaphore-1", "semaphore-2")

FAULTS: tuple[Fault, ...] = (
    (
        "a cancelled waiter forgets what it was granted",
        *(queue.Waiting, "_withdraw", _forget_the_grant, _ALL),
    ),
    (
        "who queues looks at the lock before, not afterwards",
        *(queue.Waiting, "_enqueue", _look_before_queueing, _ALL),
    ),
    (
        "a task is the holder before it has the lock",
        *(lock.LockBridge, "take", _note_before_taking, _LOCKS),
    ),
    (
        "an elected thread stays elected when its time is over",
        *(rlock.RLockBridge, "_distrust", _forget_who_is_elected, ("rlock",)),
    ),
    (
        "the helper keeps the lock of an elected thread",
        *(rlock.RLockBridge, "_give", _elect_and_keep, ("rlock",)),
    ),
    (
        "a semaphore serves one and forgets the others",
        *(semaphore.SemaphoreBridge, "_serve", _serve_one, _SEMAPHORES),
    ),
    (
        "who releases does not look at the queue",
        *(base.Bridge, "dispose", _dispose_without_looking, _LOCKS),
    ),
    (
        "who stops running steps does not look again",
        *(steps.Steps, "_run_steps", _remain_behind, _ALL),
    ),
    (
        "a helper that gave up does not look who came meanwhile",
        *(queue.Waiting, "_helped", _help_once, _LOCKS),
    ),
    (
        "a loop's thread goes on before it has left the queue",
        *(base.Bridge, "_withdraw_thread", _withdraw_without_waiting, _ALL),
    ),
    (
        "no helper for a permit while a task holds another one",
        *(semaphore.SemaphoreBridge, "_summon_helper"),
        *(_help_only_without_tasks, _SEMAPHORES),
    ),
    (
        "a permit belongs to nobody for a moment",
        *(semaphore.SemaphoreBridge, "_accepted"),
        *(_accept_and_count_later, _SEMAPHORES),
    ),
    (
        "who is cancelled keeps the notification",
        *(Notices, "withdraw", _keep_the_notification),
        ("condition", "condition-rlock"),
    ),
)

SOON = 6
"""How many of them, from the first on, are found within a hundred seeds or so."""


@contextmanager
def put_in(fault: Fault) -> Generator[None]:
    """Have the fault for as long as the context lasts."""
    _, owner, name, method, _ = fault
    kept = vars(owner).get(name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        if kept is None:
            delattr(owner, name)
        else:
            setattr(owner, name, kept)
