"""What all kinds share: `hold`, the rule for time-outs, the rule for names."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from anylock._errors import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


class Entered(Protocol):
    """What `TimedHold` needs of a lock, beside two ways into it: the ways out."""

    @property
    def name(self) -> str | None: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]: ...


L = TypeVar("L", bound=Entered)


class TimedHold(Generic[L]):
    """The `Hold` of every adapter.

    It keeps no state of its own between entering and leaving, so one object may
    serve any number of threads and tasks.

    Args:
        lock: The lock to hold.
        timeout: Seconds, as the caller gave them.
        enter: Acquires it for a thread within so many seconds.
        enter_task: Acquires it for a task within so many seconds.
    """

    __slots__ = ("_enter", "_enter_task", "_lock", "_timeout")

    def __init__(
        self,
        lock: L,
        timeout: float | None,
        enter: Callable[[float | None], bool],
        enter_task: Callable[[float | None], Awaitable[bool]],
    ) -> None:
        self._lock = lock
        self._timeout = seconds(timeout)
        self._enter = enter
        self._enter_task = enter_task

    def __enter__(self) -> L:
        if not self._enter(self._timeout):
            raise self._timed_out()
        return self._lock

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._lock.__exit__(exc_type, exc_value, traceback)

    async def __aenter__(self) -> L:
        if not await self._enter_task(self._timeout):
            raise self._timed_out()
        return self._lock

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        await self._lock.__aexit__(exc_type, exc_value, traceback)

    def _timed_out(self) -> LockTimeout:
        return LockTimeout(self._timeout or 0.0, self._lock.name)

    def __repr__(self) -> str:
        return f"<hold of {self._lock!r}, timeout={self._timeout}>"


def seconds(timeout: float | None) -> float | None:
    """Apply the one rule for timeouts: seconds, None for ever, 0 tries once.

    Args:
        timeout: What the caller passed.

    Returns:
        Seconds as a float that every platform can wait for, or None for ever.

    Raises:
        TypeError: It is not a number, or it is a bool.
        ValueError: It is negative or NaN.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not hasattr(timeout, "__float__"):
        message = (
            f"timeout must be a number of seconds, or None to wait for ever, "
            f"not {timeout!r}"
        )
        raise TypeError(message)
    try:
        wait = float(timeout)
    except OverflowError:  # an int beyond all floats
        wait = threading.TIMEOUT_MAX if timeout > 0 else -1.0
    if not wait >= 0:
        message = (
            f"timeout must not be negative or NaN, but is {timeout!r}: pass None to "
            f"wait for ever, 0 to try once"
        )
        raise ValueError(message)
    if wait == math.inf:
        return None
    return min(wait, threading.TIMEOUT_MAX)


def checked_name(name: str | None) -> str | None:
    """Return `name` if it may label a lock; `TypeError` if it is not a string."""
    if name is not None and not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"name must be a string or None, not {name!r}"
        raise TypeError(message)
    return name


def checked_value(value: int) -> int:
    """Return `value` if a semaphore may begin with so many permits.

    Raises:
        TypeError: It is not an int.
        ValueError: It is negative.
    """
    if not isinstance(value, int) or isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"value must be the number of permits, an int, not {value!r}"
        raise TypeError(message)
    if value < 0:
        message = f"value must not be negative, but is {value}: it counts permits"
        raise ValueError(message)
    return value


def checked_count(n: int) -> int:
    """Return `n` if so many permits may be released.

    Raises:
        TypeError: It is not an int.
        ValueError: It is less than one.
    """
    if not isinstance(n, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"n must be a number of permits, an int, not {n!r}"
        raise TypeError(message)
    if n < 1:
        message = f"n must be one or more, not {n!r}"
        raise ValueError(message)
    return n
