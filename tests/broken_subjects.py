"""Subjects of the soak whose locks are broken on purpose."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import replace
from time import sleep
from typing import TYPE_CHECKING, Any

from anylock import MachineLock, make_lock
from anylock._soak.board import Row
from anylock._soak.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class NoLock:
    """Lets everybody in."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    def hold(self, _timeout: float | None = None) -> NoLock:
        return self

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def locked(self) -> bool:
        return False

    @property
    def value(self) -> int:
        return 2


class Forgetful(NoLock):
    """A lock that is not released any more from some time on: nobody is woken."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 20

    def __enter__(self) -> None:
        self.lock.acquire()

    def try_acquire(self) -> bool:
        return self.lock.acquire(blocking=False)

    def release(self) -> None:
        self.left -= 1
        if self.left > 0:
            self.lock.release()

    def locked(self) -> bool:
        return self.lock.locked()


class LeftLocked(NoLock):
    """A lock that says it is held, though everybody who comes gets in, in turn."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.lock.acquire()

    def try_acquire(self) -> bool:
        return self.lock.acquire(blocking=False)

    def release(self) -> None:
        self.lock.release()

    def locked(self) -> bool:
        return True


class Refusing(LeftLocked):
    """A lock that can be had by waiting only."""

    def locked(self) -> bool:
        return False

    def try_acquire(self) -> bool:
        return False


class Generous(LeftLocked):
    """A lock that `try_acquire` gets for somebody who has it."""

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()

    def locked(self) -> bool:
        return False


class Noisy(LeftLocked):
    """A lock that leaves things to the garbage collector which raise there."""

    class Rubbish:
        def __del__(self) -> None:
            message = "not mine"
            raise LookupError(message)

    def locked(self) -> bool:
        return False

    def release(self) -> None:
        super().release()
        self.Rubbish()


class NeverTold(MachineLock):
    """A lock on a file that says of nobody that it died inside."""

    @property
    def abandoned(self) -> bool:
        return False


class AlwaysTold(MachineLock):
    """A lock on a file that says it of everybody."""

    @property
    def abandoned(self) -> bool:
        return True


class ToldTwice(MachineLock):
    """A lock on a file that says it of the dead, and of the one after the next."""

    __slots__ = ("_before",)

    @property
    def abandoned(self) -> bool:
        now = super().abandoned
        before = getattr(self, "_before", False)
        self._before = now
        return now or before


class Stale(NoLock):
    """A file that is made to lock, and removed to unlock: it survives who dies."""

    abandoned = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        while not self.try_acquire():
            sleep(1e-4)

    def hold(self, _timeout: float | None = None) -> Stale:
        return self

    def try_acquire(self) -> bool:
        with suppress(FileExistsError):
            self.path.touch(exist_ok=False)
            return True
        return False

    def release(self) -> None:
        self.path.unlink()

    def locked(self) -> bool:
        return self.path.exists()


def fatal() -> None:
    os._exit(7)


def unblinded() -> NoLock:
    return NoLock()


def blinded() -> NoLock:
    """Lets everybody in where nobody looks around, as if they were too quick for it."""
    rows: Any = Row
    rows._look_around = blind
    return NoLock()


def blind(_row: Row) -> None:
    pass


def alone(make: Callable[..., Any], **traits: Any) -> Subject:
    """A broken lock, for threads only unless it is said otherwise."""
    return replace(Subject("thread", "broken", make, loops_at_a_time=0), **traits)


OVERLAPPING = alone(unblinded)
OVERLAPPING_TASKS = alone(unblinded, loops_at_a_time=2, threads=False)
TEARING = alone(blinded)
OVERLAPPING_PERMITS = alone(unblinded, loops_at_a_time=1, threads=False, permits=2)
FORGETFUL = alone(Forgetful)
LEFT_LOCKED = alone(LeftLocked)
REFUSING = alone(Refusing)
GENEROUS = alone(Generous)
NOISY = alone(Noisy)
FATAL = alone(fatal)
LOCKED_IN_CHILDREN = alone(
    lambda: make_lock("thread"), forks=True, fresh_in_children=True
)


class Unread(NoLock):
    """A pair of locks, of which that to read by lets everybody in."""

    def __init__(self) -> None:
        self.write = make_lock("thread")
        self.read = NoLock()


UNREAD = alone(Unread, read_write=True)
UNREAD_BY_TASKS = alone(Unread, read_write=True, loops_at_a_time=1, threads=False)
_ON_FILE: dict[str, Any] = {"shared": True, "on_file": True}
NEVER_TOLD = alone(NeverTold, **_ON_FILE)
ALWAYS_TOLD = alone(AlwaysTold, **_ON_FILE)
TOLD_TWICE = alone(ToldTwice, **_ON_FILE)
STALE = alone(Stale, **_ON_FILE)
