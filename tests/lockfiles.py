"""What the tests of lock files check of each of them."""

from __future__ import annotations

import gc
import pickle
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anylock import LockFileError, MachineLock
from anylock._machine.mutex import FileMutex
from staging import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable


def other(lock: MachineLock) -> MachineLock:
    """Return a lock on the same path that shares nothing else, as another process."""
    made = MachineLock(lock.name, path=lock.path)
    made._mutex = FileMutex(lock.path, lock.name, fair=False)
    return made


def refused(lock: MachineLock, number: int, says: str, *, always: bool = True) -> None:
    """Check that the lock cannot be had, is told so well, and that nobody has it."""
    attempts: list[Callable[[], object]] = [
        lock.acquire,
        lock.try_acquire,
        lambda: lock.acquire(timeout=PATIENCE),
        lock.hold(PATIENCE).__enter__,
    ]
    if always:
        attempts.append(lock.locked)
    before = all_descriptors()
    for attempt in attempts:
        with pytest.raises(LockFileError, match=says) as caught:
            attempt()
        error = caught.value
        assert isinstance(error, OSError)
        assert error.errno == number
        assert caught.value.path == lock.path
        assert lock.path in str(error)
        copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (str(copied), copied.errno) == (str(error), number)
        assert not lock._mutex.held
        assert not lock._mutex._gate.locked()
        assert not lock.abandoned
        assert len(all_descriptors()) <= len(before)


def usable(lock: MachineLock) -> None:
    """Check that nobody has the lock, that it excludes others, and that none leaks."""
    before = descriptors(lock) - (lock._mutex.file._descriptor >= 0)
    until(lambda: not lock.locked())  # a helper may be on its last lines
    with lock.hold(PATIENCE):
        assert not lock.abandoned
        assert lock.holder() is not None
        assert other(lock).locked()
        assert not other(lock).try_acquire()
    with other(lock).hold(PATIENCE):
        assert not lock.try_acquire()
    assert not lock.locked()
    assert descriptors(lock) == before + 1


def descriptors(lock: MachineLock) -> int:
    """Count those of the files in the folder of the lock."""
    folder = str(Path(lock.path).parent)
    return sum(target.startswith(folder) for target in all_descriptors())


def all_descriptors() -> list[str]:
    """Return what the descriptors of this process lead to."""
    gc.collect()  # what earlier tests have left open may go at any time
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that which lists them
            found.append(str(entry.readlink()))
    return found
