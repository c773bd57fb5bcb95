"""The contracts that every kind keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

LockKind = Literal["async", "process", "thread"]
"""The rungs of the ladder, by name."""


@runtime_checkable
class Lock(Protocol):
    """What every kind of lock can do: the portable surface.

    Code that uses only these names runs under threads, processes, asyncio and
    trio alike. No lock is re-entrant: who holds it and waits for it waits for
    ever, or gets `WouldDeadlock` where that can be known.

    `isinstance(x, Lock)` checks that the names exist, not what they do;
    `anylock.testing.check_lock` checks what they do.
    """

    @property
    def kind(self) -> str:
        """Who may contend: "thread", "process", "async", or a name of your own."""
        ...

    @property
    def name(self) -> str | None:
        """A label for reprs, errors and diagnostics; None if none was given."""
        ...

    def __enter__(self) -> object:
        """Wait for the lock and take it, blocking this thread."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        ...

    def __aenter__(self) -> Awaitable[object]:
        """Wait for the lock and take it, without blocking the event loop."""
        ...

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]:
        """Release the lock; never a checkpoint."""
        ...

    def hold(self, timeout: float | None = None) -> Hold:
        """Give a context manager that waits at most `timeout` seconds.

        It works with `with` and with `async with`, and raises `LockTimeout` when
        the time is over. None waits for ever, 0 tries once.
        """
        ...

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        ...

    def release(self) -> None:
        """Release the lock; never blocks, never a checkpoint."""
        ...

    def locked(self) -> bool:
        """Say whether anybody holds the lock at this moment."""
        ...


class Hold(Protocol):
    """What `Lock.hold` returns: a context manager of both colours."""

    def __enter__(self) -> object:
        """Wait for the lock, blocking this thread; `LockTimeout` when time is over."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        ...

    def __aenter__(self) -> Awaitable[object]:
        """Wait for the lock in a task; `LockTimeout` when time is over."""
        ...

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]:
        """Release the lock."""
        ...
