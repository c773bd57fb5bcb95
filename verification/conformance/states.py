"""What happened to a lock, a semaphore or a condition before a test gets it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from anylock import AsyncCondition, ProcessCondition, ThreadCondition

from .suites import AFTER, BESIDE, NEW

if TYPE_CHECKING:
    from collections.abc import Callable


def as_made(_made: Any) -> None:
    """Leave it as it is: sync callers run C methods."""


def after_a_task(made: Any) -> None:
    """Let a task have it for a moment, so that it has a bridge, or has seen a loop."""
    if isinstance(made, ProcessCondition):  # which tasks cannot use
        after_a_task(lock_of(made))
        return

    async def use() -> None:
        if made.locked():  # a semaphore that begins without permits
            return
        async with made:
            if isinstance(made, AsyncCondition | ThreadCondition):
                await made.async_wait(0)

    # In a thread of its own, because a loop runs already where asyncio's tests are.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, use()).result()


def beside_tasks(made: Any) -> None:
    """Let the careful methods run throughout, as if a task were always about to come.

    Before they go back to the C methods they ask whether the bridge is busy. It is, for
    a moment, whenever a task comes or goes, and all of them have to do right then.
    """
    from anylock._bridge.base import Bridge

    setattr(Bridge, "busy", True)  # noqa: B010 - to type checkers it is read-only
    lock = lock_of(made)
    lock._go_careful(lock._live_bridge())


def lock_of(made: Any) -> Any:
    """Return the lock of a condition; else what was made is a lock itself."""
    return getattr(made, "_lock", made)


STATES: dict[str, Callable[[Any], None]] = {
    NEW: as_made,
    AFTER: after_a_task,
    BESIDE: beside_tasks,
}
