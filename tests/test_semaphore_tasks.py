"""Semaphores of the kinds "thread" and "process" among tasks, and threads beside them.

No permit is lost and none is invented, whatever ends a wait and whenever.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, SemaphoreOverReleased, WouldDeadlock
from backends import ASYNCIO, BACKENDS, Backend, run
from permits import (
    Room,
    acquire,
    at_rest,
    bridge_of,
    bridged,
    enter,
    exit_,
    granted,
    leave,
    make,
    queued,
    settled,
    waiting,
)
from staging import PATIENCE, all_done, in_thread, until, until_in_task, usable

if TYPE_CHECKING:
    from anylock import LockKind

timeouts = pytest.mark.parametrize("timeout", [None, 60.0])


# So many at a time


@bridged
@timeouts
def test_so_many_at_a_time(
    backend: Backend, kind: LockKind, timeout: float | None
) -> None:
    semaphore = make(kind, 3)
    room = Room(semaphore)

    async def often(number: int) -> None:
        for _ in range(5):
            await room.visit(number, timeout)
            await checkpoint()

    run(backend, all_done, *(partial(often, number) for number in range(10)))
    assert room.most == 3
    assert len(room.entered) == 50
    at_rest(semaphore, 3)


@bridged
def test_so_many_threads_and_tasks_of_all_loops(kind: LockKind) -> None:
    semaphore = make(kind, 3)
    room = Room(semaphore)

    def thread() -> None:
        for _ in range(50):
            with semaphore:
                room.stand(0)

    async def task() -> None:
        for _ in range(10):
            await room.visit(1)

    with ExitStack() as threads:
        for backend in filter(usable, BACKENDS):
            threads.enter_context(in_thread(thread))
            threads.enter_context(
                in_thread(partial(run, backend, all_done, *[task] * 5))
            )
    assert len(room.entered) == 100 * sum(map(usable, BACKENDS))
    assert room.most <= 3
    at_rest(semaphore, 3)


@bridged
def test_all_permits_are_used_at_once(backend: Backend, kind: LockKind) -> None:
    """Tasks wait for none that is free: all are inside together, beside a thread."""
    semaphore = make(kind, 4)
    inside = 0

    async def main() -> None:
        event = anyio.Event()

        async def one() -> None:
            nonlocal inside
            async with semaphore:
                inside += 1
                if inside == 3:
                    event.set()
                await event.wait()

        acquire(semaphore)
        await all_done(one, one, one)
        leave(semaphore)

    run(backend, main)
    at_rest(semaphore, 4)


# First come, first served


@bridged
@pytest.mark.parametrize("releaser", ["task", "thread", "release", "with"])
@pytest.mark.parametrize("value", [1, 2, 3])
def test_first_come_first_served(
    backend: Backend, kind: LockKind, value: int, releaser: str
) -> None:
    semaphore = make(kind, value)
    room = Room(semaphore)

    async def main() -> None:
        for _ in range(value):
            if releaser == "task":
                await enter(semaphore)
            else:
                acquire(semaphore)
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(room.visit, number)
                await queued(semaphore, number + 1)
            for _ in range(value):
                if releaser == "task":
                    await exit_(semaphore)
                elif releaser == "thread":
                    with in_thread(partial(leave, semaphore)):
                        pass
                elif releaser == "release":
                    semaphore.release()
                else:
                    leave(semaphore)

    run(backend, main)
    assert sorted(room.entered) == [*range(8)]
    for number in range(8):
        # Who is woken at the same time runs in any order, in trio in a random one.
        assert abs(room.entered.index(number) - number) < value
    assert room.most <= value
    at_rest(semaphore, value)


@bridged
@pytest.mark.parametrize("bounded", [False, True])
def test_permits_that_a_thread_makes_wake_as_many_tasks(
    backend: Backend, kind: LockKind, *, bounded: bool
) -> None:
    semaphore = make(kind, 5 if bounded else 0, bounded=bounded)
    entered: list[int] = []

    async def main() -> None:
        async def one(number: int) -> None:
            await enter(semaphore)
            entered.append(number)

        acquire(semaphore, semaphore.value)
        async with anyio.create_task_group() as tasks:
            for number in range(7):
                tasks.start_soon(one, number)
                await queued(semaphore, number + 1)
            with in_thread(lambda: semaphore.release(3)):
                pass
            await until_in_task(lambda: len(entered) == 3)
            assert waiting(semaphore) == 4
            assert semaphore.value == 0
            with in_thread(lambda: semaphore.release(4)):
                pass
        assert sorted(entered) == [*range(7)]

    run(backend, main)
    settled(semaphore, 0)
    semaphore.release(5)
    at_rest(semaphore, 5)


@bridged
def test_tasks_of_another_loop_release(backend: Backend, kind: LockKind) -> None:
    semaphore = make(kind, 0, bounded=False)
    entered: list[str] = []

    async def main(name: str) -> None:
        async def one() -> None:
            await enter(semaphore)
            entered.append(name)

        await all_done(one, one, one)

    async def release() -> None:
        semaphore.release(2)
        await checkpoint()
        for _ in range(4):
            await exit_(semaphore)

    def loop(backend: Backend, name: str) -> None:
        run(backend, main, name)

    with ExitStack() as threads:
        for name, other in (("here", backend), ("there", ASYNCIO)):
            threads.enter_context(in_thread(partial(loop, other, name)))
        until(lambda: waiting(semaphore) == 6)
        run(backend, release)
    assert sorted(entered) == ["here"] * 3 + ["there"] * 3
    settled(semaphore, 0)


@bridged
def test_end_of_a_with_in_a_thread_wakes_a_task(
    backend: Backend, kind: LockKind
) -> None:
    """The C method tells nobody; and a task has the other permit all the time."""
    semaphore = make(kind, 2)
    room = Room(semaphore)

    async def main() -> None:
        acquire(semaphore)
        await enter(semaphore)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(room.visit, number)
            await queued(semaphore, 3)
            with in_thread(partial(leave, semaphore)), anyio.fail_after(PATIENCE):
                await until_in_task(lambda: len(room.entered) == 3)
        await exit_(semaphore)

    run(backend, main)
    assert room.most == 1
    at_rest(semaphore, 2)


@bridged
def test_newcomers_do_not_overtake(backend: Backend, kind: LockKind) -> None:
    """Who was granted a permit, and who is queued before, has it first."""
    semaphore = make(kind, 2)
    order: list[str] = []

    async def main() -> None:
        async def one(name: str) -> None:
            async with semaphore:
                order.append(name)
                await checkpoint()

        def thread() -> None:
            assert not semaphore.try_acquire()
            assert not semaphore.acquire(timeout=0)
            with pytest.raises(LockTimeout), semaphore.hold(0):
                pass

        await enter(semaphore)
        await enter(semaphore)
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(one, name)
                await queued(semaphore, len(order) + "abc".index(name) + 1)
            await exit_(semaphore)
            await exit_(semaphore)
            assert granted(semaphore) == 2
            assert semaphore.value == 0
            assert not semaphore.try_acquire()
            with in_thread(thread):
                pass
            assert not bridge_of(semaphore).take()
            if backend.library == "asyncio":  # elsewhere it is a checkpoint
                with pytest.raises(LockTimeout):
                    await enter(semaphore, 0.0)
                assert order == []
            await one("newcomer")
        assert sorted(order[:2]) == ["a", "b"]
        assert sorted(order[2:]) == ["c", "newcomer"]

    run(backend, main)
    at_rest(semaphore, 2)


@bridged
def test_free_permit_is_not_a_newcomers_while_others_wait(
    backend: Backend, kind: LockKind
) -> None:
    """A thread gave it back a moment ago; who is queued has not heard of it yet."""
    semaphore = make(kind, 2)
    order: list[str] = []

    async def main() -> None:
        async def one(name: str) -> None:
            async with semaphore:
                order.append(name)

        acquire(semaphore, 2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "first")
            await queued(semaphore)
            leave(semaphore)
            tasks.start_soon(one, "second")
            await one("third")
        assert order[0] == "first"
        leave(semaphore)

    run(backend, main)
    at_rest(semaphore, 2)


@bridged
def test_value_zero_at_first(backend: Backend, kind: LockKind) -> None:
    """It is a signal: what is released before or while somebody waits."""
    semaphore = make(kind, 0, bounded=False)

    async def main() -> None:
        assert semaphore.locked()
        assert not semaphore.try_acquire()
        with pytest.raises(LockTimeout):
            await enter(semaphore, 0.001)
        semaphore.release(2)
        until(lambda: semaphore.value == 2)
        await enter(semaphore)
        await enter(semaphore)
        with pytest.raises(LockTimeout), semaphore.hold(0.001):
            pass
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            semaphore.release()
        with in_thread(partial(leave, semaphore)), semaphore:
            pass

    run(backend, main)
    settled(semaphore, 1)


@bridged
def test_bounded_one_refuses_a_permit_too_many(
    backend: Backend, kind: LockKind
) -> None:
    semaphore = make(kind, 3)

    async def main() -> None:
        with pytest.raises(SemaphoreOverReleased, match="'the-semaphore'") as info:
            await exit_(semaphore)
        assert isinstance(info.value, ValueError)
        assert info.value.bound == 3
        await enter(semaphore)
        with pytest.raises(SemaphoreOverReleased):
            semaphore.release(2)  # only one fits
        assert semaphore.value == 2
        with pytest.raises(SemaphoreOverReleased):
            async with semaphore:
                semaphore.release(2)
        assert semaphore.value == 3
        # No task is thought to be inside any more, and nobody to be waiting.
        await all_done(*[partial(Room(semaphore).visit, 0)] * 7)

    run(backend, main)
    settled(semaphore, 3)


@bridged
def test_what_was_refused_is_no_release(kind: LockKind) -> None:
    """It does not make anybody a possible releaser: a deadlock is told as before."""
    semaphore: Any = make(kind, 1, bounded=True)
    with pytest.raises(SemaphoreOverReleased):
        semaphore.release()

    async def main() -> None:
        async with semaphore:
            with pytest.raises(WouldDeadlock):
                async with semaphore:
                    pass

    asyncio.run(main())
