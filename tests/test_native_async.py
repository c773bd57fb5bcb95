"""AsyncLock in the place of `asyncio.Lock`."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import io
import pickle
import sys
import unittest
import weakref
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

import anylock
from anylock import (
    AsyncLock,
    LockNotHeldError,
    LockTimeout,
    WouldDeadlock,
    make_lock,
)
from backends import BACKENDS, Backend, require, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

ASYNCIO = [backend for backend in BACKENDS if backend.library == "asyncio"]
TIMED_OUT = asyncio.TimeoutError  # TimeoutError itself since Python 3.11


@pytest.fixture(params=ASYNCIO, ids=str)
def asyncio_backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    require(backend)
    return backend


class Lock(AsyncLock):
    """By this name CPython's tests know it."""

    __slots__ = ()


class Condition(asyncio.Condition):
    def __init__(self, lock: Any = None, **options: Any) -> None:
        default: Any = Lock()
        super().__init__(default if lock is None else lock, **options)


# What these tests look at is no behaviour.
INNER = {
    "LockTests.test_cancel_race": "indexes asyncio.Lock's own deque of futures",
    "ConditionTests.test_ambiguous_loops": "sets asyncio.Lock's own attribute _loop",
}
if sys.version_info < (3, 11):
    INNER["LockTests.test_lock_doesnt_accept_loop_parameter"] = (
        "wants the words by which asyncio says that it took `loop` once"
    )


