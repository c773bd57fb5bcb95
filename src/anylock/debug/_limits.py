"""Whether the wait of a task ends by itself: by a time-out around it, or cancelled.

Neither asyncio nor trio has a public way to ask this of a task that is not running. So
what can be asked by the task itself is asked when it begins to wait. The rest is looked
for when a cycle was found, which is rare, in what its event loop is to do.
"""

from __future__ import annotations

import gc
import sys
from math import inf
from typing import Any

from anylock import _parking


def has_deadline() -> bool:
    """Say whether there is a time-out of trio or anyio around the running task."""
    modules: dict[str, Any] = sys.modules
    running = _parking.running_library()
    if running is None:  # as the lock inside will say
        return False
    library = modules.get("trio" if running == "trio" else "anyio")
    ask = getattr(library, "current_effective_deadline", None)
    return ask is not None and bool(ask() != inf)


def may_be_cancelled(task: Any) -> bool:
    """Say whether something is known that is to cancel a task, or has done so."""
    if task is None or _is_cancelled(task):
        return True
    return any(_limits(each, task) for each in _who_calls_back(task))


def _who_calls_back(task: Any) -> list[Any]:
    """Return objects among which are all those that the loop of a task is to call."""
    if not hasattr(task, "get_loop"):  # of trio, which was asked already
        return []
    loop = task.get_loop()
    # All referrers there are take milliseconds to find, and only uvloop needs that.
    if not hasattr(loop, "_scheduled"):
        return gc.get_referrers(task)
    handles = [*loop._scheduled.copy(), *loop._ready.copy()]  # noqa: SLF001 - as said
    callbacks = [handle._callback for handle in handles]  # noqa: SLF001
    return [getattr(callback, "__self__", None) for callback in callbacks]


def _is_cancelled(task: Any) -> bool:
    cancelling = getattr(task, "cancelling", None)  # of asyncio, since Python 3.11
    awaited = getattr(task, "_fut_waiter", None)  # and before
    if (cancelling is not None and cancelling()) or (
        awaited is not None and awaited.cancelled()
    ):
        return True
    status = getattr(task, "_cancel_status", None)  # of trio
    return status is not None and bool(
        status.effectively_cancelled or status.effective_deadline() != inf
    )


def _limits(each: Any, task: Any) -> bool:
    """Say whether it is a `Timeout` of asyncio for that task, which has not ended."""
    timeouts: Any = sys.modules.get("asyncio.timeouts")
    return (
        timeouts is not None
        and isinstance(each, timeouts.Timeout)
        and getattr(each, "_task", None) is task
        and each.when() is not None
    )
