"""Threads, and tasks of several loops, that enter one lock again and again at once."""

from __future__ import annotations

import _thread
import threading
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, WouldDeadlock, make_rlock
from depths import SYNC_WAYS, WAYS, Way
from staging import until
from test_everything_at_once import LockStress

if TYPE_CHECKING:
    from anylock import LockKind

DEEPEST = 4


class DeepStress(LockStress):
    """The same, with a random depth and any way to get there."""

    def again(self) -> None:
        """Enter again from sync code, which never waits."""
        with ExitStack() as stack:
            while self.random.random() < 1 - 1 / DEEPEST:
                way = self.random.choice(["with", "hold", "try"])
                if way == "try":
                    assert self.lock.try_acquire()
                    stack.callback(self.lock.release)
                else:
                    stack.enter_context(
                        self.lock.hold(0) if way == "hold" else self.lock
                    )
            self.section.update()

    def inside(self, how: str) -> None:
        super().inside(how)
        self.again()

    async def deeper(self) -> None:
        """Enter again in a task, sleeping at any depth."""
        async with AsyncExitStack() as stack:
            while self.random.random() < 1 - 1 / DEEPEST:
                way = Way(self.lock, self.random.choice(WAYS))
                # Cancelled as it enters again, it has not; so it may only leave after.
                await way.enter()
                stack.push_async_callback(way.leave)
                if self.random.random() < 0.3:
                    await checkpoint()

    async def in_task(self) -> None:
        how = self.random.choice(["async with", "async hold", "cancelled", "try"])
        patience = self.moment() if how == "cancelled" else None
        timeout = self.moment() if how == "async hold" else None
        try:
            with anyio.move_on_after(patience):
                if how != "try":
                    lock = self.lock
                    async with lock if timeout is None else lock.hold(timeout):
                        await self.stay(how)
                elif self.lock.try_acquire():
                    try:
                        await self.stay(how)
                    finally:
                        self.lock.release()
        except LockTimeout:
            pass
        await checkpoint()

    async def stay(self, how: str) -> None:
        self.inside(how)
        with self.section:
            await self.deeper()

    def in_thread(self, *ways: str) -> None:
        way = self.random.choice(ways or SYNC_WAYS)
        try:
            with self.lock.hold(self.moment()) if way == "hold" else self.lock:
                self.inside(way)
        except (LockTimeout, WouldDeadlock):
            pass  # the latter if a task of this very thread is inside, at an await


@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("kind", ["process", "thread"])
def test_everything_at_once(kind: LockKind) -> None:
    lock = make_rlock(kind)
    before = threading.active_count()
    stress = DeepStress(lock, 1, 0.4)
    started = _thread._count()
    stress.run()
    stress.check()
    assert threading.active_count() <= before
    until(lambda: _thread._count() <= started)  # the helpers are none of threading's
