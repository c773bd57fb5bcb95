"""Rules about waits that could never end: told, or not suffered at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio

from anylock import LockTimeout, WouldDeadlock
from anylock.testing._participants import Crowd, InThread, ways_in
from anylock.testing._rule import rule
from anylock.testing._stage import GRACE, SHORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Hold, Lock
    from anylock.testing._stage import Stage


@rule(
    "task",
    "A task that waits for the lock that it holds gets WouldDeadlock, and still has "
    "the lock; with a timeout it may get LockTimeout instead.",
    "deadlocks",
)
async def own_lock_again(stage: Stage) -> None:
    lock = stage.make()
    async with lock:
        for manager in (lock, lock.hold()):
            await _expect_refusal(stage, manager, WouldDeadlock)
            stage.expect(lock.locked(), "after WouldDeadlock it was not locked")
        for seconds in (0, SHORT):
            await _expect_refusal(stage, lock.hold(seconds), WouldDeadlock, LockTimeout)
            stage.expect(lock.locked(), "after LockTimeout it was not locked")
    await stage.until_free(lock)


async def _expect_refusal(
    stage: Stage, manager: Lock | Hold, *errors: type[Exception]
) -> None:
    try:
        async with manager:
            stage.fail("it got the lock again")
    except errors:
        pass


@rule(
    "task",
    "A `with` on the event loop's own thread, while one of its tasks holds the lock, "
    "raises WouldDeadlock; a lock for tasks of one loop raises it there always.",
    "deadlocks",
)
async def sync_in_loop_thread(stage: Stage) -> None:
    lock = stage.make()

    def by_with(hold: Callable[[], Lock | Hold]) -> None:
        with hold():
            stage.fail("`with` got the lock")

    async def in_another_task() -> None:
        stage.expect_error(WouldDeadlock, "`with`", by_with, lambda: lock)
        stage.expect_error(WouldDeadlock, "`with hold()`", by_with, lock.hold)

    async with lock:
        if not stage.reentrant:
            await in_another_task()
        async with anyio.create_task_group() as group:
            group.start_soon(in_another_task)
        stage.expect(lock.locked(), "after WouldDeadlock it was not locked")
    stage.expect(not lock.locked(), "after WouldDeadlock it could not be released")
    if stage.threads:
        with lock:
            stage.expect(lock.locked(), "locked() was False inside of `with`")
    else:
        await in_another_task()
    await stage.until_free(lock)


@rule(
    "task",
    "A `with` on the event loop's own thread, while its tasks only wait for the lock "
    "or were granted it a moment ago, gets the lock, and so do they.",
    "deadlocks",
    "threads",
)
async def sync_before_own_tasks(stage: Stage) -> None:
    lock = stage.make()
    for hold in ways_in(lock):
        async with Crowd(stage) as crowd:
            async with lock:
                granted = await crowd.join(lock)
            with hold():
                stage.expect(lock.locked(), "locked() was False inside of `with`")
            await crowd.finish(granted, "the task that was granted it before")
        async with Crowd(stage) as crowd:
            thread = InThread(stage, lock)
            await crowd.until(thread.inside.is_set, "a thread should have got the lock")
            waiting = await crowd.join(lock)
            # The thread leaves when we are likely to be blocked: if not yet, all
            # comes out right anyway.
            timer = threading.Timer(GRACE, thread.leave)
            timer.daemon = True
            timer.start()
            with hold():
                stage.expect(lock.locked(), "locked() was False inside of `with`")
            await crowd.finish(waiting, "the task that waited")
        await stage.until_free(lock)
