"""Threads, and tasks of several loops, that do everything to one lock at once."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, WouldDeadlock
from backends import BACKENDS, Backend, run
from staging import PATIENCE, all_done, in_thread, usable

if TYPE_CHECKING:
    from collections.abc import Callable


class Stress:
    """What they do, at random; who looks on says what is done inside."""

    wanted: ClassVar = {"with", "hold", "async with", "async hold"}
    """The ways in that are all to be gone."""

    beside_tasks: ClassVar[tuple[str, ...]] = ()
    """The ways in that a task may go as its thread does; any, if none is named."""

    def __init__(self, lock: Any, seed: int, seconds: float) -> None:
        self.lock = lock
        self.random = random.Random(seed)  # noqa: S311 - no secrets here
        self.ends = monotonic() + seconds
        self.ways: set[str] = set()

    @property
    def over(self) -> bool:
        late = monotonic() - self.ends
        return late > 0 and (late > PATIENCE / 2 or self.ways >= self.wanted)

    def inside(self, how: str) -> None:
        self.ways.add(how)

    async def stay(self, how: str) -> None:
        """Be inside in a task, which may wait there."""
        raise NotImplementedError

    def release(self) -> None:
        self.lock.release()

    def moment(self) -> float:
        return self.random.choice([0.0, 1e-6, 1e-3, 0.1])

    def in_thread(self, *ways: str) -> None:
        """What a thread does, that of an event loop or not."""
        how = self.random.choice(ways or ("with", "hold", "try"))
        try:
            if how == "with":
                with self.lock:
                    self.inside(how)
            elif how == "hold":
                with self.lock.hold(self.moment()):
                    self.inside(how)
            elif self.lock.try_acquire():
                self.inside(how)
                self.release()
        except (LockTimeout, WouldDeadlock):
            # The latter only if a task of this very thread is inside, at an await.
            pass

    async def in_task(self) -> None:
        how = self.random.choice(["async with", "async hold", "cancelled"])
        patience = self.moment() if how == "cancelled" else None
        timeout = self.moment() if how == "async hold" else None
        try:
            with anyio.move_on_after(patience):
                async with self.lock if timeout is None else self.lock.hold(timeout):
                    await self.stay(how)
        except LockTimeout:
            pass
        await checkpoint()

    def thread(self) -> None:
        while not self.over:
            self.in_thread()

    async def task(self) -> None:
        while not self.over:
            await self.in_task()
            if self.random.random() < 0.1 and self.lock.kind != "async":
                self.in_thread(*self.beside_tasks)

    def loop_after_loop(self, backend: Backend) -> None:
        """Event loops that end in the middle, with their tasks cancelled."""

        async def main() -> None:
            with anyio.move_on_after(self.random.random() / 10):
                await all_done(*[self.task] * 4)

        while not self.over:
            run(backend, main)

    def abandoned_loops(self) -> None:
        """Event loops that are closed in the middle, with their tasks forgotten.

        The tasks never wait inside, so that they cannot be lost there.
        """

        async def one() -> None:
            while True:
                async with self.lock:
                    self.inside("abandoned")
                await asyncio.sleep(0)

        while not self.over:
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda _loop, _context: None)
            tasks = [loop.create_task(one()) for _ in range(3)]
            loop.run_until_complete(asyncio.sleep(self.random.random() / 100))
            loop.close()
            del tasks, loop

    def run(self) -> None:
        """Do it all, until it is over."""
        work: list[Callable[[], None]] = [self.thread, self.thread]
        work += [self.abandoned_loops]
        work += [partial(self.loop_after_loop, b) for b in BACKENDS if usable(b)]
        with ExitStack() as threads:
            for one in work:
                threads.enter_context(in_thread(one))
        assert self.ways > self.wanted
