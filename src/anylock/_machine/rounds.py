"""Waits by a thread for one side of a read-write lock, beside its tasks at the other.

A thread that waits blocks its event loop. What tasks of that loop are granted meanwhile
none of them can use, and nobody else in any process can have. So the thread takes it
back, again and again until it has what it waits for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from anylock import _parking
from anylock._parking import this_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._bridge.lock import Holder
    from anylock._machine.mutex import Mutex
    from anylock._parking import Waiter

    Acquire = Callable[[bool, float, Callable[[], bool]], bool]


def stops_tasks_of(mutex: Mutex) -> bool:
    """Say whether tasks, of this thread perhaps, wait for it or were granted it."""
    bridge = mutex.bridge
    return (
        this_thread.marker.parks_tasks
        and bridge is not None
        and bridge.of_this_process
        and bridge.busy
    )


def is_had(mutex: Mutex) -> bool:
    """Say whether this thread or one of its tasks has it: to wait is in vain."""
    task = task_inside(mutex)
    marker = this_thread.marker
    return mutex.owner is marker or (task is not None and task.thread is marker)


def acquire_before_tasks(acquire: Acquire, other: Mutex, timeout: float) -> bool:
    """Acquire one side, and take back what tasks of this thread get of the other."""
    _take_back(other)  # who may not wait is never asked
    return acquire(True, timeout, partial(_take_back, other))


def _take_back(mutex: Mutex) -> bool:
    """Take from a task of this thread what it was granted and cannot use.

    Returns:
        True: wait on. It is asked in the middle of that, by who has a place in the
        queue. To leave it for this is to be overtaken, again and again, by the helper
        thread of those very tasks.
    """
    bridge = mutex.bridge
    task = None if bridge is None else bridge.holder
    if (
        bridge is not None
        and task is not None
        and not task.resumed
        and task.thread is this_thread.marker
        and bridge.block(0.0, None)
    ):
        mutex.release()
    return True


def task_inside(mutex: Mutex) -> Holder | Waiter | None:
    """Return the task of this process that has it, if it is one."""
    bridge = mutex.bridge
    holder = None if bridge is None else bridge.holder
    if bridge is None or holder is None or not bridge.of_this_process:
        return None
    return holder if holder.resumed else None


def is_here(task: Holder | Waiter | None) -> bool:
    """Say whether that task is running here."""
    return task is not None and _parking.same_actor(
        task.actor, _parking.current_actor()
    )
