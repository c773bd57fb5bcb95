"""Has the locks block by the scheduler's primitives and read the scheduler's clock.

For good: whoever calls `install` is a process of its own, for schedules only.
"""

from __future__ import annotations

import _thread
import importlib
import multiprocessing
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .primitives import Lock, Permits, Primitive, RLock, SemLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .scheduler import Scheduler

_MODULES = (
    *(f"_bridge.{name}" for name in ("base", "loans", "lock", "queue", "rlock")),
    *(f"_thread.{name}" for name in ("condition", "lock", "rlock", "semaphore")),
    *(
        "_bridge.semaphore",
        "_bridge.steps",
        "_process.base",
        "_blocking",
        "_bridged",
        "_notices",
    ),
)


def install() -> None:
    """Replace what blocks, and what tells the time, in the modules of anylock."""
    threads = SimpleNamespace(
        RLock=RLock,
        allocate_lock=Lock,
        get_ident=_thread.get_ident,
        start_new_thread=_start_new_thread,
    )
    instead = {
        "_thread": threads,
        "SimpleQueue": Permits,
        "monotonic": lambda: Primitive.scheduler.now,
        "sleep": _sleep,
    }
    for name in _MODULES:
        module = importlib.import_module(f"anylock.{name}")
        for attribute, replacement in instead.items():
            if hasattr(module, attribute):
                setattr(module, attribute, replacement)


def begin(scheduler: Scheduler) -> None:
    """Have everything block by this scheduler from now on.

    How long tasks hand the lock on among themselves, and how often the helper looks
    whether anybody still waits, is drawn: nothing may depend on it but the speed.
    """
    Primitive.scheduler = scheduler
    random: Random = scheduler.random
    tenure, part = random.choice((0.005, 0.0005)), random.choice((0.1, 0.002))
    for name, value in (("TENURE", tenure), ("SLICE", part)):
        for module in ("queue", "rlock"):
            vars(importlib.import_module(f"anylock._bridge.{module}"))[name] = value
    bridged: Any = importlib.import_module("anylock._bridged")
    bridged._making = RLock()


def process_lock() -> Any:
    """Make a `ProcessLock` whose semaphore is of the scheduler."""
    from anylock import ProcessLock

    lock: Any = ProcessLock(context=multiprocessing.get_context("fork"))
    lock._semlock = SemLock(1)
    lock._use_native()
    return lock


def is_native(lock: Any) -> bool:
    """Say whether who enters the lock runs the primitive's method."""
    method = lock.__enter__
    return isinstance(getattr(method, "__self__", None), Primitive)


def is_free(lock: Any) -> bool:
    """Say whether the primitive underneath is to be had."""
    for name in ("_inner", "_permits", "_semlock"):
        inner = getattr(lock, name, None)
        if isinstance(inner, Primitive):
            return inner.free
    return True


def _sleep(seconds: float) -> None:
    Primitive.scheduler.sleep(seconds)


class NoThreadError(RuntimeError):
    """As there are too many threads."""


def _start_new_thread(target: Callable[..., None], args: tuple[Any, ...]) -> int:
    scheduler = Primitive.scheduler
    if scheduler.starved and scheduler.random.random() < 0.5:  # noqa: PLR2004 - half
        raise NoThreadError
    scheduler.spawn("helper", partial(target, *args))
    scheduler.pause("a thread is started")
    return 0
