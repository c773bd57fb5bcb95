"""What the checks find in locks that are wrong in a single place, and how they end."""

from __future__ import annotations

import asyncio
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
    check_condition,
    check_lock,
    check_semaphore,
)
from broken_locks import OpenToTasks
from reference_family import ReferenceCondition, ReferenceRLock, ReferenceSemaphore
from reference_lock import ReferenceLock
from staging import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


class TakesOneForTheOther(ReferenceLock):
    """Takes who runs in another thread, when a task gets in, for that task."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.inside: set[object] = set()

    async def enter_task_within(self, seconds: float | None) -> bool:
        self.loops.add(asyncio.get_running_loop())
        if asyncio.current_task() in self.inside:
            return True
        entered = await super().enter_task_within(seconds)
        self.inside = {asyncio.current_task(loop) for loop in self.loops}
        return entered

    def release(self) -> None:
        self.inside = set()
        super().release()


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
        (
            "loops_exclude",
            TakesOneForTheOther,
            "a task got the lock while a task of another loop held it",
            {},
        ),
    ],
)
def test_locks(
    rule: str, factory: Callable[[], Any], found: str, options: dict[str, Any]
) -> None:
    assert found in finding(check_lock, factory, rule, **options)


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
def test_processes(factory: Callable[[], OfOneProcess], found: str) -> None:
    assert found in finding(check_lock, factory, "processes_exclude", context=FORK)


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


class RefusesOnce(ReferenceSemaphore):
    """Refuses the first who comes after a release."""

    released = False

    def release(self, n: int = 1) -> None:
        self.released = True
        super().release(n)

    def try_acquire(self) -> bool:
        released, self.released = self.released, False
        return not released and super().try_acquire()


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


def test_a_loop_that_does_not_end_well() -> None:
    """That is no fault of the lock."""
    closed = list[object]()

    class Loop(asyncio.SelectorEventLoop):
        def close(self) -> None:
            super().close()
            closed.append(self)
            raise NoLoop

    backend = "asyncio", {"loop_factory": Loop}
    rule = "threads_and_tasks_exclude"
    check_rule(check_lock, ReferenceLock, rule, backends=[backend])
    assert closed
