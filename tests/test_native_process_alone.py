"""ProcessLock's small print: what it refuses, what it shows, what it leaves behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import threading
import weakref
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockNotHeldError, ProcessLock, make_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def process_lock() -> ProcessLock:
    return make_lock("process", name="inventory")


def use(lock: ProcessLock) -> None:
    with lock:
        pass


# What cannot be


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused(
    process_lock: ProcessLock, copied: Callable[[object], object]
) -> None:
    with pytest.raises(RuntimeError) as theirs:
        copied(multiprocessing.Lock())
    with pytest.raises(RuntimeError) as ours:
        copied(process_lock)
    reason = str(theirs.value).replace("Lock objects", "ProcessLock objects")
    assert str(ours.value).startswith(reason)
    assert "Process(args=(lock,))" in str(ours.value)
    assert "Pool(initializer=..., initargs=(lock,))" in str(ours.value)


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_lock_of_fork_for_a_child_that_is_not_forked(start_method: str) -> None:
    # Its semaphore has no name any more, by which the child could find it.
    context: Any = multiprocessing.get_context(start_method)
    lock = make_lock("process", context=multiprocessing.get_context("fork"))
    child = context.Process(target=use, args=(lock,))
    try:
        with pytest.raises(RuntimeError, match="fork context") as info:
            child.start()
        assert "context that the lock was made for" in str(info.value)
    finally:
        if child.pid is not None:
            child.join()
    with lock:
        pass


def test_release_of_a_free_lock(process_lock: ProcessLock) -> None:
    with pytest.raises(ValueError, match="too many times") as theirs:
        multiprocessing.Lock().release()
    for leave in process_lock.release, lambda: process_lock.__exit__(None, None, None):
        with pytest.raises(ValueError, match="too many times") as ours:
            leave()
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value)


def test_release_while_tasks_are_about(process_lock: ProcessLock) -> None:
    async def main() -> None:
        async with process_lock:
            release = process_lock.release
            release()
            # The careful method: where Python runs anyway, the error is ours.
            with pytest.raises(LockNotHeldError, match="'inventory' is not held"):
                release()
            assert await process_lock.__aenter__() is None  # type: ignore[func-returns-value]

    anyio.run(main)
    assert not process_lock.locked()


# The small print


def test_it_is_a_lock_of_multiprocessing(process_lock: ProcessLock) -> None:
    assert isinstance(process_lock, synchronize.Lock)
    assert isinstance(process_lock, synchronize.SemLock)
    with process_lock as entered:
        assert entered is True
    with process_lock.hold() as lock:
        assert lock is process_lock


def test_repr_is_that_of_multiprocessing() -> None:
    lock, model = make_lock("process"), multiprocessing.Lock()
    named = make_lock("process", name="inventory")

    def assert_alike() -> None:
        assert repr(lock) == repr(model).replace("<Lock", "<ProcessLock")
        assert repr(named) == repr(lock)[:-1] + " name='inventory'>"

    assert_alike()
    with lock, model, named:
        assert_alike()
        thread = threading.Thread(target=assert_alike)
        thread.start()
        thread.join()
    assert_alike()


def test_weak_references() -> None:
    lock = make_lock("process")
    reference = weakref.ref(lock)
    assert reference() is lock
    del lock
    gc.collect()
    assert reference() is None


PROGRAM = """
import asyncio, multiprocessing, sys
from anylock import make_lock

at_module_level = make_lock("process")

async def in_task(lock):
    async with lock:
        waiting = asyncio.create_task(lock.__aenter__())
        await asyncio.sleep(0)
    await waiting
    await lock.__aexit__(None, None, None)

def use(lock):
    with lock, at_module_level:
        pass
    asyncio.run(in_task(lock))

def main():
    context = multiprocessing.get_context(sys.argv[1])
    lock = make_lock("process", context=context)
    held = make_lock("process", context=context)
    held.acquire()
    children = [context.Process(target=use, args=(lock,)) for _ in range(2)]
    for child in children:
        child.start()
    use(lock)
    for child in children:
        child.join()
    print([child.exitcode for child in children])

if __name__ == "__main__":
    main()
"""


def test_nothing_is_left_behind(start_method: str, tmp_path: Path) -> None:
    # A semaphore that leaked would be reported by the resource tracker at exit.
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program, start_method],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "[0, 0]\n"


def test_the_helper_ends_before_its_process_does() -> None:
    """Or it takes the lock when no thread of the process runs any more."""
    lock = make_lock("process")
    waits: list[Any] = []

    async def wait() -> None:
        waits.append(lock.__aenter__())
        waits[0].send(None)

    with lock:
        asyncio.run(wait())
        bridge = lock._bridge
        assert bridge is not None
        assert bridge._helping
        bridge.retire()  # as at the end of the process
        assert not bridge._helping
    assert not lock.locked()
    waits[0].close()
    assert lock.try_acquire()
    lock.release()
