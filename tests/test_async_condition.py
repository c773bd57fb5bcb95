"""AsyncCondition: no notification is lost, and who waits has the lock again."""

from __future__ import annotations

import asyncio
import importlib
import io
import unittest
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    AsyncCondition,
    AsyncLock,
    AsyncRLock,
    LockNotHeldError,
    make_condition,
)
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from guests import Table, assert_at_rest, queued, waiting
from staging import PATIENCE, all_done, until_in_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._parking import AsyncioWaiter

STEPS = range(4)
on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)


@pytest.fixture(params=[AsyncLock, AsyncRLock])
def condition(request: pytest.FixtureRequest) -> AsyncCondition:
    return AsyncCondition(request.param("basket"))


# In the place of asyncio's


def test_the_whole_suite_of_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module: Any = importlib.import_module("test.test_asyncio.test_locks")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")
    inner = {
        "test_ambiguous_loops": "sets asyncio.Lock's own attribute _loop",
        "test_repr": "puts mocks among asyncio's own waiters",
        "test_wait_cancel": "counts asyncio's own waiters",
    }
    monkeypatch.setattr(asyncio, "Lock", AsyncLock)
    monkeypatch.setattr(asyncio, "Condition", AsyncCondition)
    case: type[unittest.TestCase] = module.ConditionTests
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    chosen = [name for name in names if name not in inner]
    assert len(chosen) >= 10
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(
        unittest.TestSuite(case(name) for name in chosen)
    )
    assert result.wasSuccessful(), report.getvalue()


def test_producers_and_consumers(backend: Backend, condition: AsyncCondition) -> None:
    basket: list[int] = []
    eaten: list[int] = []

    async def eat() -> None:
        for _ in range(20):
            async with condition:
                assert await condition.wait_for(lambda: len(basket)) > 0
                eaten.append(basket.pop())
                condition.notify_all()

    async def fill(first: int) -> None:
        for number in range(first, first + 30):
            async with condition:
                assert await condition.async_wait_for(lambda: len(basket) < 3)
                basket.append(number)
                condition.notify_all()

    run(backend, all_done, eat, eat, eat, partial(fill, 0), partial(fill, 30))
    assert sorted(eaten) == [*range(60)]
    assert_at_rest(condition)


def test_first_come_first_notified(backend: Backend, condition: AsyncCondition) -> None:
    table = Table(condition)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(table.sit, number)
                await waiting(condition, number + 1)
            assert repr(condition).endswith("name='basket' [unlocked, waiters:6]>")
            await table.call(0)
            for each in (1, 2):
                await table.call(each)
                await until_in_task(lambda: not condition.locked())
            await until_in_task(lambda: len(table.served) == 3)
            assert {*table.served} == {0, 1, 2}
            await table.call(100)

    run(backend, main)
    assert sorted(table.served) == [*range(6)]
    assert_at_rest(condition)


def test_without_the_lock(backend: Backend, condition: AsyncCondition) -> None:
    async def refused() -> None:
        for notify in (condition.notify, condition.notify_all):
            with pytest.raises(LockNotHeldError, match="'basket' is not held"):
                notify()
        with pytest.raises(LockNotHeldError):
            await condition.wait()
        with pytest.raises(LockNotHeldError):
            await condition.wait_for(lambda: False)
        assert len(condition._notices) == 0

    async def main() -> None:
        await refused()
        if isinstance(condition._lock, AsyncRLock):
            async with condition:
                await all_done(refused)  # it belongs to another task

    run(backend, main)
    assert_at_rest(condition)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_given_up_whole(backend: Backend, depth: int) -> None:
    lock = AsyncRLock()
    condition = make_condition("async", lock)

    async def one(seconds: float | None) -> None:
        for _ in range(depth):
            await condition.acquire()
        assert await condition.wait(seconds) is (seconds is None)
        for _ in range(depth):
            assert lock.locked()
            condition.release()

    async def call() -> None:
        await waiting(condition)
        async with condition, condition:
            condition.notify()
            await checkpoint()

    run(backend, all_done, partial(one, None), call)
    run(backend, one, 0.001)
    assert_at_rest(condition)


# The time is over


def test_timed_out(backend: Backend, condition: AsyncCondition) -> None:
    async def main() -> None:
        asked: list[int] = []

        def never() -> str:
            asked.append(1)
            return ""

        async with condition:
            for timeout in (0, 0.001):
                assert await condition.wait(timeout) is False
                assert await condition.async_wait(timeout) is False
                assert len(condition._notices) == 0
                assert condition.locked()
                assert await condition.wait_for(never, timeout) == ""
            assert len(asked) >= 3
            assert await condition.wait_for(lambda: "there", 0) == "there"
        for timeout in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                await condition.wait(timeout)

    run(backend, main)
    assert_at_rest(condition)


