"""Kind "machine": signal handlers that raise amid an acquire."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from anylock import MachineLock, make_lock
from anylock._machine import inotify
from anylock._machine.mutex import FileMutex
from interruptions import Interrupted, interrupt, interrupt_at, run_points

if TYPE_CHECKING:
    from pathlib import Path


def stranger_to(lock: MachineLock, *, fair: bool) -> MachineLock:
    """Return a lock on the same file, as another process has it."""
    made = MachineLock(path=lock.path, fair=fair)
    made._mutex = FileMutex(lock.path, None, fair=fair)
    return made


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="a handler may raise after all is done"
)
@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
@pytest.mark.parametrize("fair", [False, True], ids=["", "fair"])
def test_handler_raises_at_every_point_of_the_way_in(
    tmp_path: Path,
    fair: bool,  # noqa: FBT001 - a parameter of the test
    taken: bool,  # noqa: FBT001
) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock("machine", path=tmp_path / str(point), fair=fair)
        stranger = stranger_to(lock, fair=fair)
        with lock:  # what is done once is not what this is about
            pass
        if taken:
            stranger.acquire()
        got = False
        with suppress(Interrupted), interrupt_at(point, interrupt, where):
            got = lock.acquire(timeout=0.001)
        if got:
            lock.release()
        instance = inotify._the_instance
        if instance is not None:
            assert not any(instance._watches.values())
            assert not instance._leading.locked()
        if taken:
            stranger.release()
        for found in (stranger, lock):
            assert found.acquire(timeout=0)
            found.release()
            assert not found.locked()

    run_points(attempt, parks=False)
