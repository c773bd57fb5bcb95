"""ThreadCondition: threads and tasks that wait together and notify one another.

What else it returns and refuses is in test_thread_condition_rules.py, how waits end
that nobody notified in test_thread_condition_endings.py.
"""

from __future__ import annotations

import importlib
import io
import threading
import types
import unittest
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import (
    ThreadCondition,
    make_condition,
    make_lock,
    make_rlock,
)
from backends import BACKENDS, Backend, run
from conditions import MAKERS, assert_at_rest, notified, notify, so_many_wait, waiting
from staging import PATIENCE, all_done, in_thread, until, until_in_task, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@pytest.fixture(params=MAKERS)
def condition(request: pytest.FixtureRequest) -> ThreadCondition:
    return MAKERS[request.param]()


# CPython's own tests


def use_in_a_task(condition: ThreadCondition) -> None:
    async def use() -> None:
        async with condition:
            assert not await condition.async_wait(0)

    anyio.run(use)


@pytest.mark.parametrize("after", [repr, use_in_a_task])
def test_the_whole_suite_of_cpython(
    after: Callable[[ThreadCondition], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        lock_tests = importlib.import_module("test.lock_tests")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")

    def condtype(lock: Any = None) -> ThreadCondition:
        condition = ThreadCondition(lock)
        after(condition)
        return condition

    # One of them makes the lock for the condition.
    names = {**vars(threading), "Lock": lambda: make_lock("thread")}
    monkeypatch.setattr(lock_tests, "threading", types.SimpleNamespace(**names))
    members = {"condtype": staticmethod(condtype)}
    tests: Any = type("Tests", (lock_tests.ConditionTests,), members)
    report = io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(tests)
    result = unittest.TextTestRunner(report, verbosity=2).run(suite)
    assert result.wasSuccessful(), report.getvalue()
    assert result.testsRun >= 7
    assert result.skipped == []


# Threads and tasks together


class Crowd:
    """Threads, and tasks of all loops, that wait for one condition one after another.

    Each has a number, in the order in which they began to wait.
    """

    def __init__(self, condition: ThreadCondition) -> None:
        self.condition = condition
        self.gone: list[int] = []

    def wait(self, number: int) -> None:
        with self.condition:
            assert self.condition.wait(PATIENCE) is True
            self.gone.append(number)

    async def wait_in_task(self, number: int) -> None:
        async with self.condition:
            assert await self.condition.async_wait(PATIENCE) is True
            self.gone.append(number)

    async def wait_in_tasks(self, first: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.wait_in_task, first)
            await until_in_task(so_many_wait(self.condition, first + 1))
            tasks.start_soon(self.wait_in_task, first + 1)

    def run(self, backend: Backend, first: int) -> None:
        run(backend, self.wait_in_tasks, first)

    @contextmanager
    def gathered(self) -> Generator[int]:
        """Let all of them wait; give how many they are, and see them gone."""
        with ExitStack() as stack:
            number = 0
            for backend in filter(usable, BACKENDS):
                stack.enter_context(in_thread(partial(self.wait, number)))
                until(so_many_wait(self.condition, number + 1))
                stack.enter_context(in_thread(partial(self.run, backend, number + 1)))
                until(so_many_wait(self.condition, number + 3))
                number += 3
            try:
                yield number
            finally:
                with self.condition:
                    self.condition.notify_all()
        assert_at_rest(self.condition)


def test_first_come_first_notified(condition: ThreadCondition) -> None:
    crowd = Crowd(condition)
    with crowd.gathered() as number:
        for gone in range(number):
            assert crowd.gone == list(range(gone))
            notify(condition)
            until(partial(crowd.gone.__contains__, gone))
    assert crowd.gone == list(range(number))


def test_so_many_are_notified(backend: Backend, condition: ThreadCondition) -> None:
    crowd = Crowd(condition)

    async def notify_in_task(n: int) -> None:
        async with condition:
            condition.notify(n)

    with crowd.gathered() as number:
        notify(condition, 2)
        until(lambda: len(crowd.gone) == 2)
        with condition:
            condition.notify(0)
            assert waiting(condition) == number - 2
        run(backend, notify_in_task, 3)
        until(lambda: len(crowd.gone) == 5)
        assert set(crowd.gone) == set(range(5))
        run(backend, notify_in_task, 1000)
        until(lambda: len(crowd.gone) == number)
    assert set(crowd.gone) == set(range(number))


@pytest.mark.parametrize("by", ["thread", "task"])
def test_all_are_notified(
    backend: Backend, condition: ThreadCondition, by: str
) -> None:
    crowd = Crowd(condition)

    async def notify_all() -> None:
        async with condition:
            condition.notify_all()
            assert crowd.gone == []  # not before they have the lock

    with crowd.gathered() as number:
        if by == "task":
            run(backend, notify_all)
        else:
            with condition:
                condition.notify_all()
                assert crowd.gone == []
        until(lambda: len(crowd.gone) == number)
    with condition:
        condition.notify_all()  # nobody is there, and nothing is kept for later
        assert condition.wait(0) is False


def test_threads_and_tasks_pass_a_ball(backend: Backend) -> None:
    condition = make_condition("thread")
    turn = 0
    times = 50

    def odd() -> bool:
        return turn % 2 == 1

    def even() -> bool:
        return turn % 2 == 0

    def play() -> None:
        nonlocal turn
        for _ in range(times):
            with condition:
                condition.wait_for(odd)
                turn += 1
                condition.notify_all()

    async def play_in_task() -> None:
        nonlocal turn
        for _ in range(times):
            async with condition:
                await condition.async_wait_for(even)
                turn += 1
                condition.notify_all()

    with in_thread(play):
        run(backend, play_in_task)
    assert turn == 2 * times
    assert_at_rest(condition)


# Re-entrant, and shared


def test_a_thread_gives_up_all_levels() -> None:
    condition = make_condition("thread")
    with notified(condition):
        with condition, condition, condition:
            assert condition.wait() is True
        assert_at_rest(condition)


@pytest.mark.parametrize("time_is_over", [False, True])
def test_a_task_gives_up_all_levels(backend: Backend, *, time_is_over: bool) -> None:
    condition = make_condition("thread")

    async def wait() -> None:
        async with condition, condition:
            with condition, condition:  # the same owner
                assert await condition.async_wait(0 if time_is_over else None) is (
                    not time_is_over
                )
                assert condition.locked()
            assert condition.locked()
        assert not condition.locked()

    async def notify_it() -> None:
        if not time_is_over:
            await until_in_task(lambda: waiting(condition))
            async with condition:
                condition.notify()

    run(backend, all_done, wait, notify_it)
    assert_at_rest(condition)


def test_two_conditions_share_a_lock(backend: Backend) -> None:
    for lock in (make_lock("thread"), make_rlock("thread")):
        full = make_condition("thread", lock)
        empty = make_condition(None, lock)
        assert isinstance(empty, ThreadCondition)
        log: list[str] = []

        async def wait(full: ThreadCondition = full, log: list[str] = log) -> None:
            async with full:
                await full.async_wait()
                log.append("full")

        def wait_in_thread(
            empty: ThreadCondition = empty, log: list[str] = log
        ) -> None:
            with empty:
                empty.wait()
                log.append("empty")

        async def main(
            full: ThreadCondition = full,
            empty: ThreadCondition = empty,
            log: list[str] = log,
        ) -> None:
            await until_in_task(lambda: waiting(full) and waiting(empty))
            async with full:  # the lock of both
                empty.notify_all()
            await until_in_task(lambda: log)
            assert waiting(full) == 1
            async with empty:
                full.notify_all()

        with in_thread(wait_in_thread):
            run(backend, all_done, wait, main)
        assert log == ["empty", "full"]
        assert_at_rest(full)
