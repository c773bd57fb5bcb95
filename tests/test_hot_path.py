"""Sync users run no Python code of ours, and pay for no more than they use."""

from __future__ import annotations

import threading
import tracemalloc

import anyio.lowlevel
import pytest

from anylock import ProcessLock, ThreadLock, make_lock
from backends import Backend, run
from staging import python_calls

BUILTIN = type(threading.Lock().acquire)

adapters = pytest.mark.parametrize("adapter", [ProcessLock, ThreadLock])


def use(lock: ProcessLock | ThreadLock) -> None:
    """Use the lock in every way that is native on its kind."""
    with lock:
        lock.locked()
    lock.__enter__()
    lock.release()
    # On the process kind acquire() is Python, because it takes `blocking=` as well.
    if isinstance(lock, ThreadLock):
        lock.acquire()
        lock.release()
        lock.acquire(blocking=False)
        lock.acquire(False)
        lock.acquire(True, 0)
        lock.release()


def assert_native(lock: ProcessLock | ThreadLock) -> None:
    for name in ("__enter__", "__exit__", "locked", "release"):
        assert isinstance(getattr(lock, name), BUILTIN), name
    assert isinstance(lock.acquire, BUILTIN) == (lock.kind == "thread")


@adapters
def test_no_python_runs(adapter: type[ProcessLock | ThreadLock]) -> None:
    lock = adapter()
    assert_native(lock)
    assert python_calls(use, lock) == ["use"]
    # The measurement would see it:
    assert python_calls(type(lock).try_acquire, lock)[0] == "try_acquire"


@adapters
def test_no_python_runs_after_tasks_have_left(
    adapter: type[ProcessLock | ThreadLock], backend: Backend
) -> None:
    lock = adapter()

    async def contend() -> None:
        async with lock:
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            for _ in range(5):
                tasks.start_soon(contend)
            await anyio.lowlevel.checkpoint()

    run(backend, main)
    assert_native(lock)
    assert python_calls(use, lock) == ["use"]


@adapters
def test_slots_are_native_but_for_the_time_of_tasks(
    adapter: type[ProcessLock | ThreadLock], backend: Backend
) -> None:
    lock = adapter()

    async def main() -> None:
        async with lock:
            assert not isinstance(lock.acquire, BUILTIN)
            assert not isinstance(lock.release, BUILTIN)
            assert not isinstance(lock.__enter__, BUILTIN)
        assert_native(lock)
        await lock.__aenter__()
        lock.release()
        assert_native(lock)

    run(backend, main)
    assert_native(lock)


def test_a_thread_lock_is_small() -> None:
    locks: list[ThreadLock | None] = [None] * 1000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for index in range(len(locks)):
            locks[index] = make_lock("thread")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Everything counts: the object, the inner lock, and its bound methods.
    assert (after - before) / len(locks) <= 700