def test_wait_for_does_not_begin_anew(
    backend: Backend, condition: AsyncCondition
) -> None:
    over = anyio.Event()

    async def call() -> None:
        while not over.is_set():
            async with condition:
                condition.notify()
            await checkpoint()

    async def one() -> None:
        async with condition:
            assert await condition.wait_for(lambda: False, 0.05) is False
        over.set()

    run(backend, all_done, one, call)
    assert_at_rest(condition)


@on_asyncio
def test_notified_when_the_time_is_over(
    backend: Backend, condition: AsyncCondition
) -> None:
    table = Table(condition)

    async def main() -> None:
        tasks = [asyncio.ensure_future(table.sit(number, 60)) for number in range(2)]
        await waiting(condition, 2)
        first: AsyncioWaiter = cast("Any", next(iter(condition._notices._waiters)))
        async with condition:
            first._expire()
            condition.notify()
        await tasks[0]
        assert table.served == [0]
        async with condition:
            condition.notify()
        await tasks[1]
        assert table.served == [0, 1]

    run(backend, main)
    assert_at_rest(condition)


# Cancelled


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_cancelled_at_every_step(
    backend: Backend, condition: AsyncCondition, timeout: float | None
) -> None:
    """Two notifications for three, one of whom is cancelled: both are used."""

    async def stage(call: int, cancel: int, victim: int, *, first: bool) -> None:
        table = Table(condition)
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def one(number: int) -> None:
            with scopes[number]:
                await table.sit(number, timeout)

        def notify() -> None:
            condition.notify(2)
            condition.release()

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(one, number)
                await waiting(condition, number + 1)
            await condition.acquire()
            script: dict[int, list[Callable[[], object]]] = {}
            script.setdefault(cancel, []).append(scopes[victim].cancel)
            at = script.setdefault(call, [])
            at.insert(0 if first else len(at), notify)
            for step in range(6):
                for action in script.get(step, []):
                    action()
                await checkpoint()
            await until_in_task(lambda: len(table.served) >= 2)
            await condition.acquire()
            assert len(condition._notices) + len(table.served + table.gone) == 3
            condition.notify_all()
            condition.release()
        assert table.inside is False
        assert sorted(table.served + table.gone) == [0, 1, 2]
        assert_at_rest(condition)

    async def main() -> None:
        for call, cancel, victim, first in product(STEPS, STEPS, (0, 1), (False, True)):
            with anyio.fail_after(PATIENCE):
                await stage(call, cancel, victim, first=first)

    run(backend, main)


@on_asyncio
@pytest.mark.parametrize("times", [1, 3])
def test_task_cancelled_when_it_takes_the_lock_again(
    backend: Backend, condition: AsyncCondition, times: int
) -> None:
    table = Table(condition)

    async def main() -> None:
        victim = asyncio.ensure_future(table.sit(0))
        await waiting(condition)
        other = asyncio.ensure_future(table.sit(1))
        await waiting(condition, 2)
        async with condition:
            condition.notify()
            await queued(condition)
            for _ in range(times):
                victim.cancel()
                await checkpoint()
                await checkpoint()
                assert not victim.done()
        await asyncio.wait_for(other, PATIENCE)
        with pytest.raises(asyncio.CancelledError):
            await victim
        assert (table.gone, table.served) == ([0], [1])

    run(backend, main)
    assert_at_rest(condition)


def test_a_cancelled_scope_keeps_its_place(
    backend: Backend, condition: AsyncCondition
) -> None:
    order: list[str] = []

    async def one(scope: anyio.CancelScope) -> None:
        with scope:
            async with condition:
                try:
                    await condition.wait()
                finally:
                    order.append("cancelled")
        assert scope.cancelled_caught

    async def later() -> None:
        async with condition:
            order.append("later")

    async def main() -> None:
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, scope)
            await waiting(condition)
            async with condition:
                scope.cancel()
                await queued(condition)
                for _ in range(5):
                    await checkpoint()
                tasks.start_soon(later)
                await queued(condition, 2)
                for _ in range(5):
                    await checkpoint()

    run(backend, main)
    assert order == ["cancelled", "later"]
    assert_at_rest(condition)


def test_a_thousand_cancelled_at_once(
    backend: Backend, condition: AsyncCondition
) -> None:
    table = Table(condition)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(table.sit, number)
            await waiting(condition, 1000)
            async with condition:
                condition.notify(500)
                tasks.cancel_scope.cancel()
        assert len({*table.gone, *table.served}) == 1000

    run(backend, main)
    assert_at_rest(condition)
