"""Semaphores in the place of `threading`'s and `multiprocessing`'s."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import importlib
import io
import math
import multiprocessing
import pickle
import signal
import threading
import unittest
import weakref
from functools import partial
from multiprocessing import synchronize
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import pytest

from anylock import (
    LockTimeout,
    Semaphore,
    SemaphoreOverReleased,
    ThreadBoundedSemaphore,
    ThreadSemaphore,
    make_semaphore,
    synchronized,
)
from conditions import signalled_once
from permits import acquire, at_rest, bridged, enter, exit_, is_native, leave, make
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind
    from permits import BridgedSemaphore

bounds = pytest.mark.parametrize("bounded", [False, True])


# CPython's own tests

# What these tests look at is no behaviour.
INNER = {"test_repr": "wants the name of the class of threading"}


def use_in_a_task(semaphore: BridgedSemaphore) -> None:
    async def use() -> None:
        for _ in range(semaphore.value):
            async with semaphore:
                pass

    asyncio.run(use())


@pytest.mark.parametrize("after", [repr, use_in_a_task])
@pytest.mark.parametrize("cls", [ThreadSemaphore, ThreadBoundedSemaphore])
def test_the_whole_suite_of_cpython(
    cls: type[ThreadSemaphore], after: Callable[[BridgedSemaphore], object]
) -> None:
    try:
        module: Any = importlib.import_module("test.lock_tests")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")

    def semtype(*args: Any, **kwargs: Any) -> ThreadSemaphore:
        made = cls(*args, **kwargs)
        after(made)
        return made

    theirs = getattr(module, f"{cls.__name__.removeprefix('Thread')}Tests")
    case: Any = type("Tests", (theirs,), {"semtype": staticmethod(semtype)})
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    chosen = [name for name in names if name not in INNER]
    assert len(chosen) >= 11
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(
        unittest.TestSuite(case(name) for name in chosen)
    )
    assert result.wasSuccessful(), report.getvalue()
    assert result.skipped == []


# acquire and release


@bounds
def test_arguments_of_threading(*, bounded: bool) -> None:
    semaphore: Any = make_semaphore("thread", 2, bounded=bounded)
    assert semaphore.acquire(True, None)
    assert semaphore.acquire(blocking=True, timeout=1e300)
    for timeout in (0, -1, -1e9, 0.001, math.nan):
        assert semaphore.acquire(timeout=timeout) is False
    assert semaphore.acquire(False) is False
    assert semaphore.acquire(blocking=False, timeout=None) is False
    for timeout in (0, 1.0, -1):
        with pytest.raises(ValueError, match="can't specify timeout") as info:
            semaphore.acquire(False, timeout)
        with pytest.raises(ValueError, match="can't specify timeout") as theirs:
            threading.Semaphore().acquire(False, timeout)
        assert str(info.value) == str(theirs.value)
    with in_thread(lambda: until(lambda: semaphore.acquire(timeout=math.inf))):
        semaphore.release()
    semaphore.release(n=2)
    assert semaphore.value == 2


@bounds
def test_arguments_of_multiprocessing(*, bounded: bool) -> None:
    semaphore: Any = make_semaphore("process", 2, bounded=bounded)
    assert semaphore.acquire(True, None)
    assert semaphore.acquire(block=True, timeout=1e6)
    for timeout in (0, -1, -1e9, 0.001):
        assert semaphore.acquire(timeout=timeout) is False
    assert semaphore.acquire(False, 10) is False
    assert semaphore.acquire(block=False) is False
    assert semaphore.acquire(blocking=False) is False
    semaphore.release(n=2)
    assert semaphore.value == semaphore.get_value() == 2


@bridged
@pytest.mark.parametrize("n", [0, -1, 1.0, "1", None])
def test_release_of_no_number(kind: LockKind, n: Any) -> None:
    semaphore = make(kind, bounded=False)
    expected = ValueError if isinstance(n, int) else TypeError
    with pytest.raises(expected, match="n must be"):
        semaphore.release(n)
    assert semaphore.value == 1


@bridged
@pytest.mark.parametrize("value", [-1, 1.0, "1", None])
def test_no_such_value(kind: LockKind, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="value must"):
        make(kind, value)


@bridged
def test_release_makes_permits_where_it_is_not_bounded(kind: LockKind) -> None:
    semaphore = make(kind, 0, bounded=False)
    semaphore.release()
    semaphore.release(3)
    assert semaphore.value == 4
    acquire(semaphore, 4)
    assert semaphore.locked()
    assert not semaphore.try_acquire()


@bridged
@pytest.mark.parametrize("used", [False, True])
def test_release_too_often(kind: LockKind, *, used: bool) -> None:
    """Nothing is released then, whichever way out it is."""
    semaphore = make(kind, 3)
    if used:
        use_in_a_task(semaphore)
    for taken in range(3):
        with pytest.raises(SemaphoreOverReleased) as info:
            semaphore.release(taken + 1)
        assert info.value.bound == 3
        assert info.value.lock_name == "the-semaphore"
        assert isinstance(pickle.loads(pickle.dumps(info.value)), ValueError)  # noqa: S301
        if not taken:
            with pytest.raises(ValueError, match=r"released|permits"):
                semaphore.__exit__(None, None, None)
        assert semaphore.value == 3 - taken
        acquire(semaphore)
    semaphore.release(3)
    assert semaphore.value == 3


@bridged
@bounds
def test_with_an_exception(kind: LockKind, *, bounded: bool) -> None:
    semaphore = make(kind, bounded=bounded)
    for _ in range(3):
        with pytest.raises(OSError, match="out"), semaphore:
            raise OSError("out")
        with pytest.raises(OSError, match="out"), semaphore.hold(1):
            raise OSError("out")
        with semaphore.hold(1) as held:
            assert held is semaphore
    at_rest(semaphore, 1)


@bridged
def test_time_is_over_while_others_come_and_go(kind: LockKind) -> None:
    """Whoever is woken and finds that somebody was faster still keeps to its time.

    Up to Python 3.12 the queue under the thread kind waited for ever then.
    """
    semaphore = make(kind)
    over = False

    def come_and_go() -> None:
        while not over:
            with semaphore:
                for _ in range(2000):
                    pass

    with in_thread(come_and_go):
        try:
            ends = monotonic() + 0.5
            while monotonic() < ends:
                began = monotonic()
                if semaphore.acquire(timeout=0.01):
                    leave(semaphore)
                assert monotonic() - began < 1.0
        finally:
            over = True
    at_rest(semaphore, 1)


@bridged
def test_signal_handler_outlasts_the_time(kind: LockKind) -> None:
    semaphore = make(kind)
    acquire(semaphore)
    handled: list[float] = []

    def handle(*_signal: object) -> None:
        handled.append(monotonic())
        until(lambda: monotonic() > handled[-1] + 0.1)

    old = signal.signal(signal.SIGUSR1, handle)
    ident = threading.get_ident()
    rescue = threading.Timer(PATIENCE, leave, (semaphore,))
    send = threading.Timer(0.02, signal.pthread_kill, (ident, signal.SIGUSR1))
    try:
        rescue.start()
        send.start()
        assert not semaphore.acquire(timeout=0.05)
        with pytest.raises(LockTimeout), semaphore.hold(0.001):
            pass
    finally:
        rescue.cancel()
        send.join()
        signal.signal(signal.SIGUSR1, old)
    assert len(handled) == 1
    leave(semaphore)
    at_rest(semaphore, 1)


@bridged
def test_signal_handler_releases(kind: LockKind) -> None:
    semaphore = make(kind, 0, bounded=False)
    give = partial(semaphore.release, 2)
    with signalled_once(give) as send, in_thread(send), semaphore:
        pass
    assert semaphore.value == 2


# The small print


@bridged
@bounds
def test_it_is_a_semaphore(kind: LockKind, *, bounded: bool) -> None:
    semaphore = make(kind, 2, bounded=bounded)
    assert isinstance(semaphore, Semaphore)
    assert (semaphore.kind, semaphore.name) == (kind, "the-semaphore")
    assert is_native(semaphore)
    if kind == "process":
        cls = synchronize.BoundedSemaphore if bounded else synchronize.Semaphore
        assert isinstance(semaphore, cls)
    with semaphore, contextlib.ExitStack() as stack:
        assert not semaphore.locked()
        stack.enter_context(cast("Any", semaphore))
        assert semaphore.locked()
        assert semaphore.value == 0
        stack.pop_all().close()
        assert semaphore.value == 1
    assert semaphore.value == 2


@bridged
def test_synchronized(kind: LockKind) -> None:
    semaphore = make(kind, 2)
    lock: Any = semaphore

    @synchronized(lock)
    def function() -> int:
        return semaphore.value

    @synchronized(lock, timeout=1.0)
    async def coroutine() -> int:
        return semaphore.value

    assert function() == 1
    assert asyncio.run(coroutine()) == 1
    at_rest(semaphore, 2)


@bounds
def test_repr_of_the_thread_kind(*, bounded: bool) -> None:
    semaphore = make("thread", 3, bounded=bounded)
    name = type(semaphore).__name__
    for value in (3, 2):
        text = repr(semaphore)
        assert text.startswith(f"<anylock.{name} ")
        assert f"at {id(semaphore):#x}" in text
        assert f"value={value}" in text
        assert "'the-semaphore'" in text
        acquire(semaphore)


@bounds
def test_repr_is_that_of_multiprocessing(*, bounded: bool) -> None:
    model = (
        multiprocessing.BoundedSemaphore if bounded else multiprocessing.Semaphore
    )(3)
    ours = make_semaphore("process", 3, bounded=bounded)
    named = make("process", 3, bounded=bounded)
    expected = repr(model).replace("<", "<Process")
    assert repr(ours) == expected
    assert repr(named) == f"{expected[:-1]} name='the-semaphore'>"


@bridged
@bounds
def test_a_plain_one_is_in_no_cycle(kind: LockKind, *, bounded: bool) -> None:
    gc.disable()
    try:
        semaphore = make(kind, 2, bounded=bounded)
        with semaphore, semaphore.hold(1):
            pass
        gone = weakref.ref(semaphore)
        del semaphore
        assert gone() is None
    finally:
        gc.enable()


@bridged
@bounds
def test_one_that_tasks_used_can_be_collected(kind: LockKind, *, bounded: bool) -> None:
    async def contend(semaphore: BridgedSemaphore) -> None:
        async with semaphore:
            waiter = asyncio.ensure_future(enter(semaphore))
            await asyncio.sleep(0)
        await waiter
        await exit_(semaphore)

    semaphore = make(kind, bounded=bounded)
    asyncio.run(contend(semaphore))
    at_rest(semaphore, 1)
    gone = weakref.ref(semaphore)
    del semaphore
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
@bounds
def test_copies_are_refused(
    copied: Callable[[object], object], *, bounded: bool
) -> None:
    with pytest.raises(TypeError, match=r"make_semaphore\('process'\)"):
        copied(make("thread", bounded=bounded))
    with pytest.raises(RuntimeError, match="Pass the lock when the process"):
        copied(make("process", bounded=bounded))
