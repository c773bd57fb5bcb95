"""Whether the wait of a task ends by itself: by a time-out around it, or cancelled.

Neither asyncio nor trio has a public way to ask this of a task that is not running. So
what can be asked by the task itself is asked when it begins to wait. The rest is looked
for when a cycle was found, which is rare, in what its event loop is to do.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
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
    return any(_limits(awaiter) for awaiter in _awaiters(task))


def _awaiters(task: Any) -> list[Any]:
    """Return a task of asyncio, and those who cancel it when they are cancelled."""
    found: list[Any] = []
    front = [task]
    while front:
        each = front.pop()
        if not any(each is other for other in found):
            found.append(each)
            front += filter(None, map(_awaiter, _callbacks(each)))
    return found


def _callbacks(future: Any) -> list[Any]:
    """Return what is called when it is done; of trio, where nothing is, nothing."""
    callbacks: list[tuple[Any, Any]] = list(getattr(future, "_callbacks", None) or ())
    return [callback for callback, _ in callbacks]


def _awaiter(callback: Any) -> Any:
    """Return who awaits what calls back: a task, a `gather`; None if nobody does."""
    tasks: Any = sys.modules["asyncio.tasks"]
    owner = getattr(callback, "__self__", None)
    owner = getattr(owner, "_parent_task", owner)  # of a `TaskGroup`
    if isinstance(owner, tasks.Task):
        return owner
    # That of `shield` and `wait` do not cancel what they await.
    for cell in getattr(callback, "__closure__", None) or ():
        with suppress(ValueError):  # it is empty
            if isinstance(cell.cell_contents, tasks._GatheringFuture):  # noqa: SLF001
                return cell.cell_contents
    return None


def _limits(task: Any) -> bool:
    """Say whether there is a time-out of asyncio around what a task awaits."""
    # Up to Python 3.11 `wait_for` has this callback, and is a `timeout` since then.
    wait_for = getattr(sys.modules.get("asyncio.tasks"), "_release_waiter", _limits)
    if any(getattr(each, "func", None) is wait_for for each in _callbacks(task)):
        return True
    return any(_is_timeout(each, task) for each in _who_calls_back(task))


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


def _is_timeout(each: Any, task: Any) -> bool:
    """Say whether it is a `Timeout` of asyncio for that task, which has not ended."""
    timeouts: Any = sys.modules.get("asyncio.timeouts")
    return (
        timeouts is not None
        and isinstance(each, timeouts.Timeout)
        and getattr(each, "_task", None) is task
        and each.when() is not None
    )
