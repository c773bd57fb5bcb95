"""Rules about tasks that are cancelled, or run out of time, on their way in."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING

import anyio.lowlevel

from anylock import LockTimeout
from anylock.testing._participants import Crowd, flavours, settle
from anylock.testing._rule import rule
from anylock.testing._stage import SHORT

if TYPE_CHECKING:
    from anylock.testing._stage import Stage

MANY = 200
"""Waiters that are cancelled at once."""


@rule("task", "A task that is cancelled while it waits leaves nothing behind.")
async def cancelled_while_waiting(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                first = await crowd.join(lock, flavour)
                second = await crowd.join(lock, flavour)
                first.cancel()
                await crowd.until_state(
                    first,
                    "cancelled",
                    what="a task that waits should have been cancelled",
                )
                stage.expect(lock.locked(), "the lock got free while it was held")
                stage.expect(second.state == "waiting", "another task got inside")
            await crowd.finish(second, "the task behind the cancelled one")
            async with lock:
                last = await crowd.join(lock, flavour)
                last.cancel()
                await crowd.until_state(
                    last,
                    "cancelled",
                    what="a task that waits should have been cancelled",
                )
        await stage.until_free(lock)


@rule(
    "task",
    "A task that is cancelled after it was granted the lock, before it runs, passes "
    "the lock on.",
)
async def cancelled_after_grant(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                first = await crowd.join(lock, flavour)
                second = await crowd.join(lock, flavour)
            first.cancel()
            await crowd.until_state(
                first,
                "cancelled",
                what="the task that was granted it should have ended",
            )
            await crowd.finish(second, "the task behind the cancelled one")
            async with lock:
                last = await crowd.join(lock, flavour)
            last.cancel()
            await crowd.until_state(
                last, "cancelled", what="the task that was granted it should have ended"
            )
        await stage.until_free(lock)


@rule(
    "task",
    "A release that comes when the first in the queue is cancelled, and has not run "
    "yet, wakes the next.",
)
async def cancelled_head(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                first = await crowd.join(lock, flavour)
                second = await crowd.join(lock, flavour)
                first.cancel()
            await crowd.finish(second, "the task behind the cancelled one")
            async with lock:
                last = await crowd.join(lock, flavour)
                last.cancel()
            await crowd.until_state(
                last, "cancelled", what="the cancelled task should have ended"
            )
        await stage.until_free(lock)


@rule("task", "Of many waiting tasks, those that are not cancelled get the lock.")
async def many_cancelled(stage: Stage) -> None:
    lock = stage.make()
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with lock:
                waiters = [crowd.add(lock, flavour) for _ in range(MANY)]
                await settle()
                live = waiters[MANY // 2], waiters[-1]
                for waiter in waiters:
                    if waiter not in live:
                        waiter.cancel()
            for waiter in live:
                waiter.leave()
            for waiter in live:
                await crowd.until_state(
                    waiter,
                    "left",
                    what=f"a task among {MANY} cancelled ones should get it",
                )
            await crowd.until_state(
                waiters,
                "cancelled",
                "left",
                what="all cancelled tasks should have ended",
            )
        await stage.until_free(lock)


@rule("task", "Wherever a task on its way in is cancelled, the lock is not lost.")
async def cancelled_anywhere(stage: Stage) -> None:
    lock = stage.make()
    async with Crowd(stage) as crowd:
        for flavour, turns in product(flavours(stage), range(6)):
            alone = crowd.add(lock, flavour)
            await pass_turns(turns)
            alone.cancel()
            await crowd.until_state(
                alone,
                "cancelled",
                what="a task should have been cancelled on its way in",
            )
            await crowd.until(
                lambda: not lock.locked(),
                f"cancelled {turns} turns after it set out for a free lock, a task "
                f"should have left it free",
            )
        for flavour, before, after, cancel_first in product(
            flavours(stage), range(4), range(3), (True, False)
        ):
            async with lock:
                first, second = crowd.add(lock, flavour), crowd.add(lock, flavour)
                await pass_turns(before)
                if cancel_first:
                    first.cancel()
                    await pass_turns(after)
            if not cancel_first:
                await pass_turns(after)
                first.cancel()
            await crowd.until_state(
                first,
                "cancelled",
                what="a task should have been cancelled on its way in",
            )
            await crowd.finish(
                second,
                f"a task behind one that was cancelled {before} turns after it set "
                f"out, {after} turns {'before' if cancel_first else 'after'} the "
                f"release,",
            )
            await crowd.until(
                lambda: not lock.locked(), "the lock should be free when all are gone"
            )
    await stage.until_free(lock)


async def pass_turns(number: int) -> None:
    """Let other tasks run so many times."""
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


@rule(
    "task",
    "When a timeout and the grant fall together, the lock is not lost: who gets "
    "LockTimeout does not hold it.",
)
async def timeout_at_grant(stage: Stage) -> None:
    lock = stage.make()
    for release_first in (True, False):
        async with Crowd(stage) as crowd:
            async with lock:
                late = await crowd.join(lock.hold(SHORT), errors=LockTimeout)
                behind = await crowd.join(lock)
                if not release_first:
                    hold_up_the_loop()
            if release_first:
                hold_up_the_loop()
            await crowd.until_state(
                late,
                "inside",
                "failed",
                what="a hold() whose time is over should have ended",
            )
            late.leave()
            await crowd.finish(behind, "the task behind the one that ran out of time")
        await stage.until_free(lock)


def hold_up_the_loop() -> None:
    """Block all tasks for longer than `SHORT`."""
    # Blocks all tasks on purpose: what falls due meanwhile comes in one turn.
    time.sleep(1.2 * SHORT)


@rule("task", "Tasks that run out of time by the hundred leave nothing behind.")
async def many_timeouts(stage: Stage) -> None:
    lock = stage.make()
    async with Crowd(stage) as crowd:
        async with lock:
            late = [
                crowd.add(lock.hold(SHORT), errors=LockTimeout) for _ in range(MANY)
            ]
            await settle()
            live = await crowd.join(lock)
            await crowd.until_state(
                late, "failed", what=f"{MANY} hold({SHORT}) should have given up"
            )
        await crowd.finish(live, "the task behind those that gave up")
    await stage.until_free(lock)
