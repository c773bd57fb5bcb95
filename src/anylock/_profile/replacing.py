"""Puts the stand-ins into the place of the real locks."""

from __future__ import annotations

import asyncio
import asyncio.locks
import multiprocessing
import multiprocessing.context
import threading
from typing import TYPE_CHECKING, Any

from anylock import _adapters
from anylock._profile import origin, tasks, threads
from anylock.debug._stacks import get_frame

if TYPE_CHECKING:
    from collections.abc import Callable

_default: Any = multiprocessing.context._default_context  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the package has methods of

_OF_TASKS = ("BoundedSemaphore", "Condition", "Lock", "Semaphore")
_OF_THREADS = (*_OF_TASKS, "RLock")


def replace() -> Callable[[], None]:
    """Put the stand-ins there; who asked for a lock before has a real one.

    Returns:
        What puts the real ones back.
    """
    undo: list[tuple[Any, str, Any]] = []

    def put(where: Any, name: str, what: Any) -> None:
        undo.append((where, name, getattr(where, name)))
        setattr(where, name, what)

    def restore() -> None:
        origin.enabled = False
        for where, name, what in reversed(undo):
            setattr(where, name, what)

    for name in _OF_THREADS:
        put(threading, name, getattr(threads, name))
        # Not the classes of multiprocessing.synchronize: pickle finds them by name,
        # for the locks that the standard library has sent to other processes.
        put(multiprocessing.context.BaseContext, name, _method(name))
        # The functions of the package are methods of the default context.
        put(multiprocessing, name, getattr(_default, name))
    for name in _OF_TASKS:
        for module in (asyncio, asyncio.locks):
            put(module, name, getattr(tasks, name))
    put(_adapters, "debugging", True)
    origin.enabled = True
    return restore


def _method(name: str) -> Any:
    """Return what makes a lock of the kind "process", as a method of contexts."""
    real: Any = getattr(multiprocessing.context.BaseContext, name)

    def make(self: Any, *arguments: Any, **options: Any) -> Any:
        if origin.origin(get_frame(0).f_back) is None:
            return real(self, *arguments, **options)
        # Only now: it takes much that the program may not need.
        from anylock._profile import processes  # noqa: PLC0415

        standin: Any = getattr(processes, name)
        return standin(*arguments, **options, ctx=self.get_context())

    make.__name__ = name
    make.__doc__ = real.__doc__
    return make
