"""Cycles of waits are told before they hang, and nothing else is."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import debugged
from anylock import WouldDeadlock, make_lock
from backends import Backend, run
from debugged import all_joined, awaited, found, locks, take_both
from staging import PATIENCE, in_thread, until, until_in_task

if TYPE_CHECKING:
    from collections.abc import Awaitable

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["thread", "process"])
def test_threads_that_close_a_cycle_at_the_same_moment(number: int, kind: str) -> None:
    """Exactly one of them is refused, and the others get their locks."""
    all_of_them = locks(number, kind)
    barrier = threading.Barrier(number)
    results: list[str] = []

    def actor(n: int) -> None:
        first, then = all_of_them[n], all_of_them[(n + 1) % number]
        results.append(take_both(first, then, lambda: barrier.wait(PATIENCE)))

    with all_joined(*(partial(actor, n) for n in range(number))) as raised:
        pass
    assert not raised
    (refused,) = (result for result in results if result != "got")
    assert len(results) == number
    for n in range(number):
        assert refused.count(f"holds 'lock-{n}' for") == 1
        assert refused.count(f"waits for 'lock-{n}', at {debugged.__file__}") == 1
    (finding,) = found("deadlock")
    assert finding.message == refused
    assert not found("near deadlock")
    for lock in all_of_them:
        assert not lock.locked()
        assert not lock.record.waits
        assert not lock.record.holds


def test_many_times_at_the_same_moment() -> None:
    for _ in range(50):
        one, other = locks(2)
        barrier = threading.Barrier(2)
        results: list[str] = []

        def take(
            first: Any, then: Any, barrier: Any = barrier, results: Any = results
        ) -> None:
            results.append(take_both(first, then, lambda: barrier.wait(PATIENCE)))

        with all_joined(lambda: take(one, other), lambda: take(other, one)):  # noqa: B023
            pass
        assert sorted(result == "got" for result in results) == [False, True]


async def take_both_in_task(first: Any, then: Any, ready: Awaitable[object]) -> str:
    async with first:
        await ready
        try:
            async with then:
                return "got"
        except WouldDeadlock as error:
            return str(error)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("lock_kind", ["async", "thread"])
def test_tasks_of_one_thread(number: int, lock_kind: str, backend: Backend) -> None:
    """They are told apart, though they share a thread."""
    all_of_them = locks(number, lock_kind)
    results: list[str] = []

    async def main() -> None:
        holding = 0

        async def all_hold() -> None:
            nonlocal holding
            holding += 1
            await until_in_task(lambda: holding == number)

        async def actor(n: int) -> None:
            first, then = all_of_them[n], all_of_them[(n + 1) % number]
            results.append(await take_both_in_task(first, then, all_hold()))

        async with anyio.create_task_group() as tasks:
            for n in range(number):
                tasks.start_soon(actor, n, name=f"task-{n}")

    run(backend, main)
    (refused,) = (result for result in results if result != "got")
    assert len(results) == number
    for n in range(number):
        assert f"holds 'lock-{n}' for" in refused
        assert f"task 'task-{n}'" in refused or number == 1
    assert len(found("deadlock")) == 1


def test_a_thread_and_tasks_of_two_loops(backend: Backend) -> None:
    """A cycle of three: a thread, a task here, and a task of another event loop."""
    of_thread, of_task, of_other = locks(3)
    barrier = threading.Barrier(3)
    results: list[str] = []

    def thread() -> None:
        ready = lambda: barrier.wait(PATIENCE)  # noqa: E731 - as the others
        results.append(take_both(of_thread, of_task, ready))

    async def pass_barrier() -> None:
        await anyio.to_thread.run_sync(barrier.wait, PATIENCE)

    def loop(first: Any, then: Any, backend: Backend) -> None:
        async def main() -> None:
            results.append(await take_both_in_task(first, then, pass_barrier()))

        run(backend, main)

    with all_joined(
        thread,
        lambda: loop(of_task, of_other, backend),
        lambda: loop(of_other, of_thread, Backend("asyncio", "asyncio")),
    ) as raised:
        pass
    assert not raised
    (refused,) = (result for result in results if result != "got")
    assert len(results) == 3
    for n in range(3):
        assert f"holds 'lock-{n}'" in refused


def test_a_sync_wait_stops_the_other_tasks_of_its_loop(backend: Backend) -> None:
    """Who waits for a task that cannot run waits for who stops its loop."""
    of_task, of_thread = locks(2)
    taken = threading.Event()
    results: list[str] = []

    def thread() -> None:
        with of_thread:
            taken.set()
            until(lambda: of_task.record.holds)
            results.append(take_both(of_thread_too, of_task, lambda: None))

    of_thread_too = make_lock("thread", debug=True)

    async def main() -> None:
        inside, leave = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with of_task:
                inside.set()
                await leave.wait()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, name="holder")
            await inside.wait()
            with in_thread(thread):
                assert taken.wait(PATIENCE)
                until(lambda: awaited(of_task))
                # The thread waits for the holder, which cannot run if we wait for it.
                with pytest.raises(WouldDeadlock, match="cannot run: "):
                    of_thread.acquire()
                leave.set()
                await until_in_task(lambda: not of_task.record.holds)
                await until_in_task(lambda: bool(results))

    run(backend, main)
    assert results == ["got"]


def test_the_same_if_the_thread_closes_the_cycle() -> None:
    of_task, of_thread = locks(2)
    refused: list[str] = []
    taken = threading.Event()

    def thread() -> None:
        with of_thread:
            taken.set()
            until(lambda: awaited(of_thread))
            refused.append(take_both(make_lock("thread"), of_task, lambda: None))

    async def main() -> None:
        async def hold() -> None:
            async with of_task:
                await asyncio.sleep(PATIENCE)

        holder = asyncio.create_task(hold())
        await until_in_task(lambda: of_task.record.holds)
        with in_thread(thread):
            assert taken.wait(PATIENCE)
            with of_thread:  # stops this loop until the thread was refused
                pass
        holder.cancel()

    asyncio.run(main())
    assert "cannot run" in refused[0]


def test_a_sync_with_that_is_kept_across_an_await() -> None:
    """The other task would stop the loop for ever; that is told, not suffered."""
    (lock,) = locks(1)

    async def main() -> None:
        async def hold() -> None:
            with lock:
                await asyncio.sleep(PATIENCE)

        holder = asyncio.create_task(hold())
        await until_in_task(lambda: lock.record.holds)
        with pytest.raises(WouldDeadlock, match="cannot run") as caught, lock:
            pass
        assert caught.value.advice.startswith("use 'async with' in tasks\n")
        holder.cancel()

    asyncio.run(main())
