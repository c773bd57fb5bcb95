"""Rules about the tasks of one event loop that wait for permits of a semaphore."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import anyio

from anylock import LockTimeout
from anylock.testing._cancellation import hold_up_the_loop, pass_turns
from anylock.testing._participants import Crowd, flavours, settle
from anylock.testing._permits import Room, drained, permits
from anylock.testing._rule import rule
from anylock.testing._stage import SHORT

if TYPE_CHECKING:
    from anylock import Semaphore
    from anylock.testing._participants import Contender
    from anylock.testing._stage import Stage


def states(contenders: list[Contender]) -> list[str]:
    """Tell what has become of them."""
    return [contender.state for contender in contenders]


async def expect_all_free(stage: Stage, semaphore: Semaphore, number: int) -> None:
    """Fail if a permit was lost or invented."""
    # Not at once: who was cancelled may have to pass it on by way of a thread.
    await stage.until(
        lambda: semaphore.value >= number,
        f"all {number} permits should be free when all have left, not "
        f"{semaphore.value}",
    )
    await settle()
    stage.expect(
        semaphore.value <= number,
        f"{semaphore.value} permits are free when all have left, of {number}",
    )
    for _ in range(number):
        await semaphore.hold(stage.left).__aenter__()
    stage.expect(semaphore.value == 0, "its value is not 0 when all are taken")
    stage.expect(not semaphore.try_acquire(), "there is a permit too many")
    semaphore.release(number)


@rule(
    "task",
    "Of the tasks of one event loop, as many as it has permits are inside at once, in "
    "the order in which they came; who leaves lets one in.",
)
async def permits_in_order(stage: Stage) -> None:
    semaphore = permits(stage, 3)
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            tasks = [await crowd.join(semaphore, flavour) for _ in range(7)]
            for leaving in range(4):
                _expect_states(stage, tasks, leaving, leaving + 3)
                stage.expect(semaphore.value == 0, "its value is not 0")
                stage.expect(semaphore.locked(), "locked() is False, and tasks wait")
                tasks[leaving].leave()
                await crowd.until_state(
                    tasks[leaving], "left", what="who was told to leave should do so"
                )
                await crowd.until(
                    partial(_are_inside, tasks, 3), "the next task should get in"
                )
                await settle()
            for task in tasks[4:]:
                await crowd.finish(task)
        await expect_all_free(stage, semaphore, 3)
    room = Room()
    async with anyio.create_task_group() as group:
        for _ in range(7):
            group.start_soon(room.visit_by_task, semaphore, 10)
    room.expect(stage, 70, 3)
    await expect_all_free(stage, semaphore, 3)


def _are_inside(tasks: list[Contender], number: int) -> bool:
    return states(tasks).count("inside") >= number


def _expect_states(
    stage: Stage, tasks: list[Contender], left: int, let_in: int
) -> None:
    """Fail unless the first have left, the next are inside, and the others wait."""
    expected = [
        "left" if number < left else "inside" if number < let_in else "waiting"
        for number in range(len(tasks))
    ]
    stage.expect(
        states(tasks) == expected, f"of the tasks in a row, they are {states(tasks)}"
    )


@rule("task", "release(n) lets the n tasks go that wait longest, and no more.")
async def release_in_order(stage: Stage) -> None:
    for flavour in flavours(stage):
        semaphore = drained(stage, 4)
        async with Crowd(stage) as crowd:
            tasks = [await crowd.join(semaphore, flavour) for _ in range(5)]
            _expect_states(stage, tasks, 0, 0)
            for number, let_in in ((1, 1), (3, 4)):
                semaphore.release(number)
                await crowd.until(
                    partial(_are_inside, tasks, let_in),
                    f"release({number}) should let {number} tasks in",
                )
                await settle()
                _expect_states(stage, tasks, 0, let_in)
                stage.expect(semaphore.value == 0, "a permit was invented")
            for task in tasks:
                await crowd.finish(task)
        await expect_all_free(stage, semaphore, 4)


@rule(
    "task",
    "Between a release and the run of the tasks that wait for it, nobody else gets "
    "their permits, not by try_acquire() either; what they do not need is free.",
)
async def newcomers_and_permits(stage: Stage) -> None:
    for number, flavour in product((1, 2, 3), flavours(stage)):
        semaphore = drained(stage, 3)
        async with Crowd(stage) as crowd:
            tasks = [await crowd.join(semaphore, flavour) for _ in range(2)]
            semaphore.release(number)
            # Nobody has run since the release.
            spare = max(0, number - 2)
            if not spare:
                stage.expect(semaphore.locked(), "locked() was False in between")
            # Whether others may have the spare one before those have run is its own.
            stage.expect(
                semaphore.value <= spare, f"its value was {semaphore.value} in between"
            )
            taken = [semaphore.try_acquire() for _ in range(spare + 1)].count(True)
            stage.expect(taken <= spare, "try_acquire() took one in between")
            if taken == spare:
                try:
                    async with semaphore.hold(0):
                        stage.fail("hold(0) took one in between")
                except LockTimeout:
                    pass
            for task in tasks:
                await crowd.finish(task, "a task that waited")
        for _ in range(3 - number + taken):
            semaphore.release()
        await expect_all_free(stage, semaphore, 3)


@rule(
    "task",
    "A task that is cancelled after it was granted a permit, before it runs, passes it "
    "on, also when several were granted one at once.",
)
async def cancelled_with_permit(stage: Stage) -> None:
    for flavour, victim in product(flavours(stage), range(4)):
        semaphore = drained(stage, 3)
        async with Crowd(stage) as crowd:
            tasks = [await crowd.join(semaphore, flavour) for _ in range(4)]
            semaphore.release(3)
            tasks[victim].cancel()
            live = [task for task in tasks if task is not tasks[victim]]
            await crowd.until_state(
                live,
                "inside",
                what="the three tasks that are left should have got in",
            )
            await crowd.until_state(
                tasks[victim], "cancelled", what="the other should have ended"
            )
            for task in live:
                await crowd.finish(task)
        await expect_all_free(stage, semaphore, 3)


@rule(
    "task",
    "Wherever tasks on their way in are cancelled, no permit is lost, and none made.",
)
async def permits_kept(stage: Stage) -> None:
    semaphore = permits(stage, 2)
    for flavour, before, after, cancel_first in product(
        flavours(stage), range(4), range(3), (True, False)
    ):
        async with Crowd(stage) as crowd:
            async with semaphore, semaphore:
                victims = [crowd.add(semaphore, flavour) for _ in range(2)]
                behind = crowd.add(semaphore, flavour)
                await pass_turns(before)
                if cancel_first:
                    for victim in victims:
                        victim.cancel()
                    await pass_turns(after)
            if not cancel_first:
                await pass_turns(after)
                for victim in victims:
                    victim.cancel()
            await crowd.finish(
                behind,
                f"a task behind two that were cancelled {before} turns after they set "
                f"out, {after} turns {'before' if cancel_first else 'after'} the "
                f"release,",
            )
            await crowd.until_state(
                victims, "cancelled", what="both should have been cancelled"
            )
            await crowd.until(
                lambda: semaphore.value == 2,  # noqa: PLR2004 - as many as it has
                "both permits should be free when all are gone",
            )
    await expect_all_free(stage, semaphore, 2)


@rule(
    "task",
    "When timeouts and releases fall together, no permit is lost, and none made: who "
    "gets LockTimeout has none.",
)
async def permits_at_timeout(stage: Stage) -> None:
    for release_first in (None, True, False):
        semaphore = drained(stage, 2)
        async with Crowd(stage) as crowd:
            late = [
                await crowd.join(semaphore.hold(SHORT), errors=LockTimeout)
                for _ in range(2)
            ]
            behind = [await crowd.join(semaphore) for _ in range(2)]
            if release_first:
                semaphore.release(2)
            if release_first is not None:
                hold_up_the_loop()
            if release_first is False:
                semaphore.release(2)
            await crowd.until_state(
                late,
                "inside",
                "failed",
                what="a hold() whose time is over should have ended",
            )
            if release_first is None:
                semaphore.release(2)
            for task in late:
                task.leave()
            for task in behind:
                await crowd.finish(task, "a task behind those that ran out of time")
        await expect_all_free(stage, semaphore, 2)


@rule(
    "task",
    "When asyncio.wait_for() ends the wait, no permit is lost, and none made; one that "
    "it got in another task may be released here.",
)
async def permits_and_wait_for(stage: Stage) -> None:
    if stage.backend.library != "asyncio":
        return
    semaphore = permits(stage, 2)
    for seconds in (0, 0.001, SHORT):
        await asyncio.wait_for(semaphore.__aenter__(), SHORT)
        async with semaphore:
            try:
                await asyncio.wait_for(semaphore.__aenter__(), seconds)
                stage.fail("a third entered by 2 permits")
            except asyncio.TimeoutError:
                pass
        semaphore.release()
        await expect_all_free(stage, semaphore, 2)
    for release_first, flavour in product((True, False), flavours(stage)):
        semaphore = drained(stage, 1)
        async with Crowd(stage) as crowd:
            waiting = asyncio.ensure_future(
                asyncio.wait_for(semaphore.__aenter__(), SHORT)
            )
            await settle()
            behind = await crowd.join(semaphore, flavour)
            if release_first:
                semaphore.release()
                hold_up_the_loop()
            else:
                hold_up_the_loop()
                semaphore.release()
            try:
                await waiting
                semaphore.release()
            except asyncio.TimeoutError:
                pass
            await crowd.finish(behind, "a task behind the one that ran out of time")
        await expect_all_free(stage, semaphore, 1)
