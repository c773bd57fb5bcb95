"""Rules about threads, among themselves and beside the tasks of an event loop.

A thread is one of any origin if the lock is for threads, else a worker thread of the
event loop. That somebody has blocked cannot be seen from outside: see GRACE.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import anyio.lowlevel

from anylock import LockTimeout
from anylock.testing._participants import InTask, InThread, ways_in
from anylock.testing._rule import rule
from anylock.testing._section import (
    Section,
    expect_visits,
    visits_by_task,
    visits_by_thread,
)
from anylock.testing._stage import SHORT
from anylock.testing._tasks import FOR_EVER, BodyError, BodyExit, expect_timeout

if TYPE_CHECKING:
    from anylock.testing._stage import Stage


@rule("thread", "`with` takes the lock and releases it, also when the body raises.")
def with_(stage: Stage) -> None:
    stage.call(_with, stage)


def _with(stage: Stage) -> None:
    lock = stage.make()
    for make in ways_in(lock):
        with make():
            stage.expect(lock.locked(), "locked() was False inside")
            stage.expect_taken(lock)
        stage.expect(not lock.locked(), "it was still locked after the body")
        for error in (BodyError(), BodyExit()):
            try:
                with make():
                    raise error
            except (BodyError, BodyExit) as caught:
                stage.expect(caught is error, f"the body's error became {caught!r}")
            else:
                stage.fail("it swallowed the body's error")
            stage.expect(not lock.locked(), "it was still locked after an error")


@rule("thread", "Of all threads, one at a time has the lock.")
def threads_exclude(stage: Stage) -> None:
    lock = stage.make()
    for hold in ways_in(lock):
        first = InThread(stage, hold())
        first.expect_inside("when it was free")
        second = InThread(stage, hold(), "a second thread")
        second.expect_outside("while a thread held it")
        taken = stage.call(lock.try_acquire)
        stage.expect(not taken, "try_acquire() took it from a thread that held it")
        stage.expect(lock.locked(), "locked() was False while a thread held it")
        first.finish()
        second.expect_inside("after the first had left")
        second.finish()
        stage.expect(not lock.locked(), "it was still locked when all had left")
    section = Section()
    visitors = [stage.start(visits_by_thread, lock, section, 50) for _ in range(4)]
    for visitor in visitors:
        stage.result(visitor, "each of four threads should have got the lock 50 times")
    expect_visits(stage, section, 200)


@rule(
    "thread",
    "When the time is over, `with lock.hold(timeout)` raises LockTimeout, with the "
    "seconds in .timeout and the lock's name in .lock_name; 0 tries once.",
)
def timeouts_in_threads(stage: Stage) -> None:
    lock = stage.make()

    def give_up(seconds: float) -> tuple[object, float]:
        began = monotonic()
        try:
            with lock.hold(seconds):
                return None, monotonic() - began
        except LockTimeout as error:
            return error, monotonic() - began

    holder = InThread(stage, lock)
    holder.expect_inside("when it was free")
    for seconds in (0, SHORT):
        attempt = stage.start(give_up, seconds)
        error, passed = stage.result(attempt, f"hold({seconds}) should have given up")
        stage.expect(error is not None, f"hold({seconds}) got inside")
        expect_timeout(stage, lock, error, seconds, passed)
    holder.finish()
    InThread(stage, lock.hold(stage.left)).finish()
    stage.expect(not lock.locked(), "it was still locked when all had left")


@rule("thread", "hold() waits for ever with None, with inf, and with any huge timeout.")
def endless_in_threads(stage: Stage) -> None:
    lock = stage.make()
    for seconds in FOR_EVER:
        holder = InThread(stage, lock)
        holder.expect_inside("when it was free")
        waiter = InThread(stage, lock.hold(seconds), f"hold({seconds})")
        waiter.expect_outside("while a thread held it")
        holder.finish()
        waiter.expect_inside("after the holder had left")
        waiter.finish()


@rule(
    "thread",
    "A task waits for a thread to leave, does not block its event loop meanwhile, and "
    "a thread waits for a task.",
    "tasks",
)
def threads_and_tasks_exclude(stage: Stage) -> None:
    lock = stage.make()
    for hold in ways_in(lock):
        thread = InThread(stage, hold())
        thread.expect_inside("when it was free")
        task = InTask(stage, hold())
        task.expect_outside("while a thread held it")
        stage.result(
            stage.loop.start(anyio.lowlevel.checkpoint),
            "the event loop should run while one of its tasks waits for the lock",
        )
        taken = stage.result(
            stage.loop.start(lock.try_acquire), "try_acquire() should have ended"
        )
        stage.expect(not taken, "try_acquire() in a task took it from a thread")
        thread.finish()
        task.expect_inside("after the thread had left")
        thread = InThread(stage, hold())
        thread.expect_outside("while a task held it")
        taken = stage.call(lock.try_acquire)
        stage.expect(not taken, "try_acquire() in a thread took it from a task")
        task.finish()
        thread.expect_inside("after the task had left")
        thread.finish()
    section = Section()
    visitors = [stage.start(visits_by_thread, lock, section, 40) for _ in range(2)]
    visitors += [stage.loop.start(visits_by_task, lock, section, 20) for _ in range(4)]
    for visitor in visitors:
        stage.result(visitor, "each of two threads and four tasks should have got it")
    expect_visits(stage, section, 160)


@rule(
    "thread",
    "A task that is cancelled, or runs out of time, while it waits for a thread to "
    "leave, leaves nothing behind.",
    "tasks",
)
def cancelled_behind_thread(stage: Stage) -> None:
    lock = stage.make()
    for with_another in (True, False):
        thread = InThread(stage, lock)
        thread.expect_inside("when it was free")
        first = InTask(stage, lock)
        first.expect_outside("while a thread held it")
        second = InTask(stage, lock, "the next task") if with_another else None
        first.cancel()
        late = InTask(stage, lock.hold(SHORT))
        given_up = f"hold({SHORT}) should have given up"
        stage.expect_error(
            LockTimeout, f"hold({SHORT})", stage.result, late.outcome, given_up
        )
        thread.finish()
        if second is not None:
            second.expect_inside("after the thread had left")
            second.finish()
        last = InThread(stage, lock.hold(stage.left / 2))
        last.expect_inside("when all had left or given up")
        last.finish()
