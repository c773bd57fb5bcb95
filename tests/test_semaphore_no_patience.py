"""Semaphores of kind "thread" that are tried once, where `SimpleQueue` oversleeps."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from anylock import LockTimeout, make_semaphore


class Permits(SimpleQueue[None]):
    """A queue that refuses what may sleep for ever on Python 3.12 and older.

    There `get` waits without a limit if nothing is in the queue, its lock is free, and
    the time is over when it looks for the second time.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - its signature
        assert not (block and timeout == 0)
        return super().get(block, timeout)


def test_a_time_out_of_zero_does_not_block() -> None:
    semaphore = make_semaphore("thread", 1)
    semaphore._permits = Permits()
    with pytest.raises(LockTimeout), semaphore.hold(0):
        pass
    assert not semaphore.acquire(timeout=0)
