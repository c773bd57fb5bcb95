"""Rules about conditions, among the tasks of one event loop."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import anyio

from anylock import Condition
from anylock.testing._cancellation import hold_up_the_loop, pass_turns
from anylock.testing._conditions import (
    NOT_OWNED,
    Waiting,
    condition_of,
    wait_for_of,
    wait_of,
)
from anylock.testing._participants import Crowd, flavours, settle
from anylock.testing._rule import rule
from anylock.testing._stage import SHORT
from anylock.testing._tasks import anybody_inside

if TYPE_CHECKING:
    from anylock.testing._participants import Contender
    from anylock.testing._stage import Stage


@rule("anywhere", "It has every name of anylock.Condition.")
def condition_surface(stage: Stage) -> None:
    stage.expect(
        isinstance(stage.make(), Condition),
        "isinstance(condition, anylock.Condition) is False",
    )


@rule(
    "anywhere",
    "notify() and notify_all() without the lock raise RuntimeError or AssertionError.",
)
def notify_unheld(stage: Stage) -> None:
    condition = condition_of(stage)
    stage.expect_error(NOT_OWNED, "notify() without the lock", condition.notify)
    stage.expect_error(NOT_OWNED, "notify_all() without the lock", condition.notify_all)
    stage.expect(not condition.locked(), "a refused notify() locked it")


@rule(
    "task",
    "wait() without the lock raises RuntimeError or AssertionError.",
)
async def wait_unheld(stage: Stage) -> None:
    condition = condition_of(stage)
    for seconds in (None, 0, SHORT):
        try:
            await wait_of(condition)(seconds)
        except NOT_OWNED:
            pass
        else:
            stage.fail(f"wait({seconds}) without the lock raised nothing")
        stage.expect(not condition.locked(), "a refused wait() locked it")


@rule(
    "task",
    "wait() gives the lock up, and returns True, with the lock held, when it was "
    "notified and who notified it has left; a notification is for who waits already.",
)
async def wait_and_notify(stage: Stage) -> None:
    condition = condition_of(stage)
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            async with condition:
                condition.notify()
                condition.notify_all()
            waiting = Waiting(condition)
            first = await crowd.join(waiting, flavour)
            stage.expect(first.state == "waiting", "wait() did not wait")
            stage.expect(not condition.locked(), "wait() did not give the lock up")
            async with condition:
                condition.notify()
                await settle()
                stage.expect(first.state == "waiting", "two had the lock")
            await crowd.until_state(
                first, "inside", what="a task that was notified should go on"
            )
            stage.expect(waiting.result is True, f"wait() returned {waiting.result!r}")
            stage.expect(condition.locked(), "after wait() the lock was not held")
            second = await crowd.join(condition, flavour)
            stage.expect(second.state == "waiting", "another got the lock after wait()")
            await crowd.finish(first)
            await crowd.finish(second, "the task behind it")
        await stage.until_free(condition)


@rule(
    "task",
    "notify(n) lets those n go on that wait longest, among the tasks of one event "
    "loop, and no more; notify_all() lets all go on.",
)
async def notify_in_order(stage: Stage) -> None:
    condition = condition_of(stage)
    for flavour in flavours(stage):
        async with Crowd(stage) as crowd:
            for numbers in ((1, 2, 10), (None,)):
                waiters = [
                    await crowd.join(Waiting(condition), flavour) for _ in "1234"
                ]
                for number in numbers:
                    async with condition:
                        if number is None:
                            condition.notify_all()
                        else:
                            condition.notify(number)
                    notified = waiters[: number or 4]
                    del waiters[: number or 4]
                    for _ in range(len(notified)):
                        await _expect_next(stage, crowd, notified, waiters)
                    await settle()
                    stage.expect(
                        all(waiter.state == "waiting" for waiter in waiters),
                        f"notify({number}) let more tasks go on",
                    )
        await stage.until_free(condition)


async def _expect_next(
    stage: Stage, crowd: Crowd, notified: list[Contender], others: list[Contender]
) -> None:
    """Fail unless one of those that were notified goes on next."""
    # Whichever: by then they wait for the lock, not to be notified.
    await crowd.until(
        partial(anybody_inside, [*notified, *others]),
        "a task that was notified should go on",
    )
    stage.expect(not anybody_inside(others), "who waits longest was overtaken")
    going_on = next(waiter for waiter in notified if waiter.state == "inside")
    notified.remove(going_on)
    await crowd.finish(going_on)


@rule(
    "task",
    "wait(timeout) returns False when the time is over, with the lock held, once it is "
    "free; who waits on is notified as if the other had never come.",
)
async def wait_timeout(stage: Stage) -> None:
    condition = condition_of(stage)
    for seconds, taken in product((0, SHORT), (False, True)):
        async with Crowd(stage) as crowd:
            waiting = Waiting(condition, seconds)
            late = await crowd.join(waiting)
            behind = await crowd.join(Waiting(condition))
            if taken and late.state == "waiting":
                async with condition:
                    await anyio.sleep(1.5 * SHORT)
                    await settle()
                    stage.expect(
                        late.state == "waiting", "wait() came back without the lock"
                    )
            await crowd.until_state(
                late, "inside", what=f"wait({seconds}) should have given up"
            )
            stage.expect(
                waiting.result is False,
                f"wait({seconds}) returned {waiting.result!r} when the time was over",
            )
            stage.expect(waiting.held is True, "after wait() the lock was not held")
            stage.expect(
                waiting.seconds >= seconds / 2,  # because clocks are coarse
                f"wait({seconds}) gave up after {waiting.seconds:.3f} s already",
            )
            await crowd.finish(late)
            stage.expect(behind.state == "waiting", "another went on, not notified")
            async with condition:
                condition.notify()
            await crowd.finish(behind, "who waited on")
        await stage.until_free(condition)


@rule(
    "task",
    "wait_for() returns what the predicate returned last: something true, or anything "
    "when the time is over; it asks with the lock held, and does not wait if it need "
    "not.",
)
async def wait_for_predicate(stage: Stage) -> None:
    condition = condition_of(stage)
    answers: list[object] = []

    def predicate() -> list[object]:
        stage.expect(condition.locked(), "the predicate was asked without the lock")
        return answers

    async with condition:
        late = await wait_for_of(condition)(predicate, SHORT)
        stage.expect(late is answers, f"when the time was over, it returned {late!r}")
        stage.expect(condition.locked(), "after wait_for() the lock was not held")
    results: list[object] = []

    async def wait_for() -> None:
        async with condition:
            results.append(await wait_for_of(condition)(predicate))
            stage.expect(condition.locked(), "after wait_for() the lock was not held")

    async with anyio.create_task_group() as group:
        group.start_soon(wait_for)
        await settle()
        async with condition:
            condition.notify()
        await settle()
        stage.expect(not results, "it returned before the predicate was true")
        async with condition:
            answers.append(1)
            condition.notify()
        await stage.until(lambda: bool(results), "wait_for() should have returned")
    stage.expect(results[0] is answers, f"it returned {results[0]!r}")
    async with condition:
        at_once = await wait_for_of(condition)(predicate, 0)
        stage.expect(at_once is answers, f"it returned {at_once!r} at once")
    await stage.until_free(condition)


@rule(
    "task",
    "wait() of a re-entrant condition gives the lock up however often it is held, and "
    "has it as often again.",
)
async def deep_wait(stage: Stage) -> None:
    condition = condition_of(stage)
    async with condition:
        if not condition.try_acquire():
            return
        condition.release()
    async with Crowd(stage) as crowd:
        first = await crowd.join(Waiting(condition, depth=3))
        stage.expect(not condition.locked(), "wait() did not give the lock up")
        async with condition:
            condition.notify()
        await crowd.until_state(
            first, "inside", what="a task that was notified should go on"
        )
        await crowd.finish(first)
    await stage.until_free(condition)


@rule(
    "task",
    "A task that is cancelled while it waits has the lock when it goes on, once that "
    "is free, and leaves nothing behind.",
)
async def cancelled_wait(stage: Stage) -> None:
    condition = condition_of(stage)
    for flavour, cancels in product(flavours(stage), range(3)):
        async with Crowd(stage) as crowd:
            waiting = Waiting(condition)
            first = await crowd.join(waiting, flavour)
            second = await crowd.join(Waiting(condition), flavour)
            if not cancels:
                first.cancel()
            else:
                async with condition:
                    for _ in range(cancels):
                        first.cancel()
                        await settle()
                        stage.expect(
                            first.state == "waiting",
                            "a cancelled task went on without the lock",
                        )
            await crowd.until_state(
                first, "cancelled", what="a task that waits should have been cancelled"
            )
            stage.expect(
                isinstance(waiting.error, anyio.get_cancelled_exc_class()),
                f"wait() raised {waiting.error!r} when it was cancelled",
            )
            stage.expect(waiting.held is True, "it was cancelled without the lock")
            await settle()
            stage.expect(second.state == "waiting", "another went on, not notified")
            async with condition:
                condition.notify()
            await crowd.finish(second, "who waited on")
        await stage.until_free(condition)


@rule(
    "task",
    "A task that is cancelled after it was notified, or as it is, passes the "
    "notification on, unless its wait() returns.",
)
async def cancelled_after_notify(stage: Stage) -> None:
    condition = condition_of(stage)
    for flavour, inside, after, cancel_first in product(
        flavours(stage), (True, False), range(4), (True, False)
    ):
        async with Crowd(stage) as crowd:
            waiting = Waiting(condition)
            first = await crowd.join(waiting, flavour)
            second = await crowd.join(Waiting(condition), flavour)
            second.leave()  # so that the first gets the lock as well, to end
            if cancel_first and not inside:
                first.cancel()
            async with condition:
                if cancel_first:
                    if inside:
                        first.cancel()
                    await pass_turns(after)
                    condition.notify()
                else:
                    condition.notify()
                    if inside:
                        await pass_turns(after)
                        first.cancel()
            if not cancel_first and not inside:
                await pass_turns(after)
                first.cancel()
            await crowd.until_state(
                first, "cancelled", what="a task that waits should have been cancelled"
            )
            if waiting.result is True:
                # It was cancelled in its body, and the notification was its own.
                async with condition:
                    condition.notify()
            await crowd.until_state(
                second,
                "left",
                what=f"the task behind one that was cancelled "
                f"{'before' if cancel_first else 'after'} it was notified should go on",
            )
        await stage.until_free(condition)


@rule(
    "task",
    "When a timeout and a notification fall together, the notification is not lost: if "
    "wait() returns False, the next task is notified.",
)
async def notified_at_timeout(stage: Stage) -> None:
    condition = condition_of(stage)
    for notify_first in (True, False):
        async with Crowd(stage) as crowd:
            waiting = Waiting(condition, SHORT)
            late = await crowd.join(waiting)
            behind = await crowd.join(Waiting(condition))
            # So that others get the lock as well; on a busy machine its time is over
            # already, and it is inside before us.
            late.leave()
            behind.leave()
            async with condition:
                if notify_first:
                    condition.notify()
                hold_up_the_loop()
                if not notify_first:
                    condition.notify()
            await crowd.until_state(
                late,
                "inside",
                "left",
                what="a wait() whose time is over should have ended",
            )
            if waiting.result is not False:
                await crowd.until_state(late, "left", what="it should have left")
                await settle()
                stage.expect(
                    behind.state == "waiting", "one notification let two go on"
                )
                async with condition:
                    condition.notify()
            await crowd.until_state(
                behind,
                "left",
                what="the task behind the one that ran out of time should go on",
            )
        await stage.until_free(condition)
