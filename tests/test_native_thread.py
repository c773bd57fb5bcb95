"""ThreadLock in the place of `threading.Lock`."""

from __future__ import annotations

import copy
import gc
import importlib
import io
import pickle
import queue
import re
import threading
import unittest
import weakref
from typing import TYPE_CHECKING, Any, cast

import anyio.lowlevel
import anyio.to_thread
import pytest

import staging
from anylock import ThreadLock, make_lock
from backends import Backend, run

if TYPE_CHECKING:
    from collections.abc import Callable


def in_threads(*functions: Callable[[], object]) -> None:
    """Run each function in a thread of its own; raise what one of them raises."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def suite_of_cpython(after: Callable[[ThreadLock], None]) -> type[unittest.TestCase]:
    """Return CPython's own tests of locks, for locks that went through `after`."""
    try:
        lock_tests = importlib.import_module("test.lock_tests")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")

    def locktype() -> ThreadLock:
        lock = make_lock("thread")
        after(lock)
        return lock

    return type("Tests", (lock_tests.LockTests,), {"locktype": staticmethod(locktype)})


def use_in_a_task(lock: ThreadLock) -> None:
    async def use() -> None:
        async with lock:
            pass

    anyio.run(use)


@pytest.mark.parametrize("after", [repr, use_in_a_task])
def test_the_whole_suite_of_cpython(after: Callable[[ThreadLock], None]) -> None:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(suite_of_cpython(after))
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(suite)
    assert result.wasSuccessful(), report.getvalue()
    assert result.testsRun > 15
    assert result.skipped == []


# threading.Condition and queue.Queue


def condition_on(lock: Any) -> threading.Condition:
    # typeshed wants a threading.Lock, which is final: `Any` is what users write too.
    return threading.Condition(lock)


def test_condition_between_threads() -> None:
    lock = make_lock("thread")
    condition = condition_on(lock)
    baskets: list[int] = []
    eaten: list[int] = []

    def eat() -> None:
        for _ in range(100):
            with condition:
                assert condition.wait_for(lambda: baskets, timeout=30)
                eaten.append(baskets.pop())

    def fill() -> None:
        for number in range(300):
            with lock:  # the lock and its condition are the same mutex
                baskets.append(number)
                condition.notify()

    in_threads(eat, eat, eat, fill)
    assert sorted(eaten) == list(range(300))
    assert not lock.locked()


def test_condition_keeps_its_own_errors_and_timeouts() -> None:
    lock = make_lock("thread")
    condition = condition_on(lock)
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        condition.wait()
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        condition.notify()
    with condition:
        assert lock.locked()
        assert not condition.wait(timeout=0)
        assert not condition.wait_for(lambda: False, timeout=0)
    assert condition.acquire(blocking=False)
    condition.release()
    assert not lock.locked()


@pytest.mark.parametrize("contended", [False, True])
def test_a_task_notifies_threads(backend: Backend, *, contended: bool) -> None:
    lock = make_lock("thread")
    condition = condition_on(lock)
    waiting = threading.Semaphore(0)
    woken: list[bool] = []

    def wait() -> None:
        with condition:
            waiting.release()
            woken.append(condition.wait(timeout=30))

    async def compete() -> None:
        async with lock:
            await anyio.lowlevel.checkpoint()

    async def notify() -> None:
        for _ in range(2):
            await anyio.to_thread.run_sync(waiting.acquire)
        async with anyio.create_task_group() as tasks:
            for _ in range(3 if contended else 0):
                tasks.start_soon(compete)
            await anyio.lowlevel.checkpoint()
            async with lock:  # so both of them wait by now
                condition.notify_all()
                await anyio.lowlevel.checkpoint()
                assert woken == []

    in_threads(wait, wait, lambda: run(backend, notify))
    assert woken == [True, True]
    assert not lock.locked()


def test_a_thread_waits_while_tasks_come_and_go(backend: Backend) -> None:
    # The condition releases and acquires through the careful methods here.
    lock = make_lock("thread")
    condition = condition_on(lock)
    turns: list[str] = []

    def thread() -> None:
        for _ in range(20):
            with condition:
                assert condition.wait_for(lambda: turns[-1:] == ["task"], timeout=30)
                turns.append("thread")

    async def task() -> None:
        for _ in range(20):
            while True:
                async with lock:
                    if turns[-1:] != ["task"]:
                        turns.append("task")
                        condition.notify()
                        break
                await anyio.lowlevel.checkpoint()

    async def tasks() -> None:
        await task()

    in_threads(thread, lambda: run(backend, tasks))
    assert turns == ["task", "thread"] * 20


