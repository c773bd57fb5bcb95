"""AsyncSemaphore and AsyncBoundedSemaphore: permits are neither lost nor invented."""

from __future__ import annotations

import asyncio
import importlib
import io
import sys
import unittest
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    AsyncBoundedSemaphore,
    AsyncSemaphore,
    LockTimeout,
    make_semaphore,
)
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from permits import Room, assert_at_rest, queued, waiting
from staging import PATIENCE, all_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._parking import AsyncioWaiter

STEPS = range(4)
TIMED_OUT = asyncio.TimeoutError  # TimeoutError itself since Python 3.11
on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)
timeouts = pytest.mark.parametrize("timeout", [None, 60.0])
classes = pytest.mark.parametrize("cls", [AsyncSemaphore, AsyncBoundedSemaphore])


# In the place of asyncio's


class Semaphore_(AsyncSemaphore):  # noqa: N801 - renamed below
    __slots__ = ()


Semaphore_.__name__ = Semaphore_.__qualname__ = "Semaphore"

# What these tests look at is no behaviour.
INNER = {
    "test_acquire_fifo_order_4": "counts as free what was granted already",
}
if sys.version_info < (3, 11):
    INNER["test_semaphore_doesnt_accept_loop_parameter"] = (
        "wants the words by which asyncio says that it took `loop` once"
    )


def test_the_whole_suite_of_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module: Any = importlib.import_module("test.test_asyncio.test_locks")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")
    monkeypatch.setattr(asyncio, "Semaphore", Semaphore_)
    monkeypatch.setattr(asyncio, "BoundedSemaphore", AsyncBoundedSemaphore)
    case: type[unittest.TestCase] = module.SemaphoreTests
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    chosen = [name for name in names if name not in INNER]
    assert len(chosen) >= 10
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(
        unittest.TestSuite(case(name) for name in chosen)
    )
    assert result.wasSuccessful(), report.getvalue()


@classes
def test_so_many_at_a_time(backend: Backend, cls: type[AsyncSemaphore]) -> None:
    semaphore = cls(3)
    room = Room(semaphore)

    async def often(number: int) -> None:
        for _ in range(5):
            await room.visit(number)
            await checkpoint()

    async def main() -> None:
        await all_done(*(partial(often, number) for number in range(10)))

    run(backend, main)
    assert room.most == 3
    assert len(room.entered) == 50
    assert_at_rest(semaphore, 3)


# Cancelled at every moment


@timeouts
@pytest.mark.parametrize("value", [1, 2])
def test_cancelled_at_every_step(
    backend: Backend, value: int, timeout: float | None
) -> None:
    async def stage(release: int, cancel: int, victim: int, *, first: bool) -> None:
        semaphore = AsyncBoundedSemaphore(value)
        room = Room(semaphore)
        for _ in range(value):
            assert await semaphore.acquire()
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def one(number: int) -> None:
            with scopes[number]:
                await room.visit(number, timeout)

        script: dict[int, list[Callable[[], object]]] = {}
        script.setdefault(cancel, []).append(scopes[victim].cancel)
        at = script.setdefault(release, [])
        at.insert(0 if first else len(at), partial(semaphore.release, value))
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(one, number)
            for step in STEPS:
                for action in script.get(step, []):
                    action()
                await checkpoint()
        assert {*room.entered, victim} == {0, 1, 2, 3}
        assert room.most <= value
        assert_at_rest(semaphore, value)

    async def main() -> None:
        for release, cancel, victim, first in product(
            STEPS, STEPS, (0, 1), (False, True)
        ):
            with anyio.fail_after(PATIENCE):
                await stage(release, cancel, victim, first=first)

    run(backend, main)


@on_asyncio
@pytest.mark.parametrize("order", ["cancel", "release"])
def test_cancelled_and_granted_in_one_step(backend: Backend, order: str) -> None:
    async def main() -> None:
        semaphore = AsyncBoundedSemaphore(2)
        assert await semaphore.acquire()
        assert await semaphore.acquire()
        tasks = [asyncio.ensure_future(semaphore.acquire()) for _ in range(4)]
        await queued(semaphore, 4)
        if order == "cancel":
            tasks[0].cancel()
        semaphore.release(2)
        tasks[0].cancel()
        assert await asyncio.wait_for(tasks[1], PATIENCE)
        assert await asyncio.wait_for(tasks[2], PATIENCE)
        assert tasks[0].cancelled()
        assert not tasks[3].done()
        semaphore.release(2)
        assert await tasks[3]
        semaphore.release()
        assert_at_rest(semaphore, 2)

    run(backend, main)


