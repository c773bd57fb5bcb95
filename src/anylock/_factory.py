"""The factories: from the name of a kind to its adapter, imported on first use."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from os import PathLike
    from typing import Any, Literal, overload

    from anylock._async.condition import AsyncCondition
    from anylock._async.lock import AsyncLock
    from anylock._async.rlock import AsyncRLock
    from anylock._async.rwlock import AsyncRWLock
    from anylock._async.semaphore import AsyncSemaphore
    from anylock._machine.lock import MachineLock
    from anylock._machine.rwlock import MachineRWLock
    from anylock._process.condition import ProcessCondition
    from anylock._process.lock import ProcessLock
    from anylock._process.rlock import ProcessRLock
    from anylock._process.semaphore import ProcessSemaphore
    from anylock._protocol import Condition, Lock, RWLock, Semaphore
    from anylock._thread.condition import ThreadCondition
    from anylock._thread.lock import ThreadLock
    from anylock._thread.rlock import ThreadRLock
    from anylock._thread.rwlock import ThreadRWLock
    from anylock._thread.semaphore import ThreadSemaphore
else:

    def overload(function):  # noqa: ANN001, ANN202 - what remains of it at run time
        return function


_OPTIONS: dict[str, frozenset[str]] = {
    "async": frozenset({"fast_acquire"}),
    "machine": frozenset({"fair", "path"}),
    "process": frozenset({"context"}),
    "thread": frozenset({"reset_after_fork"}),
}
"""Kind -> the options it takes beside those that all kinds take."""

_FAMILY = ("async", "process", "thread")
_KINDS: dict[str, tuple[str, ...]] = {
    "Lock": tuple(_OPTIONS),
    "RWLock": ("async", "machine", "thread"),
}
"""Member of the family -> the kinds that have it, if these are not the usual three."""

_FEWER_OPTIONS: dict[str, frozenset[str]] = {
    "Condition": frozenset({"context"}),  # the others are those of its lock
    "RWLock": frozenset({"fast_acquire", "path", "reset_after_fork"}),
}
"""Member of the family -> the options it takes, if these are not all of its kind."""

_loaded: dict[tuple[str, str], Any] = {}
"""Kind and member of the family -> class, once it has been used."""


@overload
def make_lock(
    kind: Literal["thread"], *, name: str | None = None, reset_after_fork: bool = False
) -> ThreadLock: ...
@overload
def make_lock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    context: BaseContext | None = None,
) -> ProcessLock: ...
@overload
def make_lock(
    kind: Literal["async"], *, name: str | None = None, fast_acquire: bool = False
) -> AsyncLock: ...
@overload
def make_lock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    path: str | PathLike[str] | None = None,
    fair: bool = False,
) -> MachineLock: ...
@overload
def make_lock(kind: str | None = None, *, name: str | None = None) -> Lock: ...
def make_lock(
    kind: str | None = None, *, name: str | None = None, **options: Any
) -> Lock:
    """Make a lock of the kind that covers everybody who may contend.

    Take the lowest rung that is high enough: "async" for tasks of one event loop,
    "thread" for threads and tasks of one process, "process" for a process and the
    processes it starts, "machine" for all processes of this machine that know its name.
    All are used alike; see `Lock`.

    Args:
        kind: "thread", "process", "machine" or "async". None takes the value of the
            environment variable `ANYLOCK_KIND`; if that is not set, "async" where an
            event loop of asyncio or trio runs in this thread, else "thread".
        name: A label for reprs and errors; for "machine" what processes meet by.
        **options: `reset_after_fork` for "thread", `context` for "process", `path` and
            `fair` for "machine", `fast_acquire` for "async"; see the classes.

    Raises:
        TypeError: The kind does not take such an option, `name` is not a string, or
            "machine" is given neither a `name` nor a `path`.
        ValueError: There is no such kind, or "machine" cannot have such a `name`.
        ImportError: A `name` for "machine" needs `platformdirs`: the extra "machine".
        LockFileError: The folder of the named locks is not private to this user.
    """
    lock: Lock = _adapter(kind, "Lock", options)(name, **options)
    return lock


@overload
def make_rlock(
    kind: Literal["thread"], *, name: str | None = None, reset_after_fork: bool = False
) -> ThreadRLock: ...
@overload
def make_rlock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    context: BaseContext | None = None,
) -> ProcessRLock: ...
@overload
def make_rlock(
    kind: Literal["async"], *, name: str | None = None, fast_acquire: bool = False
) -> AsyncRLock: ...
@overload
def make_rlock(kind: str | None = None, *, name: str | None = None) -> Lock: ...
def make_rlock(
    kind: str | None = None, *, name: str | None = None, **options: Any
) -> Lock:
    """Make a re-entrant lock: who holds it may enter it again, and leaves as often.

    Who entered by `async with` holds it as a task, who entered by `with` as a
    thread. Inside of `async with` the same task may use `with` as well.

    Args:
        kind: "thread", "process" or "async", as for `make_lock`.
        name: A label for reprs and errors.
        **options: As for `make_lock`.

    Raises:
        TypeError: The kind does not take such an option, or `name` is not a string.
        ValueError: There is no such kind.
    """
    lock: Lock = _adapter(kind, "RLock", options)(name, **options)
    return lock


@overload
def make_semaphore(
    kind: Literal["thread"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    reset_after_fork: bool = False,
) -> ThreadSemaphore: ...
@overload
def make_semaphore(
    kind: Literal["process"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    context: BaseContext | None = None,
) -> ProcessSemaphore: ...
@overload
def make_semaphore(
    kind: Literal["async"],
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    fast_acquire: bool = False,
) -> AsyncSemaphore: ...
@overload
def make_semaphore(
    kind: str | None = None,
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
) -> Semaphore: ...
def make_semaphore(
    kind: str | None = None,
    value: int = 1,
    *,
    bounded: bool = False,
    name: str | None = None,
    **options: Any,
) -> Semaphore:
    """Make a semaphore: `value` may be inside at the same time.

    Args:
        kind: "thread", "process" or "async", as for `make_lock`.
        value: How many permits there are at first; ten million at most for "thread".
        bounded: Whether it is an error to release more often than was acquired:
            `SemaphoreOverReleased`. If not, that makes more permits.
        name: A label for reprs and errors.
        **options: As for `make_lock`.

    Raises:
        TypeError: The kind does not take such an option, `value` is not an int, or
            `name` is not a string.
        ValueError: There is no such kind, or `value` is negative or too large.
    """
    member = "BoundedSemaphore" if bounded else "Semaphore"
    made: Semaphore = _adapter(kind, member, options)(value, name, **options)
    return made


@overload
def make_condition(
    kind: Literal["thread"],
    lock: ThreadLock | ThreadRLock | None = None,
    *,
    name: str | None = None,
) -> ThreadCondition: ...
@overload
def make_condition(
    kind: Literal["process"],
    lock: ProcessLock | ProcessRLock | None = None,
    *,
    name: str | None = None,
    context: BaseContext | None = None,
) -> ProcessCondition: ...
@overload
def make_condition(
    kind: Literal["async"],
    lock: AsyncLock | AsyncRLock | None = None,
    *,
    name: str | None = None,
) -> AsyncCondition: ...
@overload
def make_condition(
    kind: str | None = None, lock: Lock | None = None, *, name: str | None = None
) -> Condition: ...
def make_condition(
    kind: str | None = None,
    lock: Lock | None = None,
    *,
    name: str | None = None,
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
        **options: `context` for "process".

    Raises:
        TypeError: The kind does not take such an option, `lock` is not a lock of that
            kind, or `name` is not a string.
        ValueError: There is no such kind.
    """
    if kind is None and lock is not None:
        kind = lock.kind
    made: Condition = _adapter(kind, "Condition", options)(lock, name, **options)
    return made


