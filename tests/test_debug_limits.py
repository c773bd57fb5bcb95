"""What is limited by who awaits it is no deadlock; what is only watched may be one."""

from __future__ import annotations

import asyncio
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from anylock import WouldDeadlock
from backends import Backend, run
from debugged import found, locks

if TYPE_CHECKING:
    from collections.abc import Coroutine

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")

SHORT = 0.1
since_3_11: Any = vars(asyncio)


def crosswise() -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
    """Return two that take the same two locks the one way and the other."""
    one, other = locks(2)
    first, second = asyncio.Event(), asyncio.Event()

    async def take(
        lock: Any, then: Any, ready: asyncio.Event, other_ready: asyncio.Event
    ) -> None:
        async with lock:
            ready.set()
            await other_ready.wait()
            async with then:
                pass

    return take(one, other, first, second), take(other, one, second, first)


async def gathered() -> None:
    await asyncio.wait_for(asyncio.gather(*crosswise()), SHORT)


async def each_limited() -> None:
    one, other = crosswise()
    await asyncio.gather(asyncio.wait_for(one, SHORT), asyncio.wait_for(other, 60))


async def of_a_group() -> None:
    async with since_3_11["timeout"](SHORT), since_3_11["TaskGroup"]() as tasks:
        for each in crosswise():
            tasks.create_task(each)


async def awaited_by_a_task() -> None:
    one, other = crosswise()

    async def wait() -> None:
        await asyncio.create_task(one)

    async def limited() -> None:
        async with since_3_11["timeout"](SHORT):
            await asyncio.create_task(wait())

    await asyncio.gather(limited(), other)


@pytest.mark.parametrize(
    "limited", [gathered, each_limited, of_a_group, awaited_by_a_task]
)
def test_a_limit_around_what_awaits(limited: Any, backend: Backend) -> None:
    if backend.library != "asyncio":
        pytest.skip("of asyncio")
    if limited in {of_a_group, awaited_by_a_task} and "timeout" not in since_3_11:
        pytest.skip("since Python 3.11")

    async def main() -> None:
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await limited()

    run(backend, main)
    assert len(found("near deadlock")) == 1
    assert not found("deadlock")


def test_who_only_watches_limits_nothing(backend: Backend) -> None:
    """Neither `shield` nor `wait` cancels what it waits for, nor do others."""
    if backend.library != "asyncio":
        pytest.skip("of asyncio")

    async def main() -> None:
        one, other = (asyncio.ensure_future(each) for each in crosswise())
        for task in (one, other):
            task.add_done_callback(with_an_empty_cell())
        shielded = asyncio.gather(asyncio.shield(one), return_exceptions=True)
        limited = asyncio.wait_for(shielded, 60)
        watches = [asyncio.gather(one, other, return_exceptions=True) for _ in "ab"]
        _, results, _ = await asyncio.gather(limited, *watches)
        refused = [each for each in results if isinstance(each, WouldDeadlock)]
        assert len(refused) == 1

    run(backend, main)
    assert len(found("deadlock")) == 1
    assert not found("near deadlock")


def with_an_empty_cell() -> Any:
    filled = True

    def callback(_: object) -> Any:
        return lambda: filled

    return FunctionType(callback.__code__, {}, closure=(CellType(),))
