"""Re-entrant locks in the place of those of `threading` and `multiprocessing`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import importlib
import io
import multiprocessing
import pickle
import re
import threading
import unittest
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest

from anylock import LockNotHeldError, ThreadRLock, make_rlock
from backends import Backend, run
from depths import NOT_HELD, held_by_a_thread, in_worker, rlock, visits
from staging import (
    PATIENCE,
    all_done,
    assert_at_rest,
    enter,
    in_thread,
    is_native,
    queued,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from depths import BridgedRLock

__all__ = ["rlock"]

pytestmark = pytest.mark.filterwarnings(
    # pytest-xdist has a thread in each of its workers. It takes none of our locks.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


def used_by_a_task(lock: ThreadRLock) -> None:
    async def use() -> None:
        async with lock, lock:
            pass

    in_worker(lambda: asyncio.run(use()))


def suite_of_cpython(name: str, make: Callable[[], object]) -> type[unittest.TestCase]:
    try:
        lock_tests = importlib.import_module("test.lock_tests")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")
    attribute = "locktype" if name == "RLockTests" else "condtype"
    base = getattr(lock_tests, name)
    return type("Tests", (base,), {attribute: staticmethod(make)})


def passes(suite: type[unittest.TestCase], number: int) -> None:
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(suite)
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(tests)
    assert result.wasSuccessful(), report.getvalue()
    assert result.testsRun > number


@pytest.mark.parametrize("after", [repr, used_by_a_task])
def test_the_whole_suite_of_cpython(after: Callable[[ThreadRLock], object]) -> None:
    def make() -> ThreadRLock:
        lock = make_rlock("thread")
        after(lock)
        return lock

    passes(suite_of_cpython("RLockTests", make), 15)


@pytest.mark.parametrize("after", [used_by_a_task])
def test_cpythons_suite_of_conditions(after: Callable[[ThreadRLock], object]) -> None:
    def make(lock: Any = None) -> threading.Condition:
        if lock is None:
            lock = make_rlock("thread")
            after(lock)
        return threading.Condition(lock)

    passes(suite_of_cpython("ConditionTests", make), 5)


def test_with_gives_true(rlock: BridgedRLock) -> None:
    with rlock as one, rlock as two, ExitStack() as stack:
        assert one is two is stack.enter_context(rlock) is True
        assert stack.enter_context(rlock.hold()) is rlock
    assert not rlock.locked()
    assert_at_rest(rlock)


def test_signatures_of_threading() -> None:
    """With the C method and with the careful one; the errors are those of C."""
    odd: tuple[tuple[tuple[Any, ...], type[Exception]], ...] = (
        ((True, -2), ValueError),
        ((True, float("nan")), ValueError),
        ((False, 1), ValueError),
        ((True, 1e100), OverflowError),
        ((True, "x"), TypeError),
        ((1, 2, 3), TypeError),
    )
    lock = make_rlock("thread")
    acquire: Any = lock.acquire

    def check() -> None:
        theirs: Any = threading.RLock().acquire
        for arguments, error in odd:
            with pytest.raises(error):
                theirs(*arguments)
            with pytest.raises(error):
                acquire(*arguments)
        assert lock.acquire(blocking=True, timeout=-1)
        assert lock.acquire(True, 1)
        assert lock.acquire(blocking=False)
        for _ in range(3):
            lock.release()
        with pytest.raises(RuntimeError):
            lock.release()

    async def main() -> None:
        check()
        with held_by_a_thread(lock) as leave:
            entering = asyncio.ensure_future(enter(lock))
            await queued(lock)
            assert not is_native(lock)
            check_careful()
            assert not lock.acquire(True, 0.001)
            assert not lock.acquire(False)
            leave()
            await entering
        check_careful()

    def check_careful() -> None:
        assert not is_native(lock)
        careful: Any = lock.acquire
        for arguments, error in odd:
            with pytest.raises(error):
                careful(*arguments)

    asyncio.run(main())


def test_odd_arguments_do_not_get_another_task_in(backend: Backend) -> None:
    """What is false for the C method is false for us, instead of for the inner lock."""

    async def main() -> None:
        lock = make_rlock("thread")
        anything: Any = lock

        async def other() -> None:
            for odd in (None, "", 0.0):
                try:
                    taken = anything.acquire(odd)
                except TypeError:  # up to Python 3.11
                    continue
                assert not taken

        async with lock:
            await all_done(other)
        assert_at_rest(lock)

    run(backend, main)


@pytest.mark.parametrize("depth", [1, 3])
def test_release_by_others_changes_nothing(rlock: BridgedRLock, depth: int) -> None:
    def others() -> None:
        for leave in rlock.release, lambda: rlock.__exit__(None, None, None):
            with pytest.raises(NOT_HELD):
                leave()
        assert not rlock.try_acquire()
        assert not rlock.acquire(True, 0.001)

    others_of_a_free_one = rlock.release
    with pytest.raises(NOT_HELD):
        others_of_a_free_one()
    for _ in range(depth):
        assert rlock.acquire()
        in_worker(others)
    for _ in range(depth):
        assert rlock.locked()
        in_worker(others)
        rlock.release()
    assert_at_rest(rlock)


def test_condition_needs_its_lock() -> None:
    lock = make_rlock("thread")
    condition = threading.Condition(cast("Any", lock))
    for misuse in condition.wait, condition.notify, lock._release_save:
        with pytest.raises(RuntimeError):
            misuse()
    used_by_a_task(lock)
    with held_by_a_thread(lock), pytest.raises(LockNotHeldError):
        lock._release_save()
    assert_at_rest(lock)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("tasks", [0, 2])
def test_threading_condition_gives_up_every_level(depth: int, tasks: int) -> None:
    """Also while tasks are queued, so that the careful methods are at work."""
    lock = make_rlock("thread")
    condition = threading.Condition(cast("Any", lock))
    order: list[object] = []
    waits = threading.Event()

    def wait() -> None:
        with ExitStack() as stack:
            for _ in range(depth):
                stack.enter_context(condition)
            waits.set()
            assert condition.wait(PATIENCE)
            assert lock._is_owned()
            order.append("notified")
        assert not lock._is_owned()

    async def compete() -> None:
        with in_thread(notify):
            await all_done(*visits(lock, order, *range(tasks)))

    def notify() -> None:
        assert waits.wait(PATIENCE)
        with condition:
            condition.notify()

    with in_thread(wait):
        assert waits.wait(PATIENCE)
        asyncio.run(compete())
    assert sorted(map(str, order)) == [*map(str, range(tasks)), "notified"]
    assert_at_rest(lock)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("colour", ["async with", "with"])
def test_condition_waits_in_a_task(backend: Backend, depth: int, colour: str) -> None:
    """It stops the event loop, but it is the task that has the lock again after."""
    lock = make_rlock("thread")
    condition = threading.Condition(cast("Any", lock))
    order: list[object] = []

    def notify() -> None:
        with condition:
            order.append("thread")
            condition.notify()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(depth):
                if colour == "with":
                    stack.enter_context(condition)
                else:
                    await stack.enter_async_context(lock)
            with in_thread(notify):
                assert condition.wait(PATIENCE)
            assert not condition.wait(0.001)
            assert lock._is_owned()
            in_worker(lambda: order.append(lock.try_acquire()))
        assert order == ["thread", False]
        assert_at_rest(lock)

    run(backend, main)


def test_condition_has_the_lock_again_whatever_handlers_raise() -> None:
    """As with the C lock: who was notified waits for it and cannot be interrupted."""
    import signal
    from time import sleep

    lock = make_rlock("thread")
    condition: Any = threading.Condition(cast("Any", lock))
    main = threading.get_ident()

    class Struck(Exception):  # noqa: N818 - nothing went wrong
        pass

    def strike(*_: object) -> None:
        raise Struck

    def notify() -> None:
        with condition:
            condition.notify()
            # When nothing else is left to wait for but the lock.
            until(lambda: not condition._waiters)
            signal.pthread_kill(main, signal.SIGUSR1)
            sleep(0.05)  # time for a wait that could be broken into

    old = signal.signal(signal.SIGUSR1, strike)
    try:
        with condition, condition, in_thread(notify):
            with pytest.raises(Struck):
                condition.wait(PATIENCE)
            assert lock._is_owned()
            assert lock.locked()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert_at_rest(lock)


def test_repr_is_that_of_threading() -> None:
    lock = make_rlock("thread")
    named = make_rlock("thread", name="stock")
    for state in ("unlocked", "locked"):
        assert re.fullmatch(
            rf"<{state} anylock.ThreadRLock object at 0x\w+>", repr(lock)
        )
        assert f"<{state} anylock.ThreadRLock object name='stock' at" in repr(named)
        assert f"at {id(lock):#x}" in repr(lock)
        lock.acquire()
        named.acquire()


def test_repr_is_that_of_multiprocessing() -> None:
    lock, model = make_rlock("process", name="stock"), multiprocessing.RLock()

    def both() -> tuple[str, str]:
        ours = repr(lock).replace("ProcessRLock", "RLock")
        return ours.replace(" name='stock'", ""), repr(model)

    texts: list[str] = []

    def in_turn() -> None:
        ours, theirs = both()
        assert ours == theirs
        texts.append(ours)

    in_turn()
    with lock, model:
        in_turn()
        with lock, model:
            in_turn()
            in_worker(in_turn)
    assert len(set(texts)) == 4


def test_weak_references_and_no_cycle(rlock: BridgedRLock) -> None:
    del rlock  # the fixture is for its kinds' names alone
    gc.disable()
    try:
        for kind in ("thread", "process"):
            lock: Any = make_rlock(kind)
            with lock, lock:
                pass
            used_by_a_task(lock)
            reference = weakref.ref(lock)
            del lock
            assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_of_a_thread_rlock_are_refused(
    copied: Callable[[object], object],
) -> None:
    with pytest.raises(TypeError, match=r"make_rlock\('process'\)"):
        copied(make_rlock("thread"))
    with pytest.raises(AttributeError):
        cast("Any", make_rlock("thread")).owner = "me"
