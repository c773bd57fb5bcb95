"""ProcessCondition: between processes and threads, and what tasks are told."""

from __future__ import annotations

import importlib
import io
import multiprocessing
import pickle
import sys
import threading
import unittest
from contextlib import ExitStack
from functools import partial
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
import pytest

from anylock import (
    Condition,
    LockTimeout,
    ProcessCondition,
    ProcessLock,
    ProcessRLock,
    WouldDeadlock,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from backends import Backend, run
from conditions import signalled_once
from interruptions import Interrupted, interrupt
from staging import PATIENCE, in_thread, queued, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_int
    from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext

    CTX = ForkContext | ForkServerContext | SpawnContext

pytestmark = pytest.mark.filterwarnings(
    # pytest-xdist has a thread in each of its workers. It takes none of our locks.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)

LOCKS: dict[str, type[ProcessLock | ProcessRLock]] = {
    "rlock": ProcessRLock,
    "lock": ProcessLock,
}


@pytest.fixture(params=LOCKS)
def condition(request: pytest.FixtureRequest) -> ProcessCondition:
    return make_condition("process", LOCKS[request.param](), name="news")


@pytest.fixture
def context(start_method: str) -> CTX:
    chosen: Any = multiprocessing.get_context(start_method)
    return cast("CTX", chosen)


def sleepers(condition: ProcessCondition) -> int:
    """Count who waits, or has just ended to wait."""
    guts: Any = condition
    count: int = guts._sleeping_count._semlock._get_value()
    return count


def notify(condition: ProcessCondition, n: int = 1) -> None:
    until(lambda: sleepers(condition))
    with condition:
        condition.notify(n)


def assert_at_rest(condition: ProcessCondition) -> None:
    until(lambda: not condition.locked())

    def use() -> None:
        with condition.hold(PATIENCE):
            condition.notify_all()  # counts those who are not there any more

    with in_thread(use):
        pass
    assert sleepers(condition) == 0


# Threads


def test_the_suite_of_cpython() -> None:
    try:
        lock_tests = importlib.import_module("test.lock_tests")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")
    members = {"condtype": staticmethod(lambda: make_condition("process"))}
    tests: Any = type("Tests", (lock_tests.ConditionTests,), members)
    # The rest is about the errors of threading, and about its locks.
    names = ["test_notify", "test_timeout", "test_waitfor", "test_waitfor_timeout"]
    report = io.StringIO()
    suite = unittest.TestSuite(tests(name) for name in names)
    result = unittest.TextTestRunner(report, verbosity=2).run(suite)
    assert result.wasSuccessful(), report.getvalue()
    assert result.testsRun == len(names)


def test_time_is_over(condition: ProcessCondition) -> None:
    for timeout in (0, -1, 0.001):
        with condition:
            assert condition.wait(timeout) is False
            assert condition.locked()
        assert_at_rest(condition)


def test_wait_for(condition: ProcessCondition) -> None:
    news: list[str] = []

    def tell() -> None:
        for word in ("", "", "done"):
            until(lambda: sleepers(condition))
            with condition:
                news.append(word)
                condition.notify()

    with in_thread(tell), condition:
        assert condition.wait_for(lambda: news[-1] if news else "") == "done"
        assert condition.wait_for(lambda: "yes", 0) == "yes"
        assert condition.wait_for(str, 0.001) == ""
    assert_at_rest(condition)


def test_all_levels_are_given_up() -> None:
    condition = make_condition("process")
    with in_thread(partial(notify, condition)):
        with condition, condition, condition:
            assert condition.wait() is True
            assert_depth(condition, 3)
        assert_at_rest(condition)


def assert_depth(condition: ProcessCondition, depth: int) -> None:
    lock: Any = condition._lock
    assert lock._semlock._is_mine()
    assert lock._semlock._count() == depth


def test_two_conditions_share_a_lock() -> None:
    for lock in (make_lock("process"), make_rlock("process")):
        full = make_condition("process", lock)
        empty = make_condition(None, lock)
        assert isinstance(empty, ProcessCondition)

        def wait(empty: ProcessCondition = empty) -> None:
            with empty:
                assert empty.wait(PATIENCE)

        with in_thread(wait):
            until(partial(sleepers, empty))
            with full:
                full.notify()  # nobody
                assert full.locked()
                assert empty.locked()
                empty.notify()
        assert_at_rest(full)


def test_hold(condition: ProcessCondition) -> None:
    with condition.hold(0) as held:
        assert held is condition
        assert not held.wait(0)

        def refused() -> None:
            assert not condition.try_acquire()
            assert not condition.acquire(False)
            with pytest.raises(LockTimeout, match="'news'"):
                condition.hold(0).__enter__()

        with in_thread(refused):
            pass
    assert condition.try_acquire()
    condition.release()
    assert_at_rest(condition)


def test_nothing_without_the_lock(condition: ProcessCondition) -> None:
    calls: list[Callable[[], object]] = [
        condition.wait,
        partial(condition.wait_for, bool),
        condition.notify,
        condition.notify_all,
    ]
    for call in calls:
        with pytest.raises(AssertionError, match=r"lock|acquire"):
            call()
    assert_at_rest(condition)


def test_what_it_is(condition: ProcessCondition) -> None:
    assert isinstance(condition, Condition)
    assert isinstance(condition, synchronize.Condition)
    assert (condition.kind, condition.name) == ("process", "news")
    with pytest.raises(RuntimeError, match=r"Process\(args=|inheritance"):
        pickle.dumps(condition)


@pytest.mark.parametrize(
    "lock",
    [
        make_lock("async"),
        make_rlock("thread"),
        make_semaphore("process"),
        make_condition("process"),
        multiprocessing.Lock(),
    ],
    ids=lambda lock: type(lock).__name__,
)
def test_wrong_locks(lock: Any) -> None:
    message = r"make_lock\('process'\) or make_rlock\('process'\), not "
    with pytest.raises(TypeError, match=message):
        make_condition("process", lock)


# Processes


def wait_for_number(condition: ProcessCondition, number: c_int, wanted: int) -> None:
    with condition:
        assert condition.name == "news"
        assert condition.wait_for(lambda: number.value == wanted, 60)
        number.value += 1
        condition.notify_all()


@pytest.mark.parametrize("make", LOCKS)
def test_children_and_parent_wait_for_one_another(make: str, context: CTX) -> None:
    lock = LOCKS[make](context=context)
    condition = make_condition("process", lock, name="news", context=context)
    number = context.RawValue("i", 0)
    children = [
        context.Process(target=wait_for_number, args=(condition, number, wanted))
        for wanted in (1, 3)
    ]
    for child in children:
        child.start()
    for wanted in (0, 2, 4):
        wait_for_number(condition, number, wanted)
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert number.value == 5
    assert_at_rest(condition)


def test_the_lock_says_how_children_are_started(context: CTX) -> None:
    condition = make_condition("process", make_lock("process", context=context))
    number = context.RawValue("i", 0)
    named = make_condition("process", condition._lock, name="news")
    child = context.Process(target=wait_for_number, args=(named, number, 0))
    child.start()
    wait_for_number(named, number, 1)
    child.join(60)
    assert child.exitcode == 0


# Tasks


def test_tasks_are_sent_away(backend: Backend, condition: ProcessCondition) -> None:
    said = pytest.raises(TypeError, match=r"to_thread\.run_sync.*make_condition")

    async def main() -> None:
        with said:
            async with condition:
                pass
        with said:
            async with condition.hold(1):
                pass
        assert not condition.locked()

    run(backend, main)
    assert_at_rest(condition)


def test_tasks_let_a_thread_wait(backend: Backend, condition: ProcessCondition) -> None:
    def wait() -> bool:
        with condition:
            return condition.wait(PATIENCE)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, partial(notify, condition))
            assert await anyio.to_thread.run_sync(wait)

    run(backend, main)
    assert_at_rest(condition)


@pytest.mark.parametrize("contended", [False, True])
def test_task_that_holds_the_lock(
    backend: Backend, condition: ProcessCondition, *, contended: bool
) -> None:
    """It is told so, whether the lock is its thread's or that of a helper."""
    lock = condition._lock

    async def main() -> None:
        with ExitStack() as stack:
            held, done = threading.Event(), threading.Event()
            if contended:
                stack.enter_context(in_thread(lambda: hold(held, done)))
                assert held.wait(PATIENCE)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(use)
                if contended:
                    await queued(lock)
                    done.set()

    def hold(held: threading.Event, done: threading.Event) -> None:
        with condition:
            held.set()
            assert done.wait(PATIENCE)

    async def use() -> None:
        async with lock:
            with pytest.raises(WouldDeadlock, match="let a worker thread") as info:
                condition.wait(1)
            assert info.value.lock_name == "news"
            for notify in (condition.notify, condition.notify_all):
                with pytest.raises(TypeError, match="for threads"):
                    notify()
            assert condition.locked()

    run(backend, main)
    assert_at_rest(condition)


# Signals


@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize("amid", ["wait", "acquire"])
@pytest.mark.parametrize(("name", "depth"), [("lock", 1), ("rlock", 1), ("rlock", 3)])
def test_handler_raises(name: str, depth: int, amid: str) -> None:
    condition = make_condition("process", LOCKS[name](), name="news")
    main_thread = threading.get_ident()

    def amid_a_wait() -> bool:
        # To take the lock again is in the same function; that it waits is known here.
        frame = sys._current_frames()[main_thread]
        return frame.f_code.co_filename == synchronize.__file__

    def send() -> None:
        until(lambda: sleepers(condition))
        if amid == "wait":
            until(lambda: not condition.locked() and amid_a_wait())
            interrupt_it()
            return
        with condition:
            condition.notify()  # waits until the main thread is awake
            interrupt_it()

    with (
        signalled_once(interrupt) as interrupt_it,
        in_thread(send),
        ExitStack() as held,
    ):
        for _ in range(depth):
            held.enter_context(condition)
        with pytest.raises(Interrupted):
            condition.wait(PATIENCE)
        assert_depth(condition, depth)
        condition.notify(0)
    assert_at_rest(condition)
