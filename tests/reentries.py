"""What the tests of AsyncRLock share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staging import until_in_task

if TYPE_CHECKING:
    from anylock import AsyncRLock


def waiting(lock: AsyncRLock) -> int:
    """Count who is queued."""
    return len(lock._waiters or ())


async def queued(lock: AsyncRLock, number: int = 1) -> None:
    """Let other tasks run until so many wait."""
    await until_in_task(lambda: waiting(lock) >= number)


def depth(lock: AsyncRLock) -> int:
    """Tell how often its owner has entered it."""
    return lock._reentries + 1 if lock.locked() else 0


def assert_at_rest(lock: AsyncRLock) -> None:
    assert not lock.locked()
    assert waiting(lock) == 0
    assert lock._reentries == 0
    assert repr(lock).endswith("[unlocked]>")
    assert lock.try_acquire()
    lock.release()
    assert not lock.locked()
