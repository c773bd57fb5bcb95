"""The factories of semaphores and conditions; those of locks are in `_factory`."""

from __future__ import annotations

from anylock._adapters import adapter

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from typing import Any, Literal, overload

    from anylock._async.condition import AsyncCondition
    from anylock._async.lock import AsyncLock
    from anylock._async.rlock import AsyncRLock
    from anylock._async.semaphore import AsyncSemaphore
    from anylock._process.condition import ProcessCondition
    from anylock._process.lock import ProcessLock
    from anylock._process.rlock import ProcessRLock
    from anylock._process.semaphore import ProcessSemaphore
    from anylock._protocol import Condition, Lock, Semaphore
    from anylock._thread.condition import ThreadCondition
    from anylock._thread.lock import ThreadLock
    from anylock._thread.rlock import ThreadRLock
    from anylock._thread.semaphore import ThreadSemaphore
    from anylock.debug._async import DebugAsyncCondition, DebugAsyncSemaphore
    from anylock.debug._process import DebugProcessCondition, DebugProcessSemaphore
    from anylock.debug._protocols import DebugCondition, DebugSemaphore
    from anylock.debug._thread import DebugThreadCondition, DebugThreadSemaphore
else:

    def overload(function):  # noqa: ANN001, ANN202 - what remains of it at run time
        return function


@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["thread"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[True],
    reset_after_fork: bool = False,
) -> DebugThreadSemaphore: ...
@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["thread"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[False] | None = None,
    reset_after_fork: bool = False,
) -> ThreadSemaphore: ...
@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["process"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[True],
    context: BaseContext | None = None,
) -> DebugProcessSemaphore: ...
@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["process"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[False] | None = None,
    context: BaseContext | None = None,
) -> ProcessSemaphore: ...
@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["async"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[True],
    fast_acquire: bool = False,
) -> DebugAsyncSemaphore: ...
@overload
def make_semaphore(  # noqa: PLR0913 - by name only
    kind: Literal["async"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[False] | None = None,
    fast_acquire: bool = False,
) -> AsyncSemaphore: ...
@overload
def make_semaphore(
    kind: str | None = None,
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: Literal[True],
) -> DebugSemaphore: ...
@overload
def make_semaphore(
    kind: str | None = None,
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: bool | None = None,
) -> Semaphore: ...
def make_semaphore(
    kind: str | None = None,
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    debug: bool | None = None,
    **options: Any,
) -> Semaphore:
    """Make a semaphore: `value` may be inside at the same time.

    Args:
        kind: "thread", "process" or "async", as for `make_lock`.
        value: How many permits there are at first; ten million at most for "thread".
        bounded: Whether it is an error to release more often than was acquired:
            `SemaphoreOverReleased`. If not, that makes more permits.
        name: A label for reprs and errors.
        debug: As for `make_lock`.
        **options: As for `make_lock`.

    Raises:
        TypeError: The kind does not take such an option, `value` is not an int, or
            `name` is not a string.
        ValueError: There is no such kind, or `value` is negative or too large.
    """
    member = "BoundedSemaphore" if bounded else "Semaphore"
    made: Semaphore = adapter(kind, member, options, debug=debug)(
        value, name, **options
    )
    return made


@overload
def make_condition(
    kind: Literal["thread"],
    lock: ThreadLock | ThreadRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[True],
) -> DebugThreadCondition: ...
@overload
def make_condition(
    kind: Literal["thread"],
    lock: ThreadLock | ThreadRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
) -> ThreadCondition: ...
@overload
def make_condition(
    kind: Literal["process"],
    lock: ProcessLock | ProcessRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[True],
    context: BaseContext | None = None,
) -> DebugProcessCondition: ...
@overload
def make_condition(
    kind: Literal["process"],
    lock: ProcessLock | ProcessRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    context: BaseContext | None = None,
) -> ProcessCondition: ...
@overload
def make_condition(
    kind: Literal["async"],
    lock: AsyncLock | AsyncRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[True],
) -> DebugAsyncCondition: ...
@overload
def make_condition(
    kind: Literal["async"],
    lock: AsyncLock | AsyncRLock | None = None,
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
) -> AsyncCondition: ...
@overload
def make_condition(
    kind: str | None = None,
    lock: Lock | None = None,
    *,
    name: str | None = None,
    debug: Literal[True],
) -> DebugCondition: ...
@overload
def make_condition(
    kind: str | None = None,
    lock: Lock | None = None,
    *,
    name: str | None = None,
    debug: bool | None = None,
) -> Condition: ...
def make_condition(
    kind: str | None = None,
    lock: Lock | None = None,
    *,
    name: str | None = None,
    debug: bool | None = None,
    **options: Any,
) -> Condition:
    """Make a condition: a lock whose holders can wait to be notified.

    Args:
        kind: "thread", "process" or "async", as for `make_lock`; None takes that of the
            `lock`, if one is given.
        lock: A lock of the same kind, of `make_lock` or `make_rlock`. None makes one
            as the standard library does: re-entrant for "thread" and "process", not
            so for "async".
        name: A label for reprs and errors.
        debug: As for `make_lock`.
        **options: `context` for "process".

    Raises:
        TypeError: The kind does not take such an option, `lock` is not a lock of that
            kind, or `name` is not a string.
        ValueError: There is no such kind.
    """
    if kind is None and lock is not None:
        kind = lock.kind
    made: Condition = adapter(kind, "Condition", options, debug=debug)(
        lock, name, **options
    )
    return made
