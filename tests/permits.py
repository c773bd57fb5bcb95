"""What the tests of semaphores share.

What is private to the semaphores is known here.
"""

from __future__ import annotations

import asyncio
import threading
import types
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from anyio.lowlevel import checkpoint

from anylock import AsyncSemaphore, ProcessSemaphore, ThreadSemaphore, make_semaphore
from staging import PATIENCE, all_done, in_thread, until, until_in_task

if TYPE_CHECKING:
    from anylock import LockKind
    from anylock._bridge.semaphore import SemaphoreBridge

BridgedSemaphore = ThreadSemaphore | ProcessSemaphore

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def make(kind: LockKind, value: int = 1, *, bounded: bool = True) -> BridgedSemaphore:
    """Make a semaphore; a bounded one tells if a permit too many is given back."""
    made = make_semaphore(kind, value, bounded=bounded, name="the-semaphore")
    return cast("BridgedSemaphore", made)


def bridge_of(semaphore: BridgedSemaphore) -> SemaphoreBridge:
    """Return the bridge of a semaphore that a task has used already."""
    bridge = semaphore._bridge
    assert bridge is not None
    return bridge


def waiting(semaphore: AsyncSemaphore | BridgedSemaphore) -> int:
    """Count who is queued."""
    if isinstance(semaphore, AsyncSemaphore):
        return len(semaphore._waiters or ())
    return 0 if semaphore._bridge is None else len(semaphore._bridge._queue)


def granted(semaphore: BridgedSemaphore) -> int:
    """Count the tasks that were granted a permit and have not run since."""
    return len(bridge_of(semaphore)._unresumed())


def helping(semaphore: BridgedSemaphore) -> bool:
    """Say whether the helper thread is under way."""
    return semaphore._bridge is not None and semaphore._bridge._helping


def is_native(semaphore: BridgedSemaphore) -> bool:
    """Say whether sync callers run C methods."""
    return isinstance(semaphore.__enter__, types.BuiltinMethodType)


def acquire(semaphore: BridgedSemaphore, number: int = 1) -> None:
    """Take permits that are free, in the way that tells nobody."""
    for _ in range(number):
        assert semaphore.try_acquire()


def leave(semaphore: BridgedSemaphore, number: int = 1) -> None:
    """Give permits back as the end of a `with` does; nobody is told."""
    for _ in range(number):
        semaphore.__exit__(None, None, None)


async def enter(semaphore: BridgedSemaphore, seconds: float | None = None) -> Any:
    """Run `__aenter__`, of the semaphore itself or of its `hold`."""
    return await (
        semaphore if seconds is None else semaphore.hold(seconds)
    ).__aenter__()


async def exit_(semaphore: BridgedSemaphore) -> None:
    """Run `__aexit__`."""
    await semaphore.__aexit__(None, None, None)


async def queued(semaphore: AsyncSemaphore | BridgedSemaphore, number: int = 1) -> None:
    await until_in_task(lambda: waiting(semaphore) >= number)


def settled(semaphore: BridgedSemaphore, value: int) -> None:
    """Wait until so many permits are free, and nobody is about to change that.

    A helper that nobody waits for any more takes one for a moment.
    """
    until(lambda: not helping(semaphore) and semaphore.value == value)
    assert waiting(semaphore) == 0
    assert semaphore._bridge is None or granted(semaphore) == 0
    assert semaphore.locked() is (value == 0)


def at_rest(semaphore: BridgedSemaphore, value: int) -> None:
    """Check that nobody is inside, and that so many can be, in both colours."""
    settled(semaphore, value)
    # A step that has given back what a helper got may still be on its last line.
    until(lambda: semaphore._bridge is None or not semaphore._bridge.busy)

    async def in_tasks() -> None:
        for _ in range(value):
            await enter(semaphore, 0.0)
        assert not semaphore.try_acquire()
        for _ in range(value):
            await exit_(semaphore)

    def by_thread() -> None:
        for _ in range(value):
            with semaphore.hold(PATIENCE):
                acquire(semaphore, value - 1)
                assert not semaphore.try_acquire()
                leave(semaphore, value - 1)

    with in_thread(by_thread):
        pass
    with in_thread(lambda: asyncio.run(in_tasks())):
        pass
    with in_thread(by_thread):
        pass
    assert is_native(semaphore)
    settled(semaphore, value)


def still_works(semaphore: BridgedSemaphore, value: int) -> None:
    """Check that nothing is lost or forgotten once tasks contend, too."""
    room = Room(semaphore)

    async def contend() -> None:
        await all_done(*(partial(room.visit, number) for number in range(value + 2)))

    at_rest(semaphore, value)
    with in_thread(lambda: asyncio.run(contend())):
        pass
    assert sorted(room.entered) == [*range(value + 2)]
    assert room.most <= value
    at_rest(semaphore, value)


def assert_at_rest(semaphore: AsyncSemaphore, value: int) -> None:
    assert semaphore.value == value
    assert waiting(semaphore) == 0
    assert not semaphore._granted
    assert semaphore.locked() is (value == 0)
    for _ in range(value):
        assert semaphore.try_acquire()
    assert not semaphore.try_acquire()
    for _ in range(value):
        semaphore.release()
    assert semaphore.value == value


class Room:
    """Counts who is inside, and notes who was."""

    def __init__(self, semaphore: AsyncSemaphore | BridgedSemaphore) -> None:
        self.semaphore = semaphore
        self.inside = self.most = 0
        self._counting = threading.Lock()
        self.entered: list[int] = []

    def stand(self, number: int) -> None:
        """Be inside for a moment, in a thread that is; or in a task."""
        self._come(number)
        self._go()

    def _come(self, number: int) -> None:
        with self._counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.append(number)

    def _go(self) -> None:
        with self._counting:
            self.inside -= 1

    async def stay(self, number: int, *, wait: bool = True) -> None:
        """Be inside, in a task."""
        self._come(number)
        try:
            if wait:
                await checkpoint()
        finally:
            self._go()

    async def visit(self, number: int, seconds: float | None = None) -> None:
        semaphore = self.semaphore
        async with semaphore if seconds is None else semaphore.hold(seconds):
            await self.stay(number)
