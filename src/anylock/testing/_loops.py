"""Rules about several event loops: one after another, and at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING

from anylock.testing._participants import Crowd, InTask, settle
from anylock.testing._rule import rule
from anylock.testing._section import Section, expect_visits, visits_by_task
from anylock.testing._stage import GRACE

if TYPE_CHECKING:
    from anylock import Lock
    from anylock.testing._stage import LoopThread, Stage


@rule(
    "loops",
    "It belongs to no event loop: several may use it one after the other, those of "
    "asyncio and trio in turn.",
    "tasks",
)
def loops_in_turn(stage: Stage) -> None:
    lock = stage.make()

    async def contend() -> None:
        async with Crowd(stage) as crowd:
            async with lock:
                waiters = [await crowd.join(lock) for _ in range(3)]
                waiters[0].cancel()
            for waiter in waiters[1:]:
                await crowd.finish(waiter)

    for backend in stage.backends * 2:
        backend.run(contend)
        stage.wait_until_free(lock, "after an event loop")


@rule(
    "loops",
    "A task whose event loop was closed while it waited is passed over when the lock "
    "is released.",
    "tasks",
)
def closed_loop(stage: Stage) -> None:
    if all(backend.library != "asyncio" for backend in stage.backends):
        return  # only asyncio can close a loop that has tasks
    if stage.reentrant and not stage.threads:
        return  # only a task of the closed event loop could release it
    lock = stage.make()

    async def want() -> None:
        async with lock:
            stage.fail("a task of a closed event loop got the lock")

    waiting = want()

    async def hold_and_wait() -> asyncio.Task[None]:
        if not stage.reentrant:
            await lock.__aenter__()  # left from outside
        task = asyncio.get_running_loop().create_task(waiting)
        await settle()
        return task

    if stage.reentrant:
        lock.__enter__()
    loop = asyncio.new_event_loop()
    # Silence: that a task was pending at the end is what this is about.
    loop.set_exception_handler(lambda _loop, _context: None)
    task = loop.run_until_complete(hold_and_wait())
    loop.close()
    try:
        stage.expect(lock.locked(), "it got free when the holder's loop was closed")
        next_task = (
            InTask(stage, lock, "a task of another loop") if stage.threads else None
        )
        if next_task is not None:
            next_task.expect_outside("while it was held")
        lock.release()
        if next_task is not None:
            next_task.expect_inside("after the release")
            next_task.finish()
        stage.backend.run(stage.until_free, lock)
    finally:
        waiting.close()
        del task


@rule(
    "loops",
    "Tasks of several event loops exclude one another.",
    "tasks",
    "threads",
)
def loops_exclude(stage: Stage) -> None:
    lock = stage.make()
    for backend in stage.backends:
        here = stage.loop
        there = stage.another_loop(1 + stage.backends.index(backend), backend)
        first = InTask(stage, lock, loop=here)
        first.expect_inside("when it was free")
        second = InTask(
            stage, lock, f"a task of another loop ({backend.library})", there
        )
        second.expect_outside("while a task of another loop held it")
        first.finish()
        second.expect_inside("after the other had left")
        third = InTask(stage, lock, "a task of the first loop", here)
        third.expect_outside("while a task of another loop held it")
        second.finish()
        third.expect_inside("after the other had left")
        third.finish()
        _take_amid_a_step(stage, lock, here, there)
        section = Section()
        visitors = [
            loop.start(visits_by_task, lock, section, 20)
            for loop in (here, there)
            for _ in range(3)
        ]
        for visitor in visitors:
            stage.result(visitor, "each of six tasks of two loops should have got it")
        expect_visits(stage, section, 120)


def _take_amid_a_step(
    stage: Stage, lock: Lock, here: LoopThread, there: LoopThread
) -> None:
    """Let a task get the lock while one of another loop is running, which waits next.

    A lock that asks who is running must not take the one for the other.
    """
    running, taken = threading.Event(), threading.Event()

    async def run_and_wait() -> None:
        running.set()
        taken.wait(stage.left)
        async with lock:
            pass

    waiting = here.start(run_and_wait)
    stage.until_set(running, "a task should have started")
    holder = InTask(stage, lock, "a task of another loop", there)
    holder.expect_inside("when it was free")
    taken.set()
    if wait([waiting], GRACE).done:
        waiting.result()
        stage.fail("a task got the lock while a task of another loop held it")
    holder.finish()
    stage.result(waiting, "a task should have got the lock after the other had left")


@rule(
    "loops",
    "A task of a second event loop that wants the lock while the first uses it gets "
    "an error, and the first goes on.",
    "deadlocks",
    "one loop",
    "tasks",
)
def loops_refused(stage: Stage) -> None:
    for number, backend in enumerate(stage.backends):
        lock = stage.make()
        there = stage.another_loop(1 + number, backend)
        first = InTask(stage, lock)
        first.expect_inside("when it was free")
        for waiting in (False, True):
            next_one = (
                InTask(stage, lock, "a task of the first loop") if waiting else None
            )
            second = InTask(stage, lock, "a task of a second loop", there)
            stage.until_done(
                second.outcome, "a task of a second loop should have been refused"
            )
            stage.expect(
                isinstance(second.outcome.exception(), RuntimeError),
                f"a task of a second loop got {second.outcome.exception()!r}, "
                f"not a RuntimeError",
            )
            if next_one is not None:
                first.finish()
                next_one.expect_inside("after the holder had left")
                next_one.finish()
        second = InTask(stage, lock, "a task of a second loop", there)
        second.expect_inside("when the first loop had left it")
        second.finish()
