"""Rules among the tasks of one event loop."""

from __future__ import annotations

import math
from functools import partial
from threading import TIMEOUT_MAX
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio

from anylock import LockTimeout
from anylock.testing._participants import Crowd, flavours, settle, ways_in
from anylock.testing._rule import rule
from anylock.testing._section import Section, expect_visits, visits_by_task
from anylock.testing._stage import SHORT

if TYPE_CHECKING:
    from anylock import Lock
    from anylock.testing._participants import Contender
    from anylock.testing._stage import Stage

FOR_EVER = (None, math.inf, 1e300, TIMEOUT_MAX * 2)
"""Time-outs that never come, the last two of them beyond what platforms take."""


class BodyError(Exception):
    """Raised in the body of a `with`, to come out of it unchanged."""


class BodyExit(BaseException):
    """Like BodyError, as KeyboardInterrupt and cancellations are."""


@rule("task", "`async with` takes the lock and releases it, also when the body raises.")
async def async_with(stage: Stage) -> None:
    lock = stage.make()
    for make in ways_in(lock):
        async with make():
            stage.expect(lock.locked(), "locked() was False inside")
            stage.expect_taken(lock)
        stage.expect(not lock.locked(), "it was still locked after the body")
        for error in (BodyError(), BodyExit()):
            try:
                async with make():
                    raise error
            except (BodyError, BodyExit) as caught:
                stage.expect(caught is error, f"the body's error became {caught!r}")
            else:
                stage.fail("it swallowed the body's error")
            stage.expect(not lock.locked(), "it was still locked after an error")


@rule("task", "Leaving `async with` is never a checkpoint, whoever waits.")
async def async_exit(stage: Stage) -> None:
    lock = stage.make()
    for hold in ways_in(lock):
        for waiting in (False, True):
            manager: Any = hold()
            async with Crowd(stage) as crowd:
                await manager.__aenter__()
                waiter = crowd.add(lock) if waiting else None
                await settle()
                # Driven by hand: to suspend is to yield here.
                leaving = manager.__aexit__(None, None, None).__await__()
                try:
                    next(leaving)
                except StopIteration:
                    pass
                else:
                    leaving.close()
                    stage.fail("it let other tasks run before it was through")
                if waiter is not None:
                    await crowd.finish(waiter)


@rule("task", "Of the tasks of one event loop, one at a time has the lock.")
async def tasks_exclude(stage: Stage) -> None:
    lock = stage.make()
    async with Crowd(stage) as crowd:
        for hold in ways_in(lock):
            async with lock:
                waiter = await crowd.join(hold())
                stage.expect(waiter.state == "waiting", "a second task got inside")
                stage.expect_taken(lock)
            await crowd.finish(waiter, "the task that waited")
        section = Section()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(visits_by_task, lock, section, 20)
        expect_visits(stage, section, 100)


@rule("task", "Tasks of one event loop get the lock in the order in which they came.")
async def first_come_first_served(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                waiters = [await crowd.join(lock, flavour) for _ in range(5)]
            for number, waiter in enumerate(waiters):
                await crowd.until(
                    partial(anybody_inside, waiters),
                    "a waiting task should have got the lock",
                )
                stage.expect(
                    waiter.state == "inside",
                    f"task {number + 1} of 5 was overtaken: "
                    f"{[w.state for w in waiters]}",
                )
                await crowd.finish(waiter)


def anybody_inside(contenders: list[Contender]) -> bool:
    """Say whether one of them is inside."""
    return any(contender.state == "inside" for contender in contenders)


@rule(
    "task",
    "Between the release by one task and the run of the next, which waits for it, "
    "nobody else gets the lock, not by try_acquire() either.",
)
async def newcomers(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                first = await crowd.join(lock, flavour)
            # Nobody has run since the release.
            stage.expect(not lock.try_acquire(), "try_acquire() took it in between")
            stage.expect(lock.locked(), "locked() was False in between")
            try:
                async with lock.hold(0):
                    stage.fail("hold(0) took it in between")
            except LockTimeout:
                pass
            await crowd.until_state(
                first, "inside", what="the task that waited should have got the lock"
            )
            first.leave()
            await crowd.until_state(first, "left", what="it should have left the lock")
            async with lock:
                first = await crowd.join(lock, flavour)
            again = await crowd.join(lock, flavour)
            stage.expect(again.state == "waiting", "who came back overtook who waited")
            await crowd.finish(first, "the task that waited")
            await crowd.finish(again, "the task that came back")


@rule(
    "task",
    "When the time is over, `async with lock.hold(timeout)` raises LockTimeout, with "
    "the seconds in .timeout and the lock's name in .lock_name, and leaves the queue; "
    "0 tries once.",
)
async def timeouts_in_tasks(stage: Stage) -> None:
    lock = stage.make()
    for seconds in (0, SHORT):
        async with Crowd(stage) as crowd:
            async with lock:
                late = await crowd.join(lock.hold(seconds), errors=LockTimeout)
                behind = crowd.add(lock)
                await crowd.until_state(
                    late,
                    "inside",
                    "failed",
                    what=f"hold({seconds}) should have given up",
                )
                stage.expect(late.state == "failed", f"hold({seconds}) got inside")
                expect_timeout(stage, lock, late.error, seconds, late.seconds)
            await crowd.finish(behind, "the task behind the one that gave up")
        await stage.until_free(lock)


def expect_timeout(
    stage: Stage, lock: Lock, error: Any, seconds: float, passed: float
) -> None:
    """Fail unless the LockTimeout tells of that many seconds, which have passed."""
    stage.expect(
        error.timeout == seconds,
        f"hold({seconds}) raised LockTimeout with .timeout {error.timeout!r}",
    )
    stage.expect(
        error.lock_name == lock.name,
        f"LockTimeout has .lock_name {error.lock_name!r}, the lock {lock.name!r}",
    )
    # Half of it, because clocks are coarse, and not all waits use the same.
    stage.expect(
        passed >= seconds / 2, f"hold({seconds}) gave up after {passed:.3f} s already"
    )


@rule("task", "hold() waits for ever with None, with inf, and with any huge timeout.")
async def endless_in_tasks(stage: Stage) -> None:
    lock = stage.make()
    for seconds in FOR_EVER:
        async with Crowd(stage) as crowd:
            async with lock:
                waiter = await crowd.join(lock.hold(seconds), errors=LockTimeout)
                stage.expect(
                    waiter.state == "waiting",
                    f"hold({seconds}) did not wait: {waiter.error!r}",
                )
            await crowd.finish(waiter, f"hold({seconds})")


@rule("task", "The timeout of hold() is for the wait alone, the body may take longer.")
async def timeout_spares_body(stage: Stage) -> None:
    lock = stage.make()
    began = monotonic()
    waiter = None
    async with Crowd(stage) as crowd:
        # On a machine that stands still for as long, the wait itself times out.
        while waiter is None or waiter.state == "failed":
            stage.expect(stage.left > 0, "hold() timed out on a free lock")
            async with lock:
                began = monotonic()
                waiter = await crowd.join(lock.hold(SHORT), errors=LockTimeout)
            await crowd.until_state(
                waiter, "inside", "failed", what="hold() should have got the lock"
            )
        # The time itself is what has to pass.
        await anyio.sleep(max(0.0, began + 1.5 * SHORT - monotonic()))
        await settle()
        stage.expect(
            waiter.state == "inside",
            f"when its time was over, the task inside was {waiter.state}",
        )
        await crowd.finish(waiter)
