"""Threads, and tasks of several loops, do everything to one lock at the same time.

What is looked for has no name yet; what was found here has a test of its own.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, WouldDeadlock, make_lock
from backends import BACKENDS, Backend, run
from staging import PATIENCE, Section, all_done, assert_at_rest, in_thread, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


class Stress:
    """Threads, and tasks of several loops, that do everything at once, at random."""

    def __init__(self, lock: Lock, seed: int, seconds: float) -> None:
        self.lock = lock
        self.random = random.Random(seed)  # noqa: S311 - no secrets here
        self.section = Section()
        self.ends = monotonic() + seconds
        self.turns = 0
        self.kinds_of_turns: set[str] = set()

    @property
    def over(self) -> bool:
        wanted = {"with", "hold", "async with", "async hold"}
        late = monotonic() - self.ends
        return late > 0 and (late > PATIENCE / 2 or self.kinds_of_turns >= wanted)

    def inside(self, how: str) -> None:
        self.turns += 1
        self.kinds_of_turns.add(how)
        self.section.update()

    def moment(self) -> float:
        return self.random.choice([0.0, 1e-6, 1e-3, 0.1])

    def in_thread(self) -> None:
        """What a thread does, that of an event loop or not."""
        how = self.random.choice(["with", "hold", "try"])
        try:
            if how == "with":
                with self.lock:
                    self.inside(how)
            elif how == "hold":
                with self.lock.hold(self.moment()):
                    self.inside(how)
            elif self.lock.try_acquire():
                self.inside(how)
                self.lock.release()
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
                    self.inside(how)
                    with self.section:
                        if self.random.random() < 0.3:
                            await checkpoint()
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
                self.in_thread()

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

    def check(self) -> None:
        gc.collect()
        assert self.section.overlaps == 0
        assert self.section.count >= self.turns > 50
        assert_at_rest(self.lock)


@pytest.fixture(params=[None, 1e-6], ids=["usual switches", "many switches"])
def _switches(request: pytest.FixtureRequest) -> Iterator[None]:
    usual = sys.getswitchinterval()
    if request.param is not None:
        sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(usual)


@bridged
@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once(kind: LockKind, seed: int) -> None:
    lock = make_lock(kind)
    before = threading.active_count()
    stress = Stress(lock, seed, 0.5)
    work: list[Callable[[], None]] = [stress.thread, stress.thread]
    work += [stress.abandoned_loops]
    work += [partial(stress.loop_after_loop, b) for b in BACKENDS if usable(b)]
    with ExitStack() as threads:
        for one in work:
            threads.enter_context(in_thread(one))
    stress.check()
    assert stress.kinds_of_turns > {"with", "hold", "async with", "async hold"}
    assert threading.active_count() <= before


@pytest.mark.usefixtures("_switches")
def test_everything_at_once_in_one_loop(backend: Backend) -> None:
    lock = make_lock("async")
    stress = Stress(lock, 3, 0.3)

    def in_worker() -> None:
        for _ in range(5):
            stress.in_thread()

    async def worker() -> None:
        while not stress.over:
            await anyio.to_thread.run_sync(in_worker)

    run(backend, all_done, *[stress.task] * 5 + [worker] * 3)
    stress.check()
