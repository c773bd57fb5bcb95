"""Rules about semaphores: how many permits there are, and who may have them."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from anylock import Semaphore
from anylock.testing._participants import InTask, InThread
from anylock.testing._processes import another_process
from anylock.testing._rule import rule
from anylock.testing._stage import GRACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from anylock.testing._stage import Stage

INVALID = (0, -1)
"""Numbers of permits that cannot be released."""


def permits(stage: Stage, value: int) -> Semaphore:
    """Make a fresh semaphore with so many permits."""
    semaphore: Semaphore = stage.factory(value)
    return semaphore


def drained(stage: Stage, value: int) -> Semaphore:
    """Make a semaphore with so many permits and take all of them."""
    semaphore = permits(stage, value)
    for _ in range(value):
        stage.expect(semaphore.try_acquire(), "try_acquire() failed with permits left")
    return semaphore


class Room:
    """A critical section that counts who is inside."""

    def __init__(self) -> None:
        self.visits = 0
        self.most = 0
        self._inside = 0
        self._mutex = threading.Lock()

    def enter(self) -> None:
        """Count who comes."""
        with self._mutex:
            self.visits += 1
            self._inside += 1
            self.most = max(self.most, self._inside)

    def leave(self) -> None:
        """Count who goes."""
        with self._mutex:
            self._inside -= 1

    def visit_by_thread(self, semaphore: Semaphore, number: int) -> None:
        """Be inside so many times."""
        for _ in range(number):
            with semaphore:
                self.enter()
                sleep(0)
                self.leave()

    async def visit_by_task(self, semaphore: Semaphore, number: int) -> None:
        """Be inside so many times."""
        for _ in range(number):
            async with semaphore:
                self.enter()
                await anyio.lowlevel.checkpoint()
                self.leave()

    def expect(self, stage: Stage, visits: int, at_most: int) -> None:
        """Fail if too many were inside at once, or too few have been."""
        stage.expect(
            self.most <= at_most and self.visits == visits,
            f"{self.most} instead of {at_most} were inside at once, and {self.visits} "
            f"of {visits} visits came about",
        )


@rule("anywhere", "It has every name of anylock.Semaphore; its value is an int.")
def semaphore_surface(stage: Stage) -> None:
    for number in (0, 1, 3):
        semaphore: Any = permits(stage, number)
        stage.expect(
            isinstance(semaphore, Semaphore),
            "isinstance(semaphore, anylock.Semaphore) is False",
        )
        value = semaphore.value
        stage.expect(
            type(value) is int and value == number,
            f"made with {number} permits, it has the value {value!r}",
        )


@rule(
    "anywhere",
    "Its value is how many permits are free; it is locked when none is; try_acquire() "
    "takes one if there is one, release(n) gives n back.",
)
def value(stage: Stage) -> None:
    for number in (0, 1, 3):
        semaphore = permits(stage, number)
        for together in (False, True):
            for left in range(number, 0, -1):
                _expect_value(stage, semaphore, left)
                taken: Any = semaphore.try_acquire()
                stage.expect(taken is True, f"try_acquire() gave {taken!r} of {left}")
            _expect_value(stage, semaphore, 0)
            taken = semaphore.try_acquire()
            stage.expect(taken is False, f"try_acquire() gave {taken!r} of none")
            if together and number:
                semaphore.release(number)
                continue
            for free in range(number):
                _expect_value(stage, semaphore, free)
                semaphore.release()
        _expect_value(stage, semaphore, number)


def expect_in_the_end(stage: Stage, semaphore: Semaphore, number: int) -> None:
    """Fail if the value does not become that, when all have got what they want."""
    # Not at once: a thread that waits for tasks may have one too many for a moment.
    while semaphore.value != number or semaphore.locked() is not (number == 0):
        if not stage.left:
            _expect_value(stage, semaphore, number)
        sleep(GRACE / 10)


def take_in_the_end(
    stage: Stage, semaphore: Semaphore, start: Callable[..., Future[bool]]
) -> None:
    """Take a permit as a thread or a task, as soon as there is one."""
    while not stage.result(start(semaphore.try_acquire), "try_acquire() did not end"):
        stage.expect(stage.left > 0, "there is a permit, but try_acquire() gets none")


def _expect_value(stage: Stage, semaphore: Semaphore, number: int) -> None:
    stage.expect(
        semaphore.value == number,
        f"its value is {semaphore.value} while {number} permits are free",
    )
    stage.expect(
        semaphore.locked() is (number == 0),
        f"locked() is {semaphore.locked()} while {number} permits are free",
    )


@rule("anywhere", "To release no permit, or fewer, is a ValueError; nothing changes.")
def release_arguments(stage: Stage) -> None:
    semaphore = drained(stage, 2)
    for number in INVALID:
        stage.expect_error(ValueError, f"release({number})", semaphore.release, number)
        _expect_value(stage, semaphore, 0)


@rule(
    "anywhere",
    "If it is not bounded, to release more often than was acquired makes permits.",
    "unbounded",
)
def more_permits(stage: Stage) -> None:
    for number in (0, 1, 2):
        semaphore = permits(stage, number)
        semaphore.release()
        semaphore.release(2)
        for left in range(number + 3, 0, -1):
            _expect_value(stage, semaphore, left)
            taken = semaphore.try_acquire()
            stage.expect(taken, f"after two more releases, {left} could not be taken")
        _expect_value(stage, semaphore, 0)


@rule(
    "anywhere",
    "If it is bounded, to release more often than was acquired is a ValueError, and "
    "nothing changes.",
    "bounded",
)
def bound(stage: Stage) -> None:
    for number in (1, 3):
        semaphore = permits(stage, number)
        for taken in range(number):
            for more in (1, 2):
                stage.expect_error(
                    ValueError,
                    f"release({taken + more}) with {taken} of {number} taken",
                    semaphore.release,
                    taken + more,
                )
                _expect_value(stage, semaphore, number - taken)
            semaphore.try_acquire()
        semaphore.release(number)
        stage.expect_error(ValueError, "release() at the bound", semaphore.release)
        _expect_value(stage, semaphore, number)
        for _ in range(number):
            stage.expect(semaphore.try_acquire(), "a refused release() took a permit")
        stage.expect(not semaphore.try_acquire(), "a refused release() made a permit")


@rule(
    "thread",
    "As many threads and tasks are inside at once as it has permits, and no more.",
)
def permits_for_all(stage: Stage) -> None:
    semaphore = permits(stage, 3)
    inside: list[InThread | InTask] = [
        InThread(stage, semaphore),
        InTask(stage, semaphore),
        InThread(stage, semaphore.hold(60)),
    ]
    for number, participant in enumerate(inside):
        participant.expect_inside(f"when {number} of 3 permits were taken")
    expect_in_the_end(stage, semaphore, 0)
    outside: list[InThread | InTask] = [
        InTask(stage, semaphore),
        InThread(stage, semaphore),
    ]
    for participant in outside:
        participant.expect_outside("when all 3 permits were taken")
    taken = stage.call(semaphore.try_acquire)
    stage.expect(not taken, "try_acquire() took a fourth of 3 permits")
    for participant in inside[1:]:
        participant.finish()
    for participant in outside:
        participant.expect_inside("when another had left")
        participant.finish()
    inside[0].finish()
    expect_in_the_end(stage, semaphore, 3)
    room = Room()
    visitors = [stage.start(room.visit_by_thread, semaphore, 25) for _ in range(4)]
    visitors += [stage.loop.start(room.visit_by_task, semaphore, 10) for _ in range(5)]
    for visitor in visitors:
        stage.result(visitor, "each of four threads and five tasks should have got it")
    room.expect(stage, 150, 3)
    expect_in_the_end(stage, semaphore, 3)


@rule(
    "thread",
    "Without a permit, threads and tasks wait until there is one; release(n) lets n of "
    "them go.",
)
def release_for_all(stage: Stage) -> None:
    semaphore = drained(stage, 3)
    waiting: list[InThread | InTask] = [
        InThread(stage, semaphore),
        InTask(stage, semaphore),
        InThread(stage, semaphore),
        InTask(stage, semaphore),
    ]
    for participant in waiting:
        participant.expect_outside("without a permit")
    for number, let_go in ((1, 1), (2, 3)):
        semaphore.release(number)
        _expect_inside(stage, waiting, let_go)
        taken = stage.call(semaphore.try_acquire)
        stage.expect(not taken, "try_acquire() took a permit that another got")
        expect_in_the_end(stage, semaphore, 0)
    for participant in waiting:
        participant.leave()
    for participant in waiting:
        stage.result(participant.outcome, "all should have got in, and left")
    expect_in_the_end(stage, semaphore, 3)


def _expect_inside(
    stage: Stage, participants: list[InThread | InTask], number: int
) -> None:
    """Wait until so many are inside, and watch for a moment that no more are."""
    deadline = None
    while deadline is None or monotonic() < deadline:
        inside = sum(participant.inside.is_set() for participant in participants)
        stage.expect(inside <= number, f"{inside} got in by {number} permits")
        if inside == number and deadline is None:
            deadline = monotonic() + GRACE
        stage.expect(stage.left > 0, f"only {inside} got in by {number} permits")
        sleep(GRACE / 10)


@rule(
    "thread",
    "A semaphore that is made without permits lets nobody in until one is released.",
    "unbounded",
)
def no_permits(stage: Stage) -> None:
    semaphore = permits(stage, 0)
    for make in (InThread, InTask):
        participant = make(stage, semaphore)
        participant.expect_outside("without a permit")
        semaphore.release()
        participant.expect_inside("when a permit was released")
        participant.finish()
        expect_in_the_end(stage, semaphore, 1)
        take_in_the_end(stage, semaphore, stage.start)


@rule("thread", "It has no owner: who did not take a permit may release it.")
def no_owner(stage: Stage) -> None:
    semaphore = permits(stage, 1)
    for take in (stage.start, stage.loop.start):
        for release in (stage.start, stage.loop.start):
            take_in_the_end(stage, semaphore, take)
            waiting = InThread(stage, semaphore), InTask(stage, semaphore)
            for participant in waiting:
                participant.leave()
            stage.result(release(semaphore.release), "release() should have ended")
            for participant in waiting:
                stage.result(participant.outcome, "all should have got in, and left")
            expect_in_the_end(stage, semaphore, 1)


@rule("thread", "A process that it is given to shares its permits.", "processes")
def permits_for_processes(stage: Stage) -> None:
    semaphore = permits(stage, 2)
    with another_process(stage, semaphore) as child:
        child.expect("value", answer=2)
        child.expect("try_acquire", answer=True)
        expect_in_the_end(stage, semaphore, 1)
        take_in_the_end(stage, semaphore, stage.start)
        for call, answer in (("value", 0), ("locked", True), ("try_acquire", False)):
            child.expect(call, answer=answer)
        for enter in ("enter", "enter_task"):
            child.send(enter)
            child.expect_silence("entered it without a permit")
            semaphore.release()
            child.expect_answer("inside", f"{enter} should have succeeded")
            expect_in_the_end(stage, semaphore, 0)
            child.expect("leave", answer="left")
            expect_in_the_end(stage, semaphore, 1)
            take_in_the_end(stage, semaphore, stage.start)
        child.expect("release", 2, answer=None)
        expect_in_the_end(stage, semaphore, 2)
