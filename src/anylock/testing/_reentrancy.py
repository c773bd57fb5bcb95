"""Rules about re-entrant locks: who holds one enters it again, and nobody else does."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from anylock import LockTimeout, WouldDeadlock
from anylock.testing._participants import Crowd, InTask, InThread, settle
from anylock.testing._rule import rule
from anylock.testing._section import (
    Section,
    expect_visits,
    visits_by_task,
    visits_by_thread,
)
from anylock.testing._stage import SHORT
from anylock.testing._surface import not_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Hold, Lock
    from anylock.testing._stage import Stage

DEPTH = 3
"""How often those enter who enter again."""

DEAD = 100
"""Those who come after a dead owner: enough for one of them to have its id."""


class Deep:
    """A manager that enters the lock several times, and leaves it as often."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        for _ in range(DEPTH):
            self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        for _level in range(DEPTH):
            self._lock.__exit__(None, None, None)

    async def __aenter__(self) -> None:
        for _ in range(DEPTH):
            await self._lock.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        for _level in range(DEPTH):
            await self._lock.__aexit__(None, None, None)


class Taken:
    """A manager that takes the lock by try_acquire(), and releases it."""

    def __init__(self, stage: Stage, lock: Lock) -> None:
        self._stage = stage
        self._lock = lock

    def __enter__(self) -> None:
        taken: Any = self._lock.try_acquire()
        self._stage.expect(
            taken is True, f"try_acquire() gave {taken!r} to who may have it"
        )

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


async def in_another_task(function: Callable[[], object]) -> Any:
    """Call the function in another task of this event loop; return its result."""
    results: list[object] = []

    async def call() -> None:
        results.append(function())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
    return results[0]


@rule(
    "task",
    "A task that holds it enters it again without waiting, in whatever way, by `with` "
    "as well; others get in when it has left as often, and not before.",
)
async def reentry_by_task(stage: Stage) -> None:
    lock = stage.make()
    for outermost in _ways_in(stage, lock)[1:]:
        async with Crowd(stage) as crowd:
            left: list[Callable[..., Any]] = []
            await outermost.__aenter__()
            waiter = await crowd.join(lock)
            for again in _ways_in(stage, lock):
                await again.__aenter__()
                left.append(again.__aexit__)
            for at_once in _ways_in(stage, lock):
                at_once.__enter__()
                left.append(at_once.__exit__)
            while left:
                leaving = left.pop()(None, None, None)
                if leaving is not None:
                    await leaving
                await settle()
                stage.expect(lock.locked(), "it was free after the first of its leaves")
                stage.expect(
                    waiter.state == "waiting", "another task got inside too early"
                )
                taken = await in_another_task(lock.try_acquire)
                stage.expect(not taken, "another task took it by try_acquire()")
            lock.release()
            await crowd.finish(waiter, "the task that waited")
        await stage.until_free(lock)


def _ways_in(stage: Stage, lock: Lock) -> tuple[Lock | Hold, ...]:
    return Taken(stage, lock), lock, lock.hold(), lock.hold(0), lock.hold(SHORT)


@rule(
    "task",
    "What a task takes by try_acquire() is the task's: it enters it again, by "
    "`async with` as well, and other tasks do not.",
)
async def taken_by_task(stage: Stage) -> None:
    lock = stage.make()
    async with Crowd(stage) as crowd:
        stage.expect(lock.try_acquire(), "try_acquire() of a fresh lock failed")
        taken = await in_another_task(lock.try_acquire)
        stage.expect(not taken, "another task took it by try_acquire()")
        waiter = await crowd.join(lock)
        stage.expect(waiter.state == "waiting", "another task got inside")
        for again in _ways_in(stage, lock):
            async with again:
                await settle()
            stage.expect(lock.locked(), "it was free after the first of its leaves")
            stage.expect(waiter.state == "waiting", "another task got inside too early")
        lock.release()
        await crowd.finish(waiter, "the task that waited")
    await stage.until_free(lock)


@rule(
    "thread",
    "A thread that holds it enters it again without waiting, in whatever way; others "
    "get in when it has left as often, and not before.",
)
def reentry_by_thread(stage: Stage) -> None:
    lock = stage.make()
    stage.call(_reenter, stage, lock)
    stage.expect(not lock.locked(), "it was locked after as many leaves as entries")
    InThread(stage, lock, "another thread").finish()


def _reenter(stage: Stage, lock: Lock) -> None:
    for outermost in _ways_in(stage, lock):
        with outermost:
            for way in _ways_in(stage, lock):
                with way, lock:
                    pass
                stage.expect(lock.locked(), "it was free after the first of its leaves")
                taken = stage.call(lock.try_acquire)
                stage.expect(not taken, "another thread took it by try_acquire()")
        stage.call(_visit, lock)


def _visit(lock: Lock) -> None:
    with lock:
        pass


