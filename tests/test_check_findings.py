"""What the checks find in locks that are wrong in a single place, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from anylock import ProcessLock
from anylock.testing import (
    CONDITION_RULES,
    RULES,
    SEMAPHORE_RULES,
    BrokenRule,
    _loops,
    _processes,
    _waiting_threads,
    check_condition,
    check_lock,
    check_semaphore,
)
from anylock.testing._cancellation import hold_up_the_loop
from anylock.testing._stage import Backend, Broken, LoopThread, Stage
from broken_locks import OpenToTasks
from reference_family import ReferenceCondition, ReferenceRLock, ReferenceSemaphore
from reference_lock import ReferenceLock
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CHECKS: dict[Any, Mapping[str, str]] = {
    check_lock: RULES,
    check_semaphore: SEMAPHORE_RULES,
    check_condition: CONDITION_RULES,
}


def check_rule(
    check: Callable[..., None], factory: Callable[..., Any], rule: str, **options: Any
) -> None:
    options.setdefault("backends", ["asyncio"])
    check(factory, without=set(CHECKS[check]) - {rule}, **options)


def finding(
    check: Callable[..., None], factory: Callable[..., Any], rule: str, **options: Any
) -> str:
    """Return what the check finds when it looks at nothing but the rule."""
    with pytest.raises(BrokenRule) as caught:
        check_rule(check, factory, rule, **options)
    assert caught.value.rule == rule
    return caught.value.found


class SwallowingExit(ReferenceLock):
    def __exit__(self, *_: object) -> Any:
        self.release()
        return True


class AtOnceMeansNow(ReferenceLock):
    """Whoever does not want to wait gets in."""

    async def enter_task_within(self, seconds: float | None) -> bool:
        return seconds == 0 or await super().enter_task_within(seconds)


@pytest.mark.parametrize(
    ("rule", "factory", "found", "options"),
    [
        ("with_", SwallowingExit, "swallowed the body's error", {}),
        ("newcomers", AtOnceMeansNow, "hold(0) took it in between", {}),
        (
            "own_lock_again",
            ReferenceRLock,
            "it got the lock again",
            {"deadlocks": True},
        ),
        ("closed_loop", OpenToTasks, "a task of a closed event loop got the lock", {}),
    ],
)
def test_locks(
    rule: str, factory: Callable[[], Any], found: str, options: dict[str, Any]
) -> None:
    assert found in finding(check_lock, factory, rule, **options)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """What a rule has to work with, for what is found by chance only."""
    backend = Backend("asyncio", {})
    stage = Stage(OpenToTasks, (backend,), backend, True, None, PATIENCE)
    yield stage
    stage.stop()


def test_locks_that_take_a_running_task_for_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_loops, "GRACE", PATIENCE)
    here, there = stage.loop, stage.another_loop(1, stage.backend)
    with pytest.raises(Broken, match="while a task of another loop held it"):
        _loops._take_amid_a_step(stage, stage.make(), here, there)


class ZeroTakesOne(ReferenceSemaphore):
    async def enter_task_within(self, seconds: float | None) -> bool:
        return seconds == 0 or await super().enter_task_within(seconds)


class LetsAllIn(ReferenceSemaphore):
    async def enter_task_within(self, seconds: float | None) -> bool:  # noqa: ARG002
        self._value -= 1
        return True


@pytest.mark.parametrize(
    ("rule", "factory", "found"),
    [
        ("newcomers_and_permits", ZeroTakesOne, "hold(0) took one in between"),
        ("permits_and_wait_for", LetsAllIn, "a third entered by 2 permits"),
    ],
)
def test_semaphores(
    rule: str, factory: Callable[..., ReferenceSemaphore], found: str
) -> None:
    assert found in finding(check_semaphore, factory, rule)


class FailingWait(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        raise KeyError("in wait")


def test_conditions() -> None:
    """What a thread's wait raised is found, and the thread leaves the lock."""
    made: list[FailingWait] = []

    def factory() -> FailingWait:
        made.append(FailingWait())
        return made[-1]

    assert "in wait" in finding(check_condition, factory, "wait_in_threads")
    assert made
    until(lambda: not any(condition.locked() for condition in made))


