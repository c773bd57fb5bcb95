"""What is known of a debug lock whose kind is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from anylock._protocol import Condition, Lock, RWLock, Semaphore

if TYPE_CHECKING:
    from anylock.debug._stats import Stats


class Telling(Protocol):
    """Something that tells of itself."""

    def stats(self) -> Stats:
        """Return who holds it, who waits for it, and what was counted so far."""
        ...


class DebugLock(Lock, Telling, Protocol):
    """A debug lock of any kind."""


class DebugSemaphore(Semaphore, Telling, Protocol):
    """A debug semaphore of any kind."""


class DebugCondition(Condition, Telling, Protocol):
    """A debug condition of any kind."""


class DebugRWLock(RWLock, Protocol):
    """A debug read-write lock of any kind."""

    @property
    def read(self) -> DebugLock:
        """The lock that many hold at the same time, to read."""
        ...

    @property
    def write(self) -> DebugLock:
        """The lock that one holds, to write, while nobody reads."""
        ...
