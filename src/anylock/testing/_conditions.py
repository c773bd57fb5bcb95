"""How threads and tasks wait for a condition, whatever its colour."""

from __future__ import annotations

import threading
from collections import deque
from inspect import iscoroutinefunction
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from anylock import Condition
    from anylock.testing._stage import Stage

NOT_OWNED = (RuntimeError, AssertionError)
"""What waiting and notifying may raise without the lock: as in threading and asyncio,
or as in multiprocessing."""


def condition_of(stage: Stage) -> Condition:
    """Make a fresh condition."""
    condition: Condition = stage.factory()
    return condition


def wait_of(condition: Any) -> Callable[..., Awaitable[bool]]:
    """Return by what tasks wait for the condition."""
    wait: Callable[..., Awaitable[bool]] = getattr(
        condition, "async_wait", condition.wait
    )
    return wait


def wait_for_of(condition: Any) -> Callable[..., Awaitable[object]]:
    """Return by what tasks wait for a predicate."""
    wait_for: Callable[..., Awaitable[object]] = getattr(
        condition, "async_wait_for", condition.wait_for
    )
    return wait_for


def tasks_can_wait(condition: object) -> bool:
    """Say whether tasks can wait for the condition to be notified."""
    wait: object = getattr(condition, "wait", None)
    return hasattr(condition, "async_wait") or iscoroutinefunction(wait)


def threads_can_wait(condition: object) -> bool:
    """Say whether threads can wait for the condition to be notified."""
    return not iscoroutinefunction(getattr(condition, "wait", None))


class Waiting:
    """A manager that enters a condition and waits for it, before its body begins.

    Attributes:
        began: Set when it is about to wait; who has the lock after that can notify it.
        result: What `wait` returned; None if it did not.
        error: What it raised.
        held: Whether the condition's lock was held then.
        seconds: How long it took.
    """

    def __init__(
        self, condition: Any, timeout: float | None = None, depth: int = 1
    ) -> None:
        self.began = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None
        self.held: bool | None = None
        self.seconds = 0.0
        self._condition = condition
        self._timeout = timeout
        self._depth = depth

    def __enter__(self) -> None:
        for _ in range(self._depth):
            self._condition.__enter__()
        started = monotonic()
        self.began.set()
        try:
            self.result = self._condition.wait(self._timeout)
        except BaseException as error:
            self.error = error
            self.__exit__()
            raise
        self.held = self._condition.locked()
        self.seconds = monotonic() - started

    def __exit__(self, *_: object) -> None:
        for _level in range(self._depth):
            self._condition.__exit__(None, None, None)

    async def __aenter__(self) -> None:
        for _ in range(self._depth):
            await self._condition.__aenter__()
        started = monotonic()
        self.began.set()
        try:
            self.result = await wait_of(self._condition)(self._timeout)
        except BaseException as error:
            self.error = error
            self.held = self._condition.locked()
            # Without the lock this raises, instead of what was raised: the finding.
            await self.__aexit__()
            raise
        self.held = self._condition.locked()
        self.seconds = monotonic() - started

    async def __aexit__(self, *_: object) -> None:
        for _level in range(self._depth):
            await self._condition.__aexit__(None, None, None)


class Exchange:
    """A buffer of two places, by which some give others numbers.

    Attributes:
        taken: The numbers that came out.
        too_early: How often somebody went on who should have waited.
    """

    def __init__(self, condition: Condition) -> None:
        self.taken: list[int] = []
        self.too_early = 0
        self._condition = condition
        self._buffer: deque[int] = deque()

    def _has_room(self) -> bool:
        return len(self._buffer) < 2  # noqa: PLR2004 - few, so that all have to wait

    def _has_some(self) -> bool:
        return bool(self._buffer)

    def _exchange(self, number: int | None) -> None:
        ready = self._has_some if number is None else self._has_room
        if not ready():
            self.too_early += 1
        elif number is None:
            self.taken.append(self._buffer.popleft())
        else:
            self._buffer.append(number)
        self._condition.notify_all()

    def by_thread(self, numbers: Iterable[int | None]) -> None:
        """Put the numbers in; take one for each None."""
        for number in numbers:
            ready = self._has_some if number is None else self._has_room
            with self._condition:
                self._condition.wait_for(ready)
                self._exchange(number)

    async def by_task(self, numbers: Iterable[int | None]) -> None:
        """Put the numbers in; take one for each None."""
        for number in numbers:
            ready = self._has_some if number is None else self._has_room
            async with self._condition:
                await wait_for_of(self._condition)(ready)
                self._exchange(number)
