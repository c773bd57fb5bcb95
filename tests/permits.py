"""What the tests of AsyncSemaphore share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from staging import until_in_task

if TYPE_CHECKING:
    from anylock import AsyncSemaphore


def waiting(semaphore: AsyncSemaphore) -> int:
    return len(semaphore._waiters or ())


async def queued(semaphore: AsyncSemaphore, number: int = 1) -> None:
    await until_in_task(lambda: waiting(semaphore) >= number)


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

    def __init__(self, semaphore: AsyncSemaphore) -> None:
        self.semaphore = semaphore
        self.inside = self.most = 0
        self.entered: list[int] = []

    async def visit(self, number: int, seconds: float | None = None) -> None:
        semaphore = self.semaphore
        async with semaphore if seconds is None else semaphore.hold(seconds):
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.entered.append(number)
            try:
                await checkpoint()
            finally:
                self.inside -= 1