def queue_on(lock: ThreadLock, size: int) -> queue.Queue[int]:
    made: queue.Queue[int] = queue.Queue(size)
    made.mutex = cast("Any", lock)
    made.not_empty = condition_on(lock)
    made.not_full = condition_on(lock)
    made.all_tasks_done = condition_on(lock)
    return made


def test_queue_with_our_mutex() -> None:
    lock = make_lock("thread")
    numbers = queue_on(lock, 2)
    got: list[int] = []

    def produce() -> None:
        for number in range(100):
            numbers.put(number, timeout=30)

    def consume() -> None:
        for _ in range(100):
            got.append(numbers.get(timeout=30))
            numbers.task_done()

    in_threads(produce, produce, consume, consume, numbers.join)
    numbers.join()
    assert sorted(got) == sorted([*range(100)] * 2)
    with pytest.raises(queue.Empty):
        numbers.get_nowait()
    numbers.put_nowait(1)
    numbers.put_nowait(2)
    with pytest.raises(queue.Full):
        numbers.put(3, timeout=0.001)
    assert not lock.locked()


def test_queue_between_a_thread_and_a_task(backend: Backend) -> None:
    lock = make_lock("thread")
    numbers = queue_on(lock, 2)
    got: list[int] = []

    def produce() -> None:
        for number in range(50):
            numbers.put(number, timeout=30)

    async def consume() -> None:
        while len(got) < 50:
            async with lock:
                if numbers.queue:
                    got.append(numbers.queue.popleft())
                    numbers.not_full.notify()
            await anyio.lowlevel.checkpoint()

    in_threads(produce, lambda: run(backend, consume))
    assert got == list(range(50))


# The small print


def test_what_with_gives() -> None:
    with make_lock("thread") as ours, threading.Lock() as theirs:
        assert ours is theirs is True
    with make_lock("thread").hold() as lock:
        assert isinstance(lock, ThreadLock)


def test_another_thread_may_release() -> None:
    lock = make_lock("thread")
    assert lock.acquire()
    in_threads(lock.release)
    assert not lock.locked()


def test_release_of_a_free_lock_is_the_error_of_threading() -> None:
    with pytest.raises(RuntimeError) as theirs:
        threading.Lock().release()
    lock = make_lock("thread")
    for leave in lock.release, lambda: lock.__exit__(None, None, None):
        with pytest.raises(RuntimeError) as ours:
            leave()
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value)


def test_repr_is_that_of_threading() -> None:
    lock, model = make_lock("thread"), threading.Lock()

    def shape(text: str) -> str:
        return re.sub(r"0x\w+", "0x", text).replace("anylock.Thread", "_thread.")

    for _ in range(2):
        assert shape(repr(lock)).lower() == shape(repr(model))
        assert f"at {id(lock):#x}" in repr(lock)
        lock.acquire(blocking=False)
        model.acquire(blocking=False)


def test_weak_references() -> None:
    lock = make_lock("thread")
    gone = threading.Event()
    reference = weakref.ref(lock, lambda _: gone.set())
    assert reference() is lock
    del lock
    gc.collect()
    assert gone.is_set()
    assert reference() is None


def test_a_lock_that_tasks_used_can_be_collected(backend: Backend) -> None:
    def use() -> weakref.ref[ThreadLock]:
        lock = make_lock("thread")

        async def contend() -> None:
            async with lock:
                await anyio.lowlevel.checkpoint()

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(contend)

        run(backend, main)
        return weakref.ref(lock)

    reference = use()
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(copied: Callable[[object], object]) -> None:
    for what in make_lock("thread"), [make_lock("thread")]:
        if what.__class__ is list and copied is copy.copy:
            continue
        with pytest.raises(TypeError, match="cannot pickle a ThreadLock") as info:
            copied(what)
        assert "make_lock('process')" in str(info.value)


def test_there_is_no_room_for_other_attributes() -> None:
    lock: Any = make_lock("thread")
    with pytest.raises(AttributeError):
        lock.holder = "me"


def test_a_grant_that_is_given_up_is_no_deadlock(backend: Backend) -> None:
    # Cancelled when the lock was granted already, a task comes straight back, while
    # another thread still has to carry out that it gave up.
    lock = make_lock("thread")
    entered: list[str] = []

    async def task(scope: anyio.CancelScope) -> None:
        with scope:
            async with lock:
                entered.append("cancelled")
        async with lock:
            entered.append("came back")

    async def main() -> None:
        scope = anyio.CancelScope()
        assert lock.try_acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task, scope)
            await staging.queued(lock)
            bridge = staging.bridge_of(lock)
            lock.release()
            staging.until(lambda: staging.granted(lock))
            assert bridge._running.acquire(timeout=staging.PATIENCE)
            scope.cancel()
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            bridge._running.release()
            bridge._run_steps()

    run(backend, main)
    assert entered == ["came back"]
    staging.assert_at_rest(lock)
