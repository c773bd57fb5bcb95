"""The errors of anylock: one family, whatever the kind of lock.

Each class also derives from the builtin that code written for the standard
library's locks already catches, carries its data as attributes, survives
pickling, and says in its message what to do.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from typing import Any


def _label(lock_name: str | None) -> str:
    return "the lock" if lock_name is None else f"the lock {lock_name!r}"


class LockError(Exception):
    """Base of every error that anylock raises about a lock."""

    def __init__(self, message: str, *data: Any) -> None:
        super().__init__(message)
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the data, not from the message; keep notes and the like."""
        return type(self), self._data or self.args, self.__dict__


class LockTimeout(LockError, TimeoutError):  # noqa: N818 - reads like TimeoutError
    """The lock could not be had within the time that the caller allowed.

    Attributes:
        timeout: The time allowed, in seconds.
        lock_name: The lock's name, or None.
    """

    def __init__(self, timeout: float, lock_name: str | None = None) -> None:
        super().__init__(
            f"{_label(lock_name)} was not free within {timeout:g} s: whoever holds it "
            f"holds it longer; allow more time, or shorten the critical section",
            timeout,
            lock_name,
        )
        self.timeout = timeout
        self.lock_name = lock_name


class LockNotHeldError(LockError, RuntimeError, ValueError):
    """A lock was released that nobody holds.

    It is a `RuntimeError` as from `threading` and `asyncio`, and a `ValueError`
    as from `multiprocessing`. Where the C method of a standard lock runs
    directly, that lock's own error is raised instead.

    Attributes:
        lock_name: The lock's name, or None.
    """

    def __init__(self, lock_name: str | None = None) -> None:
        super().__init__(
            f"{_label(lock_name)} is not held: release it once, after an acquire that "
            f"succeeded; 'with' and 'async with' do so by themselves",
            lock_name,
        )
        self.lock_name = lock_name


class LockFileError(LockError, OSError):
    """A lock file cannot be used.

    Attributes:
        path: Of the file, or of its folder.
        reason: What is wrong, and what to do.
        errno: The number of the system's error, or None.
    """

    def __init__(self, path: str, reason: str, errno: int | None = None) -> None:
        super().__init__(f"the lock file {path!r} cannot be used: {reason}")
        self._data = (path, reason, errno)
        self.path = path
        self.reason = reason
        self.errno = errno


class SemaphoreOverReleased(LockError, ValueError):  # noqa: N818 - what happened
    """A bounded semaphore was released more often than it was acquired.

    It is a `ValueError` as from `threading.BoundedSemaphore`. Nothing was released.

    Attributes:
        bound: How many permits there are.
        lock_name: The semaphore's name, or None.
    """

    def __init__(self, bound: int, lock_name: str | None = None) -> None:
        label = "" if lock_name is None else f" {lock_name!r}"
        permits = "1 permit" if bound == 1 else f"{bound} permits"
        super().__init__(
            f"the bounded semaphore{label} cannot have more than its {permits}: "
            f"release it once for each acquire that succeeded; 'with' and 'async with' "
            f"do so by themselves",
            bound,
            lock_name,
        )
        self.bound = bound
        self.lock_name = lock_name


class WouldDeadlock(LockError, RuntimeError):  # noqa: N818 - says what would happen
    """Waiting for this lock, here, would never end.

    Attributes:
        reason: Why the wait could not end.
        advice: What to do instead.
        lock_name: The lock's name, or None.
    """

    def __init__(self, reason: str, advice: str, lock_name: str | None = None) -> None:
        super().__init__(
            f"waiting for {_label(lock_name)} would never end: {reason}; {advice}",
            reason,
            advice,
            lock_name,
        )
        self.reason = reason
        self.advice = advice
        self.lock_name = lock_name


class WrongEventLoop(LockError, RuntimeError):  # noqa: N818 - says what is wrong
    """A lock of kind "async" cannot be waited for from here.

    Either tasks of another event loop use it at this moment, or the calling
    thread belongs to no event loop at all.

    Attributes:
        reason: What is wrong.
        advice: What to do instead.
        lock_name: The lock's name, or None.
    """

    def __init__(self, reason: str, advice: str, lock_name: str | None = None) -> None:
        super().__init__(
            f"{_label(lock_name)} {reason}; {advice}", reason, advice, lock_name
        )
        self.reason = reason
        self.advice = advice
        self.lock_name = lock_name
