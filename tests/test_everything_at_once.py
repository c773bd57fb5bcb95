"""Threads, and tasks of several loops, do everything to one lock at the same time.

What is looked for has no name yet; what was found here has a test of its own.
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import make_lock
from backends import Backend, run
from staging import Section, all_done, assert_at_rest
from stress import Stress

if TYPE_CHECKING:
    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


class LockStress(Stress):
    """Of whom one at a time is inside."""

    def __init__(self, lock: Lock, seed: int, seconds: float) -> None:
        super().__init__(lock, seed, seconds)
        self.section = Section()
        self.turns = 0

    def inside(self, how: str) -> None:
        super().inside(how)
        self.turns += 1
        self.section.update()

    async def stay(self, how: str) -> None:
        self.inside(how)
        with self.section:
            if self.random.random() < 0.3:
                await checkpoint()

    def check(self) -> None:
        gc.collect()
        assert self.section.overlaps == 0
        assert self.section.count >= self.turns > 50
        assert_at_rest(self.lock)


@bridged
@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once(kind: LockKind, seed: int) -> None:
    lock = make_lock(kind)
    before = threading.active_count()
    stress = LockStress(lock, seed, 0.5)
    stress.run()
    stress.check()
    assert threading.active_count() <= before


@pytest.mark.usefixtures("_switches")
def test_everything_at_once_in_one_loop(backend: Backend) -> None:
    lock = make_lock("async")
    stress = LockStress(lock, 3, 0.3)

    def in_worker() -> None:
        for _ in range(5):
            stress.in_thread()

    async def worker() -> None:
        while not stress.over:
            await anyio.to_thread.run_sync(in_worker)

    run(backend, all_done, *[stress.task] * 5 + [worker] * 3)
    stress.check()
