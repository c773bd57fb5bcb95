"""Rules about conditions that threads wait for, beside tasks and processes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from anylock.testing._conditions import (
    NOT_OWNED,
    Exchange,
    Waiting,
    condition_of,
    threads_can_wait,
    wait_of,
)
from anylock.testing._participants import InTask, InThread, settle
from anylock.testing._processes import another_process
from anylock.testing._rule import rule
from anylock.testing._stage import GRACE, SHORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from anylock import Condition
    from anylock.testing._participants import Participant
    from anylock.testing._stage import Stage

EACH = 20
"""Numbers that each producer produces."""


def notify(condition: Condition, number: int | None = 1) -> None:
    """Notify so many as a thread; None: all."""
    with condition:
        if number is None:
            condition.notify_all()
        else:
            condition.notify(number)


async def notify_in_task(condition: Condition, number: int = 1) -> None:
    """Notify so many as a task."""
    async with condition:
        condition.notify(number)


def waiter(
    stage: Stage, kind: type[InThread | InTask], waiting: Waiting
) -> InThread | InTask:
    """Start a thread or a task that waits for a condition, and let it begin."""
    who = "a thread" if kind is InThread else "a task"
    participant = kind(stage, waiting, who)
    stage.until_set(waiting.began, f"{who} should have got the lock to wait")
    return participant


def expect_one_inside(
    stage: Stage, participants: list[InThread | InTask]
) -> InThread | InTask:
    """Wait until one of them is inside, and return it."""
    while True:
        for participant in participants:
            if participant.inside.is_set() or participant.outcome.done():
                participant.expect_inside("when it was notified")
                return participant
        stage.expect(stage.left > 0, "nobody who was notified went on")
        sleep(GRACE / 10)


def expect_woken(
    stage: Stage, waiting: list[InThread | InTask], number: int, *, all_of: bool
) -> None:
    """Let so many go on and leave; watch for a moment that no more do."""
    for _ in range(number):
        participant = expect_one_inside(stage, waiting)
        participant.finish()
        waiting.remove(participant)
    if not all_of:
        deadline = monotonic() + GRACE
        while monotonic() < deadline:
            stage.expect(
                not any(participant.inside.is_set() for participant in waiting),
                "more went on than were notified",
            )
            sleep(GRACE / 10)


@rule(
    "thread",
    "wait() without the lock raises RuntimeError or AssertionError.",
    "thread waits",
)
def wait_unheld_in_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    for seconds in (None, 0, SHORT):
        attempt = stage.start(
            stage.expect_error,
            NOT_OWNED,
            f"wait({seconds}) without the lock",
            condition.wait,
            seconds,
        )
        stage.result(attempt, f"wait({seconds}) without the lock should have ended")
        stage.expect(not condition.locked(), "a refused wait() locked it")


@rule(
    "thread",
    "wait() in a thread gives the lock up, and returns True, with the lock held, when "
    "it was notified and who notified it has left.",
    "thread waits",
)
def wait_in_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    stage.call(notify, condition)
    stage.call(notify, condition, None)
    waiting = Waiting(condition)
    thread = waiter(stage, InThread, waiting)
    thread.expect_outside("from wait(), not notified")
    notifier = InThread(stage, condition)
    notifier.expect_inside("which wait() should have given up")
    notifier.finish()
    stage.call(_notify_and_stay, condition, thread)
    thread.expect_inside("when it was notified")
    stage.expect(waiting.result is True, f"wait() returned {waiting.result!r}")
    stage.expect(waiting.held is True, "after wait() the lock was not held")
    taken = stage.call(condition.try_acquire)
    stage.expect(not taken, "another got the lock after wait()")
    thread.finish()
    stage.wait_until_free(condition, "when all had left")


def _notify_and_stay(condition: Condition, thread: Participant) -> None:
    with condition:
        condition.notify()
        thread.expect_outside("from wait(), while another held the lock")


@rule(
    "thread",
    "notify(n) lets n threads and tasks that wait go on, and no more; notify_all() "
    "lets all go on.",
    "thread waits",
)
def notify_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    others: type[InThread | InTask] = InTask if stage.tasks else InThread
    for number in (1, 2, None):
        kinds = (InThread, others, InThread, others)
        waiting = [waiter(stage, kind, Waiting(condition)) for kind in kinds]
        stage.call(notify, condition, number)
        expect_woken(stage, waiting, number or len(waiting), all_of=number is None)
        if not waiting:
            continue
        if stage.tasks:
            notifying = stage.loop.start(notify_in_task, condition, len(waiting) + 1)
        else:
            notifying = stage.start(notify, condition, len(waiting) + 1)
        stage.result(notifying, "the others should have been notified")
        expect_woken(stage, waiting, len(waiting), all_of=True)
    stage.wait_until_free(condition, "when all had left")


@rule(
    "thread",
    "wait(timeout) in a thread returns False when the time is over, with the lock "
    "held, once it is free; who waits on is notified as if it had never come.",
    "thread waits",
)
def wait_timeout_in_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    for seconds in (0, SHORT):
        waiting = Waiting(condition, seconds)
        late = waiter(stage, InThread, waiting)
        waiting_on = Waiting(condition)
        behind = InThread(stage, waiting_on, "who waited on")
        late.expect_inside("when the time was over")
        stage.expect(
            waiting.result is False,
            f"wait({seconds}) returned {waiting.result!r} when the time was over",
        )
        stage.expect(waiting.held is True, "after wait() the lock was not held")
        stage.expect(
            waiting.seconds >= seconds / 2,  # because clocks are coarse
            f"wait({seconds}) gave up after {waiting.seconds:.3f} s already",
        )
        late.finish()
        stage.until_set(waiting_on.began, "who waits on should have begun to")
        behind.expect_outside("from wait(), not notified")
        stage.call(notify, condition)
        behind.expect_inside("when it was notified")
        behind.finish()
    _wait_timeout_while_held(stage)


def _wait_timeout_while_held(stage: Stage) -> None:
    condition = condition_of(stage)
    # On a busy machine the time is over before the other thread runs.
    for seconds in (SHORT, 10 * SHORT, 50 * SHORT):
        late = waiter(stage, InThread, Waiting(condition, seconds))
        holder = InThread(stage, condition)
        while not (holder.inside.is_set() or late.inside.is_set()):
            stage.expect(stage.left > 0, "nobody had the lock during wait(), or after")
            sleep(GRACE / 10)
        held = holder.inside.is_set() and not late.inside.is_set()
        if held:
            sleep(1.5 * seconds)
            late.expect_outside("when the time was over, while another had the lock")
            holder.finish()
            late.expect_inside("when the time was over, and the lock was free")
        late.finish()
        holder.finish()
        stage.wait_until_free(condition, "when all had left")
        if held:
            return
    stage.fail("a thread should have got the lock which wait() should have given up")


@rule(
    "thread",
    "wait_for() in a thread returns what the predicate returned last: something true, "
    "or anything when the time is over; it asks with the lock held, and does not wait "
    "if it need not.",
    "thread waits",
)
def wait_for_in_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    answers: list[object] = []

    def predicate() -> list[object]:
        stage.expect(condition.locked(), "the predicate was asked without the lock")
        return answers

    def wait_for(seconds: float | None) -> object:
        with condition:
            result = condition.wait_for(predicate, seconds)
            stage.expect(condition.locked(), "after wait_for() the lock was not held")
            return result

    late = stage.call(wait_for, SHORT)
    stage.expect(late is answers, f"when the time was over, it returned {late!r}")
    waiting = stage.start(wait_for, None)
    sleep(GRACE)
    stage.call(notify, condition)
    sleep(GRACE)
    stage.expect(not waiting.done(), "it returned before the predicate was true")
    answers.append(1)
    stage.call(notify, condition)
    result = stage.result(waiting, "wait_for() should have returned")
    stage.expect(result is answers, f"it returned {result!r}")
    at_once = stage.call(wait_for, 0)
    stage.expect(at_once is answers, f"it returned {at_once!r} at once")
    stage.wait_until_free(condition, "when all had left")


@rule(
    "thread",
    "wait() of a re-entrant condition gives the lock up however often a thread holds "
    "it, and has it as often again.",
    "thread waits",
)
def deep_wait_in_threads(stage: Stage) -> None:
    condition = condition_of(stage)
    if not stage.call(_can_enter_again, condition):
        return
    thread = waiter(stage, InThread, Waiting(condition, depth=3))
    other = InThread(stage, condition)
    other.expect_inside("which wait() should have given up")
    other.finish()
    stage.call(notify, condition)
    thread.expect_inside("when it was notified")
    thread.finish()
    stage.wait_until_free(condition, "when all had left")
    stage.call(notify, condition)


def _can_enter_again(condition: Condition) -> bool:
    with condition:
        again = condition.try_acquire()
        if again:
            condition.release()
        return again


@rule(
    "thread",
    "Of what some produce others consume everything, once, all waiting for one another "
    "by the condition.",
)
def producers_and_consumers(stage: Stage) -> None:
    condition = condition_of(stage)
    exchange = Exchange(condition)
    starts: list[Callable[..., Future[None]]] = []
    if threads_can_wait(condition):
        starts += [partial(stage.start, exchange.by_thread)] * 2
    if stage.tasks:
        starts += [partial(stage.loop.start, exchange.by_task)] * 2
    workers: list[Future[None]] = []
    for number, start in enumerate(starts):
        workers += [
            start(range(number * EACH, (number + 1) * EACH)),
            start([None] * EACH),
        ]
    for worker in workers:
        stage.result(worker, "all should have produced and consumed their share")
    stage.expect(
        not exchange.too_early,
        f"wait_for() returned {exchange.too_early} times before its predicate was true",
    )
    stage.expect(
        sorted(exchange.taken) == list(range(len(starts) * EACH)),
        f"{len(exchange.taken)} were consumed, {len(set(exchange.taken))} different "
        f"ones, of {len(starts) * EACH}",
    )


@rule(
    "loops",
    "A task whose event loop was closed while it waited is passed over by notify().",
    "threads",
    "tasks",
)
def closed_loop_waits(stage: Stage) -> None:
    if all(backend.library != "asyncio" for backend in stage.backends):
        return  # only asyncio can close a loop that has tasks
    condition = condition_of(stage)

    async def wait() -> None:
        async with condition:
            await wait_of(condition)()

    waiting = wait()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(waiting)
        await settle()
        return task

    loop = asyncio.new_event_loop()
    # Silence: that a task was pending at the end is what this is about.
    loop.set_exception_handler(lambda _loop, _context: None)
    task = loop.run_until_complete(begin())
    loop.close()
    try:
        live = waiter(stage, InTask, Waiting(condition))
        stage.call(notify, condition)
        live.expect_inside("when it was notified, behind a task of a closed loop")
        live.finish()
        stage.wait_until_free(condition, "when all had left")
    finally:
        # It may want the lock again, which its event loop cannot give it any more.
        with suppress(Exception):
            waiting.close()
        del task


@rule(
    "thread",
    "Between processes, one notifies the other, and both wait.",
    "processes",
    "thread waits",
)
def processes_notify(stage: Stage) -> None:
    condition = condition_of(stage)
    with another_process(stage, condition) as child:
        child.send("wait", None)
        child.expect_answer("waiting", "a child should have got the lock to wait")
        stage.call(notify, condition)
        child.expect_answer(True, "wait() in a child should have ended with True")
        child.send("wait", SHORT)
        child.expect_answer("waiting", "a child should have got the lock to wait")
        child.expect_answer(False, "wait() in a child should have ended with False")
        waiting = Waiting(condition)
        thread = waiter(stage, InThread, waiting)
        child.expect("notify_within", answer="notified")
        thread.expect_inside("when a child notified it")
        stage.expect(waiting.result is True, f"wait() returned {waiting.result!r}")
        thread.finish()
