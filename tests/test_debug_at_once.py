"""Threads and tasks take many locks at once: nobody hangs, or is refused in vain."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import WouldDeadlock, debug, make_lock
from backends import ASYNCIO, TRIO, Backend, run
from debugged import all_joined, found
from staging import Section, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet", "_switching")

ROUNDS = 60


@pytest.fixture
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Table:
    """Locks, and what they protect."""

    def __init__(self, *, ordered: bool) -> None:
        self.locks: list[Any] = [make_lock("thread", debug=True) for _ in range(4)]
        self.sections = [Section() for _ in self.locks]
        self.refused: list[WouldDeadlock] = []
        self.ordered = ordered

    @contextmanager
    def refusals(self) -> Generator[None]:
        try:
            yield
        except WouldDeadlock as error:
            self.refused.append(error)

    def choose(self, chance: random.Random) -> list[int]:
        chosen = chance.sample(range(len(self.locks)), 3)
        return sorted(chosen) if self.ordered else chosen

    def take(self, chosen: list[int]) -> None:
        if not chosen:
            return
        first, *others = chosen
        with self.locks[first], self.sections[first]:
            self.take(others)

    async def take_in_task(self, chosen: list[int]) -> None:
        if not chosen:
            return
        first, *others = chosen
        async with self.locks[first]:
            with self.sections[first]:
                await anyio.lowlevel.checkpoint()
                await self.take_in_task(others)

    def thread(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        for _ in range(ROUNDS):
            with self.refusals():
                self.take(self.choose(chance))

    async def task(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        for _ in range(ROUNDS):
            with self.refusals():
                await self.take_in_task(self.choose(chance))

    def loop(self, backend: Backend, seeds: range) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for seed in seeds:
                    tasks.start_soon(self.task, seed)

        run(backend, main)

    def run(self, seed: int) -> None:
        threads: list[Callable[[], None]] = [
            partial(self.thread, seed + n) for n in range(3)
        ]
        loops = [
            partial(self.loop, backend, range(seed + 10 * n, seed + 10 * n + 3))
            for n, backend in enumerate((ASYNCIO, TRIO), 1)
            if usable(backend)
        ]
        with all_joined(*threads, *loops) as raised:
            pass
        assert not raised
        for section in self.sections:
            assert not section.overlaps
        for lock in self.locks:
            stats = lock.stats()
            assert not stats.holders
            assert not stats.waiters
            assert not lock.record.handed


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order(seed: int) -> None:
    """Whoever closes a circle is refused, so that all come to their end."""
    debug.settings.order = "off"
    table = Table(ordered=False)
    table.run(seed * 100)
    assert len(found("deadlock")) == len(table.refused)
    assert not found("near deadlock")


@pytest.mark.parametrize("seed", range(3))
def test_in_one_order(seed: int) -> None:
    """There is no circle, and nobody is told of one."""
    table = Table(ordered=True)
    table.run(seed * 100)
    assert not table.refused
    assert not debug.findings


def test_a_loop_that_runs_on_in_another_thread() -> None:
    """A thread that is blocked stops the loop that runs there, and no other."""
    loop = asyncio.new_event_loop()
    of_task, of_thread = (make_lock("thread", debug=True) for _ in range(2))
    holds = asyncio.Event()
    leave = asyncio.Event()

    async def hold() -> None:
        async with of_task:
            holds.set()
            await leave.wait()

    task = loop.create_task(hold())
    loop.run_until_complete(holds.wait())

    def go_on() -> None:
        with of_thread:
            leave.set()
            loop.run_until_complete(task)

    with all_joined(go_on) as raised, of_thread:
        pass
    assert not raised
    loop.close()
    assert not found("deadlock", "near deadlock")