@overload
def make_rwlock(
    kind: Literal["thread"], *, name: str | None = None, reset_after_fork: bool = False
) -> ThreadRWLock: ...
@overload
def make_rwlock(
    kind: Literal["async"], *, name: str | None = None, fast_acquire: bool = False
) -> AsyncRWLock: ...
@overload
def make_rwlock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    path: str | PathLike[str] | None = None,
) -> MachineRWLock: ...
@overload
def make_rwlock(kind: str | None = None, *, name: str | None = None) -> RWLock: ...
def make_rwlock(
    kind: str | None = None, *, name: str | None = None, **options: Any
) -> RWLock:
    """Make a read-write lock: many are inside of its `read`, or one of its `write`.

    Args:
        kind: "thread", "machine" or "async", as for `make_lock`. Between a process and
            its children use "machine".
        name: As for `make_lock`.
        **options: As for `make_lock`, without `fair`.

    Raises:
        TypeError: As for `make_lock`, like those that follow.
        ValueError: There is no such kind, or "machine" cannot have such a `name`.
        ImportError: A `name` for "machine" needs `platformdirs`: the extra "machine".
        LockFileError: The folder of the named locks is not private to this user, or
            "machine" is asked for on Windows.
    """
    lock: RWLock = _adapter(kind, "RWLock", options)(name, **options)
    return lock


def _adapter(kind: str | None, member: str, options: dict[str, Any]) -> Any:
    """Return the class of that kind, which takes these options."""
    source = "kind"
    if kind is None:
        kind = os.environ.get("ANYLOCK_KIND")
        source = "the environment variable ANYLOCK_KIND"
    if kind is None:
        kind = "async" if _in_event_loop() else "thread"
    known = _KINDS.get(member, _FAMILY)
    if not isinstance(kind, str) or kind not in known:  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = ", ".join(map(repr, known))
        message = f"{source} must be one of {kinds}, not {kind!r}"
        raise ValueError(message)
    if options:
        _refuse_foreign_options(kind, member, options)
    return _loaded.get((kind, member)) or _load(kind, member)


def _refuse_foreign_options(kind: str, member: str, options: dict[str, Any]) -> None:
    known = _taken_by(kind, member)
    for option in options.keys() - known:
        others = _KINDS.get(member, _FAMILY)
        takers = [each for each in others if option in _taken_by(each, member)]
        where = f"; {option!r} belongs to {takers[0]!r}" if takers else ""
        takes = ", ".join(["name", *sorted(known)])
        message = f"kind {kind!r} does not take {option!r}: it takes {takes}{where}"
        raise TypeError(message)


def _taken_by(kind: str, member: str) -> frozenset[str]:
    return _OPTIONS[kind] & _FEWER_OPTIONS.get(member, _OPTIONS[kind])


def _load(kind: str, member: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 - once per class

    module = import_module(f"anylock._{kind}.{member.removeprefix('Bounded').lower()}")
    found = _loaded[kind, member] = getattr(module, f"{kind.capitalize()}{member}")
    return found


def _in_event_loop() -> bool:
    # Whoever runs a loop has imported its library; nothing else needs to be.
    if "asyncio" not in sys.modules and "trio" not in sys.modules:
        return False
    from anylock._parking import running_library  # noqa: PLC0415 - as said above

    return running_library() is not None
