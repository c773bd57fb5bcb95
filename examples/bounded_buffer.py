"""A buffer of few places: who puts waits while it is full, who gets while it is empty.

Both wait on one condition: for a place, or for an item. Threads wait by `wait_for`,
tasks by `async_wait_for`, and on the kind "thread" both may wait for one another.

Run it as
`python examples/bounded_buffer.py [thread] [asyncio] [trio] [thread+asyncio]
[thread+trio]`.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

import anyio

from anylock import make_condition

if TYPE_CHECKING:
    from anylock import AsyncCondition, ThreadCondition

PLACES = 3
ITEMS = 50


class TaskBuffer:
    """A buffer of few places, for tasks."""

    def __init__(self, condition: AsyncCondition | ThreadCondition) -> None:
        """Make an empty buffer.

        Args:
            condition: What everybody waits on: of the kind "async" if all of them are
                tasks of one event loop.
        """
        self.most = 0
        self._condition = condition
        self._items: deque[int] = deque()

    async def put_in_task(self, item: int) -> None:
        """Put an item in, as soon as there is a place for it."""
        async with self._condition:
            await self._condition.async_wait_for(self._has_room)
            self._put(item)

    async def get_in_task(self) -> int:
        """Take an item out, as soon as there is one."""
        async with self._condition:
            await self._condition.async_wait_for(self._has_items)
            return self._get()

    # All of these are called with the condition's lock held.

    def _has_room(self) -> bool:
        return len(self._items) < PLACES

    def _has_items(self) -> bool:
        return bool(self._items)

    def _put(self, item: int) -> None:
        self._items.append(item)
        self.most = max(self.most, len(self._items))
        self._condition.notify_all()  # some wait for items, and some for room

    def _get(self) -> int:
        item = self._items.popleft()
        self._condition.notify_all()
        return item


class Buffer(TaskBuffer):
    """A buffer of few places, for threads, and for threads and tasks together."""

    def __init__(self, condition: ThreadCondition) -> None:
        """Make an empty buffer."""
        super().__init__(condition)
        self._thread_condition = condition

    def put(self, item: int) -> None:
        """Put an item in, from a thread."""
        with self._thread_condition:
            self._thread_condition.wait_for(self._has_room)
            self._put(item)

    def get(self) -> int:
        """Take an item out, in a thread."""
        with self._thread_condition:
            self._thread_condition.wait_for(self._has_items)
            return self._get()


def put_all(buffer: Buffer) -> None:
    """Produce, in a thread."""
    for item in range(ITEMS):
        buffer.put(item)


def get_all(buffer: Buffer, got: list[int]) -> None:
    """Consume, in a thread."""
    got.extend(buffer.get() for _ in range(ITEMS))


async def put_all_in_task(buffer: TaskBuffer) -> None:
    """Produce, in a task."""
    for item in range(ITEMS):
        await buffer.put_in_task(item)


async def get_all_in_task(buffer: TaskBuffer, got: list[int]) -> None:
    """Consume, in a task."""
    got.extend([await buffer.get_in_task() for _ in range(ITEMS)])


def start_threads(buffer: Buffer, got: list[int]) -> list[threading.Thread]:
    """Start a producer and a consumer."""
    threads = [
        threading.Thread(target=get_all, args=(buffer, got)),
        threading.Thread(target=put_all, args=(buffer,)),
    ]
    for thread in threads:
        thread.start()
    return threads


async def run_tasks(buffer: TaskBuffer, got: list[int]) -> None:
    """Run a producer and a consumer in this event loop, to their end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get_all_in_task, buffer, got)
        tasks.start_soon(put_all_in_task, buffer)


def exchange(group: str) -> list[int]:
    """Let threads, tasks, or both at once produce and consume; return what came."""
    got: list[int] = []
    library = group.removeprefix("thread").removeprefix("+")
    if library == group:  # tasks of one event loop, and nobody else
        tasks_only = TaskBuffer(make_condition("async"))
        anyio.run(run_tasks, tasks_only, got, backend=library)
        return got
    buffer = Buffer(make_condition("thread"))
    threads = start_threads(buffer, got)
    if library:
        anyio.run(run_tasks, buffer, got, backend=library)
    for thread in threads:
        thread.join()
    return got


def main(*groups: str) -> None:
    """Exchange items between threads, between tasks, and between both by default."""
    for group in groups or ("thread", "asyncio", "thread+asyncio"):
        got = exchange(group)
        print(f"{group}: {len(got)} items came through, their sum is {sum(got)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
