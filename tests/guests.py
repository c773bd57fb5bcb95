"""What the tests of AsyncCondition share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staging import until_in_task

if TYPE_CHECKING:
    from anylock import AsyncCondition


async def waiting(condition: AsyncCondition, number: int = 1) -> None:
    """Let other tasks run until so many wait to be notified."""
    await until_in_task(lambda: len(condition._notices) >= number)


async def queued(condition: AsyncCondition, number: int = 1) -> None:
    """Let other tasks run until so many wait for the lock."""
    await until_in_task(lambda: len(condition._lock._waiters or ()) >= number)


def assert_at_rest(condition: AsyncCondition) -> None:
    assert len(condition._notices) == 0
    assert not condition.locked()
    assert condition.try_acquire()
    condition.release()
    assert repr(condition).endswith("[unlocked]>")


class Table:
    """Guests who wait to be called, and what became of them."""

    def __init__(self, condition: AsyncCondition) -> None:
        self.condition = condition
        self.inside = False
        self.served: list[int] = []
        self.gone: list[int] = []

    async def sit(self, number: int, seconds: float | None = None) -> None:
        async with self.condition:
            try:
                if await self.condition.wait(seconds):
                    self.served.append(number)
            finally:
                # In any case it has the lock, and alone.
                assert self.condition.locked()
                assert not self.inside
                self.inside = True
                if number not in self.served:
                    self.gone.append(number)
                self.inside = False

    async def call(self, number: int = 1) -> None:
        async with self.condition:
            self.condition.notify(number)