@on_asyncio
def test_wait_for(backend: Backend) -> None:
    async def main() -> None:
        semaphore = AsyncBoundedSemaphore(1)
        for _ in range(3):
            assert await asyncio.wait_for(semaphore.acquire(), 30) is True
            for timeout in (0, 0.001):
                with pytest.raises(TIMED_OUT):
                    await asyncio.wait_for(semaphore.acquire(), timeout)
            asyncio.get_running_loop().call_soon(semaphore.release)
            assert await asyncio.wait_for(semaphore.acquire(), 30) is True
            semaphore.release()
            assert_at_rest(semaphore, 1)

    run(backend, main)


def test_a_thousand_cancelled_at_once(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(2)
    room = Room(semaphore)

    async def main() -> None:
        async with semaphore, semaphore.hold(), anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(room.visit, number)
            await queued(semaphore, 1000)
            tasks.cancel_scope.cancel()
        assert room.entered == []

    run(backend, main)
    assert_at_rest(semaphore, 2)


def test_cancelled_at_the_checkpoint_of_a_free_acquire(trio: Any) -> None:
    semaphore = AsyncBoundedSemaphore(2)

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await semaphore.acquire()
        assert scope.cancelled_caught
        assert_at_rest(semaphore, 2)
        entering = semaphore.acquire()
        entering.send(None)
        assert semaphore.value == 1
        entering.close()
        assert_at_rest(semaphore, 2)

    trio.run(main)


@pytest.mark.parametrize("fast", [False, True])
def test_checkpoints_on_trio(trio: Any, *, fast: bool) -> None:
    testing: Any = importlib.import_module("trio.testing")
    semaphore = make_semaphore("async", fast_acquire=fast)
    expected = testing.assert_no_checkpoints if fast else testing.assert_checkpoints

    async def main() -> None:
        with expected():
            await semaphore.acquire()
        semaphore.release()
        with expected():
            await semaphore.__aenter__()
        with testing.assert_no_checkpoints():
            await semaphore.__aexit__(None, None, None)

    trio.run(main)


# First come, first served


def test_nobody_overtakes(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(2)
    room = Room(semaphore)

    async def main() -> None:
        assert semaphore.try_acquire()
        assert semaphore.try_acquire()
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(room.visit, number)
                await queued(semaphore, number + 1)
            assert not semaphore.try_acquire()
            semaphore.release(2)
            assert semaphore.value == 0  # granted, but they have not run yet
            assert semaphore.locked()
            assert not semaphore.try_acquire()
            assert await semaphore.acquire(blocking=False) is False
            assert await semaphore.acquire(timeout=0) is False
            tasks.start_soon(room.visit, 5)

    run(backend, main)
    # Of two that may run, trio runs either one first.
    assert [{*room.entered[at : at + 2]} for at in (0, 2, 4)] == [
        {0, 1},
        {2, 3},
        {4, 5},
    ]
    assert_at_rest(semaphore, 2)


@on_asyncio
def test_nobody_runs_before_who_was_granted(backend: Backend) -> None:
    # There is a free permit, but somebody who waited is only on its way to run.
    semaphore = AsyncBoundedSemaphore(2)
    room = Room(semaphore)

    async def main() -> None:
        for way in ("async with", "acquire", "hold"):
            room.entered.clear()
            await semaphore.acquire()
            await semaphore.acquire()
            first = asyncio.ensure_future(room.visit(1))
            await queued(semaphore)
            semaphore.release(2)
            assert semaphore.value == 1
            assert semaphore.locked()
            if way == "async with":
                await room.visit(2)
            elif way == "hold":
                await room.visit(2, 60)
            else:
                await semaphore.acquire()
                room.entered.append(2)
                semaphore.release()
            await first
            assert room.entered == [1, 2]

    run(backend, main)
    assert_at_rest(semaphore, 2)


def test_timed_out(backend: Backend) -> None:
    semaphore = AsyncBoundedSemaphore(1, "pool")

    async def main() -> None:
        async with semaphore:
            for timeout in (0, 0.001):
                with pytest.raises(LockTimeout, match="'pool'"):
                    async with semaphore.hold(timeout):
                        pytest.fail("there was none")
                assert await semaphore.acquire(timeout=timeout) is False
            assert waiting(semaphore) == 0
        with pytest.raises(ValueError, match="leave out the timeout"):
            await semaphore.acquire(blocking=False, timeout=1)

    run(backend, main)
    assert_at_rest(semaphore, 1)


@on_asyncio
def test_granted_when_the_time_is_over(backend: Backend) -> None:
    async def main() -> None:
        semaphore = AsyncBoundedSemaphore(1)
        await semaphore.acquire()
        task = asyncio.ensure_future(semaphore.acquire(timeout=60))
        await queued(semaphore)
        (waiter,) = cast("dict[AsyncioWaiter, None]", semaphore._waiters)
        semaphore.release()
        waiter._expire()
        assert await task is True
        semaphore.release()
        assert_at_rest(semaphore, 1)

    run(backend, main)
