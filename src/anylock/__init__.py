"""One lock for threads, processes, asyncio and trio.

>>> from anylock import make_lock
>>> lock = make_lock("thread")
>>> with lock:
...     lock.locked()
True
"""

from __future__ import annotations

from anylock._errors import (
    LockError,
    LockNotHeldError,
    LockTimeout,
    WouldDeadlock,
    WrongEventLoop,
)
from anylock._factory import make_lock

# A constant of this name is what type checkers look for; importing it from typing
# would take longer than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from anylock._async.lock import AsyncLock
    from anylock._process.lock import ProcessLock
    from anylock._protocol import Hold, Lock, LockKind
    from anylock._synchronized import synchronized
    from anylock._thread.lock import ThreadLock

__version__ = "0.1.0"

__all__ = [
    "AsyncLock",
    "Hold",
    "Lock",
    "LockError",
    "LockKind",
    "LockNotHeldError",
    "LockTimeout",
    "ProcessLock",
    "ThreadLock",
    "WouldDeadlock",
    "WrongEventLoop",
    "make_lock",
    "synchronized",
]

_HOMES = {
    "AsyncLock": "_async.lock",
    "Hold": "_protocol",
    "Lock": "_protocol",
    "LockKind": "_protocol",
    "ProcessLock": "_process.lock",
    "ThreadLock": "_thread.lock",
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
