"""The factories of locks; those of semaphores and conditions are in `_family`."""

from __future__ import annotations

from anylock._adapters import adapter

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from os import PathLike
    from typing import Any, Literal, overload

    from anylock._async.lock import AsyncLock
    from anylock._async.rlock import AsyncRLock
    from anylock._async.rwlock import AsyncRWLock
    from anylock._machine.lock import MachineLock
    from anylock._machine.rwlock import MachineRWLock
    from anylock._process.lock import ProcessLock
    from anylock._process.rlock import ProcessRLock
    from anylock._protocol import Lock, RWLock
    from anylock._thread.lock import ThreadLock
    from anylock._thread.rlock import ThreadRLock
    from anylock._thread.rwlock import ThreadRWLock
    from anylock.debug._async import DebugAsyncLock, DebugAsyncRLock, DebugAsyncRWLock
    from anylock.debug._machine import DebugMachineLock, DebugMachineRWLock
    from anylock.debug._process import DebugProcessLock, DebugProcessRLock
    from anylock.debug._protocols import DebugLock, DebugRWLock
    from anylock.debug._thread import (
        DebugThreadLock,
        DebugThreadRLock,
        DebugThreadRWLock,
    )
else:

    def overload(function):  # noqa: ANN001, ANN202 - what remains of it at run time
        return function


@overload
def make_lock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[True],
    reset_after_fork: bool = False,
) -> DebugThreadLock: ...
@overload
def make_lock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    reset_after_fork: bool = False,
) -> ThreadLock: ...
@overload
def make_lock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    debug: Literal[True],
    context: BaseContext | None = None,
) -> DebugProcessLock: ...
@overload
def make_lock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    context: BaseContext | None = None,
) -> ProcessLock: ...
@overload
def make_lock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[True],
    fast_acquire: bool = False,
) -> DebugAsyncLock: ...
@overload
def make_lock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    fast_acquire: bool = False,
) -> AsyncLock: ...
@overload
def make_lock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    debug: Literal[True],
    path: str | PathLike[str] | None = None,
    fair: bool = False,
) -> DebugMachineLock: ...
@overload
def make_lock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    path: str | PathLike[str] | None = None,
    fair: bool = False,
) -> MachineLock: ...
@overload
def make_lock(
    kind: str | None = None, *, name: str | None = None, debug: Literal[True]
) -> DebugLock: ...
@overload
def make_lock(
    kind: str | None = None, *, name: str | None = None, debug: bool | None = None
) -> Lock: ...
def make_lock(
    kind: str | None = None,
    *,
    name: str | None = None,
    debug: bool | None = None,
    **options: Any,
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
        debug: Whether it records who holds it and who waits, and tells of deadlocks:
            see `anylock.debug`. None takes what the environment variable
            `ANYLOCK_DEBUG` says, which is no unless it is set.
        **options: `reset_after_fork` for "thread", `context` for "process", `path` and
            `fair` for "machine", `fast_acquire` for "async"; see the classes.

    Raises:
        TypeError: The kind does not take such an option, `name` is not a string, or
            "machine" is given neither a `name` nor a `path`.
        ValueError: There is no such kind, or "machine" cannot have such a `name`.
        ImportError: A `name` for "machine" needs `platformdirs`: the extra "machine".
        LockFileError: The folder of the named locks is not private to this user.
    """
    lock: Lock = adapter(kind, "Lock", options, debug=debug)(name, **options)
    return lock


@overload
def make_rlock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[True],
    reset_after_fork: bool = False,
) -> DebugThreadRLock: ...
@overload
def make_rlock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    reset_after_fork: bool = False,
) -> ThreadRLock: ...
@overload
def make_rlock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    debug: Literal[True],
    context: BaseContext | None = None,
) -> DebugProcessRLock: ...
@overload
def make_rlock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    context: BaseContext | None = None,
) -> ProcessRLock: ...
@overload
def make_rlock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[True],
    fast_acquire: bool = False,
) -> DebugAsyncRLock: ...
@overload
def make_rlock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    fast_acquire: bool = False,
) -> AsyncRLock: ...
@overload
def make_rlock(
    kind: str | None = None, *, name: str | None = None, debug: Literal[True]
) -> DebugLock: ...
@overload
def make_rlock(
    kind: str | None = None, *, name: str | None = None, debug: bool | None = None
) -> Lock: ...
def make_rlock(
    kind: str | None = None,
    *,
    name: str | None = None,
    debug: bool | None = None,
    **options: Any,
) -> Lock:
    """Make a re-entrant lock: who holds it may enter it again, and leaves as often.

    Who entered by `async with` holds it as a task, who entered by `with` as a
    thread. Inside of `async with` the same task may use `with` as well.

    Args:
        kind: "thread", "process" or "async", as for `make_lock`.
        name: A label for reprs and errors.
        debug: As for `make_lock`.
        **options: As for `make_lock`.

    Raises:
        TypeError: The kind does not take such an option, or `name` is not a string.
        ValueError: There is no such kind.
    """
    lock: Lock = adapter(kind, "RLock", options, debug=debug)(name, **options)
    return lock


@overload
def make_rwlock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[True],
    reset_after_fork: bool = False,
) -> DebugThreadRWLock: ...
@overload
def make_rwlock(
    kind: Literal["thread"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    reset_after_fork: bool = False,
) -> ThreadRWLock: ...
@overload
def make_rwlock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[True],
    fast_acquire: bool = False,
) -> DebugAsyncRWLock: ...
@overload
def make_rwlock(
    kind: Literal["async"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    fast_acquire: bool = False,
) -> AsyncRWLock: ...
@overload
def make_rwlock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    debug: Literal[True],
    path: str | PathLike[str] | None = None,
) -> DebugMachineRWLock: ...
@overload
def make_rwlock(
    kind: Literal["machine"],
    *,
    name: str | None = None,
    debug: Literal[False] | None = None,
    path: str | PathLike[str] | None = None,
) -> MachineRWLock: ...
@overload
def make_rwlock(
    kind: str | None = None, *, name: str | None = None, debug: Literal[True]
) -> DebugRWLock: ...
@overload
def make_rwlock(
    kind: str | None = None, *, name: str | None = None, debug: bool | None = None
) -> RWLock: ...
def make_rwlock(
    kind: str | None = None,
    *,
    name: str | None = None,
    debug: bool | None = None,
    **options: Any,
) -> RWLock:
    """Make a read-write lock: many are inside of its `read`, or one of its `write`.

    Args:
        kind: "thread", "machine" or "async", as for `make_lock`. Between a process and
            its children use "machine".
        name: As for `make_lock`.
        debug: As for `make_lock`.
        **options: As for `make_lock`, without `fair`.

    Raises:
        TypeError: As for `make_lock`, like those that follow.
        ValueError: There is no such kind, or "machine" cannot have such a `name`.
        ImportError: A `name` for "machine" needs `platformdirs`: the extra "machine".
        LockFileError: The folder of the named locks is not private to this user, or
            "machine" is asked for on Windows.
    """
    lock: RWLock = adapter(kind, "RWLock", options, debug=debug)(name, **options)
    return lock
