"""The locks on trio, where every acquire is a checkpoint, as of trio's own lock."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock

if TYPE_CHECKING:
    from anylock import LockKind


@pytest.fixture
def testing(trio: Any) -> Any:
    return importlib.import_module(f"{trio.__name__}.testing")


def test_acquire_in_a_nursery(trio: Any, testing: Any) -> None:
    async def main() -> None:
        lock = make_lock("async")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lock.acquire)
            nursery.start_soon(lock.acquire)
            await testing.wait_all_tasks_blocked()
            assert repr(lock).endswith("[locked, waiters:1]>")
            lock.release()
        lock.release()
        assert not lock.locked()
        with trio.move_on_after(0) as scope:
            await lock.acquire()
        assert scope.cancelled_caught
        assert not lock.locked()

    trio.run(main)


def test_checkpoints_on_trio(kind: LockKind, trio: Any, testing: Any) -> None:
    lock = make_lock(kind)

    async def main() -> None:
        with testing.assert_checkpoints():
            await lock.__aenter__()
        with testing.assert_no_checkpoints():
            await lock.__aexit__(None, None, None)
        with testing.assert_checkpoints():
            await lock.hold(1).__aenter__()
        with testing.assert_no_checkpoints():
            await lock.hold(1).__aexit__(None, None, None)
        with trio.CancelScope() as scope:
            scope.cancel()
            async with lock:
                pytest.fail("an acquire is a checkpoint, and this task is cancelled")
        assert scope.cancelled_caught
        assert not lock.locked()

    trio.run(main)


def test_checkpoints_of_acquire_on_trio(trio: Any, testing: Any) -> None:
    lock = make_lock("async")

    async def main() -> None:
        with testing.assert_checkpoints():
            assert await lock.acquire()
        with testing.assert_checkpoints():
            assert not await lock.acquire(blocking=False)
        with testing.assert_no_checkpoints():
            lock.release()

    trio.run(main)


def test_fast_acquire_on_trio(trio: Any, testing: Any) -> None:
    lock = make_lock("async", fast_acquire=True)

    async def wait() -> None:
        with testing.assert_checkpoints():  # it has to
            await lock.acquire()

    async def main() -> None:
        with testing.assert_no_checkpoints():
            async with lock:
                pass
            async with lock.hold(timeout=1):
                pass
            assert await lock.acquire()
            assert not await lock.acquire(blocking=False)
            lock.release()
        with trio.CancelScope() as scope:
            scope.cancel()
            await lock.acquire()
        assert not scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await testing.wait_all_tasks_blocked()
            lock.release()
        lock.release()

    trio.run(main)
    assert not lock.locked()
