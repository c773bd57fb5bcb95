"""One lock for threads, processes, asyncio and trio.

>>> from anylock import make_lock
>>> lock = make_lock("thread")
>>> with lock:
...     lock.locked()
True
"""

from typing import TYPE_CHECKING, Any

from anylock._errors import (
    LockError,
    LockNotHeldError,
    LockTimeout,
    WouldDeadlock,
    WrongEventLoop,
)
from anylock._factory import make_lock
from anylock._protocol import Hold, Lock, LockKind
from anylock._synchronized import synchronized

if TYPE_CHECKING:
    from anylock._async import AsyncLock
    from anylock._process import ProcessLock
    from anylock._thread import ThreadLock

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


def __getattr__(name: str) -> Any:
    # The adapters, on first use: some of them import more than everybody needs.
    from anylock import _factory  # noqa: PLC0415 - only here

    adapter = _factory.adapter_named(name)
    if adapter is None:
        message = f"module 'anylock' has no attribute {name!r}"
        raise AttributeError(message)
    return adapter