class WaitsForNothing(ReferenceCondition):
    def thread_waits(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        return False


def test_conditions_that_keep_the_lock(stage: Stage) -> None:
    """Not for once, as when the machine is busy."""
    stage.factory = WaitsForNothing
    with pytest.raises(Broken, match=r"which wait\(\) should have given up"):
        _waiting_threads._wait_timeout_while_held(stage)


# What children do, in which the lock is another one.

FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def in_child() -> bool:
    return multiprocessing.parent_process() is not None


class OfOneProcess(ProcessLock):
    """For a process and its children; wrong in the one or in the others."""

    def __init__(self) -> None:
        super().__init__(context=FORK)


class HeldByOneProcess(OfOneProcess):
    def hold(self, timeout: float | None = None) -> Any:
        return super().hold(timeout) if in_child() else nullcontext()


class OpenToChildren(OfOneProcess):
    def __enter__(self) -> bool:
        return in_child() or self.acquire()

    def __exit__(self, *_: object) -> None:
        if not in_child():
            self.release()


class HeldByChildren(OfOneProcess):
    def hold(self, timeout: float | None = None) -> Any:
        return nullcontext() if in_child() else super().hold(timeout)


class EndsTheChild(OfOneProcess):
    def try_acquire(self) -> bool:
        if in_child():
            os._exit(0)
        return super().try_acquire()


class FailsInTheChild(OfOneProcess):
    def try_acquire(self) -> bool:
        if in_child():
            raise KeyError("in the child")
        return super().try_acquire()


@pytest.mark.skipif(FORK is None, reason="the children are forked")
@pytest.mark.parametrize(
    ("factory", "found"),
    [
        (HeldByOneProcess, "hold() while a child held it raised nothing"),
        (OpenToChildren, "a child entered it while the parent held it: 'inside'"),
        (HeldByChildren, "gave ('entered', 0)"),
        (EndsTheChild, "but the child ended"),
        (FailsInTheChild, "KeyError('in the child')"),
    ],
)
def test_processes(
    factory: Callable[[], OfOneProcess], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if factory is OpenToChildren:  # all others are watched in vain
        monkeypatch.setattr(_processes, "GRACE", PATIENCE)
    assert found in finding(check_lock, factory, "processes_exclude", context=FORK)


class FailingLock(ReferenceLock):
    def release(self) -> None:
        raise KeyError("in release")

    def hold(self, timeout: float | None = None) -> Any:
        return nullcontext(timeout)


def test_what_a_child_answers() -> None:
    """Here in a thread: a child that gave the wrong answer is killed."""
    ours, theirs = multiprocessing.Pipe()
    lock = FailingLock()
    with ours, theirs, in_thread(lambda: _processes.obey(lock, theirs)):
        ours.send(("release", ()))
        assert ours.recv() == "KeyError('in release')"
        ours.send(("hold", (7,)))
        assert ours.recv() == ("entered", 7)
        ours.send(("stop", ()))


# What is right, if a little late.


class SlowToSay(ReferenceLock):
    """Says that it is locked a little longer than it is."""

    times = 0

    def release(self) -> None:
        super().release()
        self.times = 3

    def locked(self) -> bool:
        self.times -= 1
        return super().locked() or self.times >= 0


def test_a_lock_may_be_free_a_moment_later() -> None:
    """As one that was passed on by way of a thread."""
    check_rule(check_lock, SlowToSay, "loops_in_turn")


class SlowToEnter(ReferenceCondition):
    """Stops the event loop at the way in, as a busy machine does."""

    async def __aenter__(self) -> object:
        hold_up_the_loop()
        return await super().__aenter__()


def test_a_wait_may_be_over_before_anybody_notifies() -> None:
    """Who waited has the lock again then, and is not to keep it."""
    check_rule(check_condition, SlowToEnter, "notified_at_timeout", patience=2)


class RefusesOnce(ReferenceSemaphore):
    """Refuses the first who tries after a release, while nobody is on the way in.

    Whoever it refused on the way in would queue beside a free permit, for ever.
    """

    released = False
    entering = 0

    def enter_within(self, seconds: float | None) -> bool:
        self.entering += 1
        try:
            return super().enter_within(seconds)
        finally:
            self.entering -= 1

    async def enter_task_within(self, seconds: float | None) -> bool:
        self.entering += 1
        try:
            return await super().enter_task_within(seconds)
        finally:
            self.entering -= 1

    def release(self, n: int = 1) -> None:
        self.released = True
        super().release(n)

    def try_acquire(self) -> bool:
        released, self.released = self.released, False
        refused = released and not self.entering
        return not refused and super().try_acquire()


def test_a_permit_may_be_there_a_moment_later() -> None:
    check_rule(check_semaphore, RefusesOnce, "no_owner")


# How a check ends.


class BlocksInTheEnd(OpenToTasks):
    """Stops the event loop when somebody leaves."""

    def __init__(self, go_on: threading.Event) -> None:
        super().__init__()
        self._go_on = go_on

    async def __aexit__(self, *exc_info: object) -> None:
        self._go_on.wait()


def test_the_finding_is_told_though_the_check_does_not_end() -> None:
    """What was found first, and not that there is no end."""
    go_on = threading.Event()
    before = set(threading.enumerate())
    try:
        found = finding(
            check_lock, lambda: BlocksInTheEnd(go_on), "tasks_exclude", patience=0.2
        )
    finally:
        go_on.set()
        for thread in set(threading.enumerate()) - before:
            thread.join()
    assert "a second task got inside" in found


class NoLoop(Exception):  # noqa: N818 - what the loop factory of a test raises
    """There is no event loop."""


def test_a_loop_that_does_not_begin() -> None:
    def fail() -> Any:
        raise NoLoop

    backend = "asyncio", {"loop_factory": fail}
    rule = "threads_and_tasks_exclude"
    found = finding(check_lock, ReferenceLock, rule, backends=[backend])
    assert "NoLoop" in found


class EndsBadly(Backend):
    """An event loop that raises after all is done."""

    def run(self, function: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        raise NoLoop


def test_a_loop_that_does_not_end_well() -> None:
    """It did what it was for, and nobody waits for it any more."""
    loop = LoopThread(Backend("asyncio", {}))
    assert loop.start(lambda: 7).result(PATIENCE) == 7
    loop.stop(PATIENCE)
    loop._run(EndsBadly("asyncio", {}))  # once more: that raises nothing