@rule(
    "task",
    "While a task holds it, however often, no other task of its event loop gets in, "
    "its children neither, and no thread that works for it, whatever it waits for.",
)
async def owner_among_tasks(stage: Stage) -> None:
    lock = stage.make()

    async def wait_a_little() -> None:
        await anyio.sleep(SHORT / 10)

    async def wait_for_a_thread() -> None:
        await anyio.to_thread.run_sync(bool)

    waits: tuple[Callable[[], Any], ...] = (
        anyio.lowlevel.checkpoint,
        wait_a_little,
        wait_for_a_thread,
        settle,
    )
    managers: tuple[Lock | Hold, ...] = lock, Deep(lock)
    for manager in managers:
        async with Crowd(stage) as crowd:
            async with manager:
                others = [await crowd.join(lock), await crowd.join(Deep(lock))]
                late = await crowd.join(lock.hold(0), errors=LockTimeout)
                stage.expect(late.state == "failed", "hold(0) got another task inside")
                for wait in waits:
                    await wait()
                    stage.expect(
                        all(other.state == "waiting" for other in others),
                        "another task got inside",
                    )
                    taken = await in_another_task(lock.try_acquire)
                    stage.expect(not taken, "another task took it by try_acquire()")
                taken = await anyio.to_thread.run_sync(lock.try_acquire)
                stage.expect(not taken, "a thread that works for the owner took it")
            for other in others:
                await crowd.finish(other, "a task that waited")
        section = Section()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(visits_by_task, manager, section, 10)
        expect_visits(stage, section, 40)
    await stage.until_free(lock)


@rule(
    "task",
    "While a task holds it, `with` in another task on the same thread does not get in.",
)
async def sync_in_another_task(stage: Stage) -> None:
    lock = stage.make()

    def enter(seconds: float) -> None:
        with lock.hold(seconds):
            stage.fail("`with` in another task got the lock")

    async with lock:
        for inside in (False, True):
            if inside:
                lock.__enter__()
            for seconds in (0, SHORT):
                await in_another_task(
                    partial(
                        stage.expect_error,
                        (LockTimeout, WouldDeadlock),
                        f"hold({seconds}) in another task",
                        enter,
                        seconds,
                    )
                )
        lock.__exit__(None, None, None)
        stage.expect(lock.locked(), "it was free after the first of its leaves")
    await stage.until_free(lock)


@rule(
    "thread",
    "While a thread or a task holds it, however often, no other thread gets in, and no "
    "task.",
)
def owner_among_threads(stage: Stage) -> None:
    lock = stage.make()
    deep = Deep(lock)
    thread = InThread(stage, deep)
    thread.expect_inside("when it was free")
    task = InTask(stage, deep)
    task.expect_outside("while a thread held it")
    taken = stage.call(lock.try_acquire)
    stage.expect(not taken, "try_acquire() took it from a thread")
    thread.finish()
    task.expect_inside("after the thread had left")
    thread = InThread(stage, deep)
    thread.expect_outside("while a task held it")
    taken = stage.call(lock.try_acquire)
    stage.expect(not taken, "try_acquire() took it from a task")
    task.finish()
    thread.expect_inside("after the task had left")
    thread.finish()
    section = Section()
    visitors = [stage.start(visits_by_thread, deep, section, 20) for _ in range(2)]
    visitors += [stage.loop.start(visits_by_task, deep, section, 10) for _ in range(4)]
    for visitor in visitors:
        stage.result(visitor, "each of two threads and four tasks should have got it")
    expect_visits(stage, section, 80)


@rule(
    "thread",
    "Who does not hold it cannot release it: that raises RuntimeError, ValueError or "
    "AssertionError, and changes nothing.",
)
def release_by_others(stage: Stage) -> None:
    lock = stage.make()
    for who, kind in (("a thread", InThread), ("a task", InTask)):
        owner = kind(stage, lock)
        owner.expect_inside("when it was free")
        for other, start in (("thread", stage.start), ("task", stage.loop.start)):
            attempt = start(
                stage.expect_error,
                not_held(stage),
                f"release() by another {other}, of what {who} holds,",
                lock.release,
            )
            stage.result(attempt, "release() should have ended")
        stage.expect(lock.locked(), "it was free after a release by another")
        stage.expect(not stage.call(lock.try_acquire), "another took it then")
        owner.finish()
    stage.call(_visit, lock)


@rule(
    "task",
    "A task that comes after one that ended without leaving is not its owner, even if "
    "it has the same id.",
)
async def dead_tasks(stage: Stage) -> None:
    lock = stage.make()

    async def enter() -> None:
        await lock.__aenter__()

    async with anyio.create_task_group() as group:
        group.start_soon(enter)
    await settle()
    gc.collect()
    taken: list[bool] = []

    async def take() -> None:
        taken.append(lock.try_acquire())

    async with anyio.create_task_group() as group:
        for _ in range(DEAD):
            group.start_soon(take)
    stage.expect(not any(taken), "a later task took it from one that had ended")


@rule(
    "thread",
    "A thread that comes after one that ended without leaving is not its owner, even "
    "if it has the same id.",
    "threads",
)
def dead_threads(stage: Stage) -> None:
    lock = stage.make()

    def enter() -> None:
        lock.__enter__()

    stage.call(enter)
    for _ in range(DEAD // 5):
        taken = stage.call(lock.try_acquire)
        stage.expect(not taken, "a later thread took it from one that had ended")


@rule(
    "task",
    "A task that is cancelled as it enters again holds the lock as often as before.",
)
async def cancelled_reentry(stage: Stage) -> None:
    lock = stage.make()
    async with Crowd(stage) as crowd:
        async with lock:
            waiter = await crowd.join(lock)
            for manager in (lock, lock.hold(), lock.hold(60)):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    async with manager:
                        await anyio.lowlevel.checkpoint()
                stage.expect(lock.locked(), "it was free after a cancelled re-entry")
                await settle()
                stage.expect(waiter.state == "waiting", "another task got inside")
        await crowd.finish(waiter, "the task that waited")
    await stage.until_free(lock)