@pytest.mark.parametrize("suite", ["LockTests", "ConditionTests"])
def test_the_whole_suite_of_cpython(
    suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        module: Any = importlib.import_module("test.test_asyncio.test_locks")
    except ImportError:
        pytest.skip("this Python comes without its own tests (the package `test`)")
    monkeypatch.setattr(asyncio, "Lock", Lock)
    monkeypatch.setattr(asyncio, "Condition", Condition)
    case: type[unittest.TestCase] = getattr(module, suite)
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    chosen = [name for name in names if f"{suite}.{name}" not in INNER]
    assert len(chosen) >= 10
    report = io.StringIO()
    result = unittest.TextTestRunner(report, verbosity=2).run(
        unittest.TestSuite(case(name) for name in chosen)
    )
    assert result.wasSuccessful(), report.getvalue()
    assert result.testsRun == len(chosen)


def test_cancelled_head_at_the_release(asyncio_backend: Backend) -> None:
    # What test_cancel_race above is about, without a look inside.
    lock = make_lock("async")

    async def main() -> None:
        await lock.acquire()
        head = asyncio.create_task(lock.acquire())
        after = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        head.cancel()
        lock.release()
        assert await after
        assert head.cancelled()
        lock.release()

    run(asyncio_backend, main)
    assert not lock.locked()


# What asyncio builds on a lock


def condition_on(lock: Any) -> asyncio.Condition:
    # typeshed wants an asyncio.Lock: `Any` is what users write too.
    return asyncio.Condition(lock)


def test_condition(asyncio_backend: Backend) -> None:
    async def main() -> None:
        lock = make_lock("async")
        condition = condition_on(lock)
        baskets: list[int] = []
        eaten: list[int] = []

        async def eat() -> None:
            for _ in range(20):
                async with condition:
                    await condition.wait_for(lambda: bool(baskets))
                    eaten.append(baskets.pop())

        async def fill() -> None:
            for number in range(60):
                async with lock:
                    baskets.append(number)
                    condition.notify()
                await asyncio.sleep(0)

        await asyncio.gather(eat(), eat(), eat(), fill())
        assert sorted(eaten) == list(range(60))
        assert not lock.locked()
        with pytest.raises(RuntimeError, match=r"un-?acquired lock"):
            condition.notify()
        with pytest.raises(RuntimeError, match=r"un-?acquired lock"):
            await condition.wait()

    run(asyncio_backend, main)


def test_condition_whose_waiter_is_cancelled(asyncio_backend: Backend) -> None:
    async def main() -> None:
        lock = make_lock("async")
        condition = condition_on(lock)

        async def wait() -> None:
            async with condition:
                await condition.wait()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        async with lock:
            waiting.cancel()
            await asyncio.sleep(0)  # it wants the lock back before it ends
            assert not waiting.done()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not lock.locked()

    run(asyncio_backend, main)


def test_wait_for_a_free_lock(asyncio_backend: Backend) -> None:
    # Up to Python 3.11 it acquires in another task, which is gone at the release.
    async def main() -> None:
        lock = make_lock("async")
        for _ in range(3):
            assert await asyncio.wait_for(lock.acquire(), 30) is True
            assert lock.locked()
            lock.release()
        assert await asyncio.wait_for(lock.acquire(), None) is True
        lock.release()
        assert not lock.locked()

    run(asyncio_backend, main)


def test_wait_for_a_taken_lock(asyncio_backend: Backend) -> None:
    async def main() -> None:
        lock = make_lock("async")

        async def hold(release: asyncio.Event) -> None:
            async with lock:
                await release.wait()

        release = asyncio.Event()
        holder = asyncio.create_task(hold(release))
        await asyncio.sleep(0)
        for timeout in (0, 0.001):
            with pytest.raises(TIMED_OUT):
                await asyncio.wait_for(lock.acquire(), timeout)
            assert repr(lock).endswith("[locked]>")
        asyncio.get_running_loop().call_soon(release.set)
        assert await asyncio.wait_for(lock.acquire(), 30) is True
        await holder
        assert lock.locked()
        lock.release()
        assert not lock.locked()

    run(asyncio_backend, main)


def test_acquire_in_a_task_of_its_own(asyncio_backend: Backend) -> None:
    async def main() -> None:
        lock = make_lock("async")
        first = asyncio.create_task(lock.acquire())
        second = asyncio.create_task(lock.acquire())
        third = asyncio.ensure_future(lock.acquire())
        assert await first is True
        assert not second.done()
        lock.release()  # of what another task acquired
        assert await second is True
        lock.release()
        assert await asyncio.wait([third]) == ({third}, set())
        lock.release()
        assert not lock.locked()

    run(asyncio_backend, main)


# The small print


@pytest.mark.parametrize("fast_acquire", [False, True])
def test_no_checkpoint_on_asyncio(
    asyncio_backend: Backend, *, fast_acquire: bool
) -> None:
    locks: list[anylock.Lock] = [
        make_lock("thread"),
        make_lock("async", fast_acquire=fast_acquire),
    ]

    async def main() -> None:
        for lock in locks:
            others: list[int] = []
            asyncio.get_running_loop().call_soon(others.append, 1)
            async with lock:
                pass
            async with lock.hold(1):
                pass
            assert others == []
            await asyncio.sleep(0)
            assert others == [1]

    run(asyncio_backend, main)


def test_what_async_with_gives(kind: LockKind, backend: Backend) -> None:
    async def main() -> None:
        lock: Any = make_lock(kind)
        async with lock as entered:
            assert entered is None
        async with lock.hold() as entered:
            assert entered is lock

    run(backend, main)


def test_a_task_that_waits_for_itself(backend: Backend) -> None:
    lock = make_lock("async", name="inventory")

    async def main() -> None:
        async with lock:
            with pytest.raises(WouldDeadlock, match=r"'inventory'.*this task holds it"):
                await lock.acquire()
            with pytest.raises(WouldDeadlock, match="release it first"):
                async with lock:
                    pass
            # These come to an end.
            assert await lock.acquire(timeout=0.001) is False
            assert await lock.acquire(blocking=False) is False
            with pytest.raises(LockTimeout):
                async with lock.hold(0.001):
                    pass
            assert repr(lock).endswith("[locked]>")

    run(backend, main)
    assert not lock.locked()


def test_repr_is_that_of_asyncio(asyncio_backend: Backend) -> None:
    async def main() -> None:
        lock, model = make_lock("async"), asyncio.Lock()

        def assert_alike(state: str) -> None:
            assert repr(lock).endswith(f" [{state}]>")
            assert repr(model).endswith(f" [{state}]>")
            assert repr(lock).startswith("<anylock.AsyncLock object at 0x")

        assert_alike("unlocked")
        await lock.acquire()
        await model.acquire()
        assert_alike("locked")
        waiting: list[asyncio.Task[bool]] = []
        for number in (1, 2):
            waiting += map(asyncio.create_task, [lock.acquire(), model.acquire()])
            await asyncio.sleep(0)
            assert_alike(f"locked, waiters:{number}")
        for task in waiting[2:]:
            task.cancel()
        await asyncio.wait(waiting[2:])
        lock.release()
        model.release()
        await asyncio.wait(waiting)
        assert_alike("locked")

    run(asyncio_backend, main)


def test_release_of_a_free_lock() -> None:
    lock = make_lock("async")
    with pytest.raises(RuntimeError):
        asyncio.Lock().release()
    with pytest.raises(LockNotHeldError):
        lock.release()
    assert repr(lock).endswith("[unlocked]>")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot pickle an AsyncLock") as info:
        copied(make_lock("async"))
    assert "make_lock('process')" in str(info.value)


def test_weak_references() -> None:
    lock = make_lock("async")
    reference = weakref.ref(lock)
    assert reference() is lock
    del lock
    gc.collect()
    assert reference() is None


def test_a_fresh_lock_serves_one_loop_after_the_other() -> None:
    lock = make_lock("async")

    async def contend() -> None:
        async with lock:
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(contend)

    for backend in (*ASYNCIO, *BACKENDS):
        try:
            require(backend)
        except pytest.skip.Exception:
            continue
        run(backend, main)
    assert not lock.locked()
