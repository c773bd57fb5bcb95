"""One lock for threads, processes, asyncio and trio.

>>> from anylock import make_lock
>>> lock = make_lock("thread")
>>> with lock:
...     lock.locked()
True

There are no asserts here for pytest to rewrite: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from anylock._errors import (
    LockError,
    LockFileError,
    LockNotHeldError,
    LockTimeout,
    SemaphoreOverReleased,
    WouldDeadlock,
    WrongEventLoop,
)
from anylock._factory import make_lock, make_rlock, make_rwlock
from anylock._family import make_condition, make_semaphore

# A constant of this name is what type checkers look for; importing it from typing
# would take longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from anylock._async.condition import AsyncCondition
    from anylock._async.lock import AsyncLock
    from anylock._async.rlock import AsyncRLock
    from anylock._async.rwlock import AsyncRWLock
    from anylock._async.semaphore import AsyncBoundedSemaphore, AsyncSemaphore
    from anylock._machine.lock import MachineLock
    from anylock._machine.record import LockHolder
    from anylock._machine.rwlock import MachineRWLock
    from anylock._process.condition import ProcessCondition
    from anylock._process.lock import ProcessLock
    from anylock._process.rlock import ProcessRLock
    from anylock._process.semaphore import ProcessBoundedSemaphore, ProcessSemaphore
    from anylock._protocol import (
        Condition,
        Hold,
        Lock,
        LockKind,
        RWLock,
        Semaphore,
    )
    from anylock._synchronized import synchronized
    from anylock._thread.condition import ThreadCondition
    from anylock._thread.lock import ThreadLock
    from anylock._thread.rlock import ThreadRLock
    from anylock._thread.rwlock import ThreadRWLock
    from anylock._thread.semaphore import ThreadBoundedSemaphore, ThreadSemaphore

__version__ = "0.1.0"

__all__ = [
    "AsyncBoundedSemaphore",
    "AsyncCondition",
    "AsyncLock",
    "AsyncRLock",
    "AsyncRWLock",
    "AsyncSemaphore",
    "Condition",
    "Hold",
    "Lock",
    "LockError",
    "LockFileError",
    "LockHolder",
    "LockKind",
    "LockNotHeldError",
    "LockTimeout",
    "MachineLock",
    "MachineRWLock",
    "ProcessBoundedSemaphore",
    "ProcessCondition",
    "ProcessLock",
    "ProcessRLock",
    "ProcessSemaphore",
    "RWLock",
    "Semaphore",
    "SemaphoreOverReleased",
    "ThreadBoundedSemaphore",
    "ThreadCondition",
    "ThreadLock",
    "ThreadRLock",
    "ThreadRWLock",
    "ThreadSemaphore",
    "WouldDeadlock",
    "WrongEventLoop",
    "make_condition",
    "make_lock",
    "make_rlock",
    "make_rwlock",
    "make_semaphore",
    "synchronized",
]

_HOMES = {
    "AsyncBoundedSemaphore": "_async.semaphore",
    "AsyncCondition": "_async.condition",
    "AsyncLock": "_async.lock",
    "AsyncRLock": "_async.rlock",
    "AsyncRWLock": "_async.rwlock",
    "AsyncSemaphore": "_async.semaphore",
    "Condition": "_protocol",
    "Hold": "_protocol",
    "Lock": "_protocol",
    "LockHolder": "_machine.record",
    "LockKind": "_protocol",
    "MachineLock": "_machine.lock",
    "MachineRWLock": "_machine.rwlock",
    "ProcessBoundedSemaphore": "_process.semaphore",
    "ProcessCondition": "_process.condition",
    "ProcessLock": "_process.lock",
    "ProcessRLock": "_process.rlock",
    "ProcessSemaphore": "_process.semaphore",
    "RWLock": "_protocol",
    "Semaphore": "_protocol",
    "ThreadBoundedSemaphore": "_thread.semaphore",
    "ThreadCondition": "_thread.condition",
    "ThreadLock": "_thread.lock",
    "ThreadRLock": "_thread.rlock",
    "ThreadRWLock": "_thread.rwlock",
    "ThreadSemaphore": "_thread.semaphore",
    "synchronized": "_synchronized",
}


if not TYPE_CHECKING:  # or they would take any name for one of these

    def __getattr__(name: str) -> object:
        # On first use: each of these imports more than everybody needs.
        if name not in _HOMES:
            message = f"module 'anylock' has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module  # noqa: PLC0415 - only here

        found: object = getattr(import_module(f"anylock.{_HOMES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
