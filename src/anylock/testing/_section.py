"""A critical section that notices when two are inside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio.lowlevel

if TYPE_CHECKING:
    from anylock import Hold, Lock
    from anylock.testing._stage import Stage


class Section:
    """A critical section that notices when two are inside."""

    def __init__(self) -> None:
        self.visits = 0
        self.overlaps = 0
        self._visitor: object = None

    def visit(self) -> None:
        """Be inside, and let other threads run."""
        me, visits = self._enter()
        time.sleep(0)  # no wait: it gives up the interpreter to who wants it
        self._leave(me, visits)

    async def visit_in_task(self) -> None:
        """Be inside, and let other tasks run."""
        me, visits = self._enter()
        await anyio.lowlevel.checkpoint()
        self._leave(me, visits)

    def _enter(self) -> tuple[object, int]:
        self._visitor = me = object()
        return me, self.visits

    def _leave(self, me: object, visits: int) -> None:
        self.overlaps += self._visitor is not me
        self.visits = visits + 1


def visits_by_thread(lock: Lock | Hold, section: Section, number: int) -> None:
    """Visit the section so many times, under the lock."""
    for _ in range(number):
        with lock:
            section.visit()


async def visits_by_task(lock: Lock | Hold, section: Section, number: int) -> None:
    """Visit the section so many times, under the lock."""
    for _ in range(number):
        async with lock:
            await section.visit_in_task()


def expect_visits(stage: Stage, section: Section, number: int) -> None:
    """Fail if there were overlapping visits, or too few."""
    stage.expect(
        not section.overlaps and section.visits == number,
        f"{section.overlaps} times two were inside, and of {number} updates "
        f"{section.visits} are left",
    )
