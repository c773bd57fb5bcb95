"""The contracts that every kind keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

LockKind = Literal["async", "machine", "process", "thread"]
"""The rungs of the ladder, by name."""


@runtime_checkable
class Lock(Protocol):
    """What every kind of lock can do: the portable surface.

    Code that uses only these names runs under threads, processes, asyncio and
    trio alike. A lock of `make_lock` is not re-entrant: who holds it and waits for
    it waits for ever, or gets `WouldDeadlock` where that can be known. One of
    `make_rlock` has the same names, and who holds it may enter it again.

    `isinstance(x, Lock)` checks that the names exist, not what they do;
    `anylock.testing.check_lock` checks what they do.
    """

    @property
    def kind(self) -> str:
        """Who may contend: one of `LockKind`, or a name of your own."""
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


@runtime_checkable
class Semaphore(Protocol):
    """What every kind of semaphore can do: the portable surface.

    A semaphore counts permits: who enters takes one and waits while there is none,
    who leaves gives one back. It has no owner; anybody may release.

    `isinstance(x, Semaphore)` checks that the names exist, not what they do;
    `anylock.testing.check_semaphore` checks what they do.
    """

    @property
    def kind(self) -> str:
        """Who may contend: "thread", "process", "async", or a name of your own."""
        ...

    @property
    def name(self) -> str | None:
        """A label for reprs, errors and diagnostics; None if none was given."""
        ...

    @property
    def value(self) -> int:
        """How many permits are free at this moment."""
        ...

    def __enter__(self) -> object:
        """Wait for a permit and take it, blocking this thread."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Give a permit back."""
        ...

    def __aenter__(self) -> Awaitable[object]:
        """Wait for a permit and take it, without blocking the event loop."""
        ...

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]:
        """Give a permit back; never a checkpoint."""
        ...

    def hold(self, timeout: float | None = None) -> Hold:
        """Give a context manager that waits at most `timeout` seconds for a permit.

        It works with `with` and with `async with`, and raises `LockTimeout` when
        the time is over. None waits for ever, 0 tries once.
        """
        ...

    def try_acquire(self) -> bool:
        """Take a permit if that needs no waiting; say whether it was taken."""
        ...

    def release(self, n: int = 1) -> None:
        """Give `n` permits back; never blocks, never a checkpoint."""
        ...

    def locked(self) -> bool:
        """Say whether who wants a permit at this moment would have to wait."""
        ...


@runtime_checkable
class Condition(Lock, Protocol):
    """What every kind of condition can do: a lock, and waiting to be notified.

    To wait and to notify takes the lock. `wait` and `wait_for` are methods that
    block on the kinds "thread" and "process", and coroutine functions on "async", as
    in the classes of the standard library that these replace.

    `isinstance(x, Condition)` checks that the names exist, not what they do;
    `anylock.testing.check_condition` checks what they do.
    """

    def wait(self, timeout: float | None = None) -> bool | Awaitable[bool]:
        """Give the lock up, wait to be notified, and take the lock again.

        False when `timeout` seconds were over before; None waits for ever.
        """
        ...

    def wait_for(
        self, predicate: Callable[[], object], timeout: float | None = None
    ) -> object:
        """Wait until `predicate()` is true, and give what it returned last."""
        ...

    def notify(self, n: int = 1) -> None:
        """Let the `n` that wait longest go on, once they have the lock again."""
        ...

    def notify_all(self) -> None:
        """Let all that wait go on, one after the other."""
        ...


@runtime_checkable
class RWLock(Protocol):
    """What every kind of read-write lock can do: two locks, many readers or one writer.

    Any number may be inside of `read` at the same time, or one inside of `write`. Who
    comes to read waits behind a writer that waits. Who reads may enter `read` again.

    `isinstance(x, RWLock)` checks that the names exist, not what they do.
    """

    @property
    def kind(self) -> str:
        """Who may contend: "thread", "machine", "async", or a name of your own."""
        ...

    @property
    def name(self) -> str | None:
        """A label for reprs, errors and diagnostics; None if none was given."""
        ...

    @property
    def read(self) -> Lock:
        """The lock that many hold at the same time, to read."""
        ...

    @property
    def write(self) -> Lock:
        """The lock that one holds, to write, while nobody reads."""
        ...
