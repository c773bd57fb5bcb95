"""AsyncRLock: its owner enters again, and nobody else enters meanwhile."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    AsyncRLock,
    LockNotHeldError,
    LockTimeout,
    WouldDeadlock,
    make_rlock,
)
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from reentries import assert_at_rest, depth, queued
from staging import PATIENCE, Section, all_done

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = range(4)
on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)


@pytest.fixture
def lock() -> AsyncRLock:
    return make_rlock("async", name="tree")


async def enter(lock: AsyncRLock, way: str) -> None:
    if way == "async with":
        await lock.__aenter__()
    elif way == "acquire":
        assert await lock.acquire() is True
    elif way == "acquire within":
        assert await lock.acquire(timeout=60) is True
    elif way == "hold":
        assert await lock.hold(60).__aenter__() is lock
    elif way == "try":
        assert lock.try_acquire()
    else:
        assert lock.__enter__() is True


WAYS = ["async with", "acquire", "acquire within", "hold", "try", "with"]


# Who holds it enters again


@pytest.mark.parametrize("way", WAYS)
def test_enters_again(backend: Backend, lock: AsyncRLock, way: str) -> None:
    async def main() -> None:
        await enter(lock, "async with")
        await enter(lock, way)
        await enter(lock, way)
        assert depth(lock) == 3
        assert repr(lock).endswith("name='tree' [locked, depth:3]>")
        lock.release()
        await lock.__aexit__(None, None, None)
        assert depth(lock) == 1
        lock.__exit__(None, None, None)
        assert_at_rest(lock)
        with pytest.raises(LockNotHeldError, match="'tree'"):
            lock.release()
        with pytest.raises(LockNotHeldError, match="'tree'"):
            await lock.__aexit__(None, None, None)

    run(backend, main)


def test_no_other_task_gets_in(backend: Backend, lock: AsyncRLock) -> None:
    section = Section()

    async def one() -> None:
        for _ in range(10):
            async with lock:
                with section:
                    await checkpoint()
                    async with lock, lock.hold(PATIENCE):
                        await checkpoint()
                    await checkpoint()

    run(backend, all_done, *[one] * 5)
    assert section.overlaps == 0
    assert section.count == 50
    assert_at_rest(lock)


def test_who_does_not_hold_it(backend: Backend, lock: AsyncRLock) -> None:
    async def stranger() -> None:
        for release in (lock.release, partial(lock.__exit__, None, None, None)):
            with pytest.raises(LockNotHeldError):
                release()
        with pytest.raises(LockNotHeldError):
            await lock.__aexit__(None, None, None)
        assert not lock.try_acquire()
        assert await lock.acquire(blocking=False) is False
        assert await lock.acquire(timeout=0.001) is False
        with pytest.raises(LockTimeout, match="'tree'"):
            async with lock.hold(0):
                pytest.fail("another task holds it")
        with pytest.raises(WouldDeadlock, match="use 'async with'"):
            lock.__enter__()

    async def main() -> None:
        async with lock, lock:
            await all_done(stranger)
            assert depth(lock) == 2
        with pytest.raises(WouldDeadlock, match="use 'async with'"):
            lock.__enter__()

    run(backend, main)
    assert_at_rest(lock)


def test_first_come_first_served(backend: Backend, lock: AsyncRLock) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        async with lock:
            order.append(number)
            async with lock:
                await checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            for number in range(5):
                tasks.start_soon(one, number)
                await queued(lock, number + 1)
            async with lock:
                pass
            await checkpoint()
            assert order == []

    run(backend, main)
    assert order == [0, 1, 2, 3, 4]
    assert_at_rest(lock)


def test_granted_but_not_held_yet(backend: Backend, lock: AsyncRLock) -> None:
    async def one() -> None:
        async with lock, lock:
            pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            async with lock:
                tasks.start_soon(one)
                await queued(lock)
            assert lock.locked()
            assert not lock.try_acquire()
            with pytest.raises(LockNotHeldError):
                lock.release()

    run(backend, main)
    assert_at_rest(lock)


@on_asyncio
def test_a_dead_owner_has_no_heir(backend: Backend) -> None:
    # Up to some point the ids of tasks are used again at once.
    async def main() -> None:
        lock = AsyncRLock()
        task = asyncio.ensure_future(lock.acquire())
        assert await task
        del task
        for _ in range(200):
            gc.collect(0)
            stranger = asyncio.ensure_future(lock.acquire(blocking=False))
            assert await stranger is False
        with pytest.raises(LockNotHeldError):
            lock.release()

    run(backend, main)


@on_asyncio
def test_wait_for_acquires_in_its_own_task_up_to_3_11(backend: Backend) -> None:
    async def main() -> None:
        lock = AsyncRLock()
        assert await asyncio.wait_for(lock.acquire(), 30)
        if sys.version_info < (3, 12):
            with pytest.raises(LockNotHeldError):
                lock.release()
        else:
            lock.release()
            assert_at_rest(lock)
        mine = AsyncRLock()
        assert await mine.acquire(timeout=30)
        mine.release()
        assert_at_rest(mine)

    run(backend, main)


def test_an_error_in_the_body(backend: Backend, lock: AsyncRLock) -> None:
    async def main() -> None:
        async with lock:
            with pytest.raises(OSError, match="body"):
                async with lock.hold(1), lock:
                    raise OSError("body")
            assert depth(lock) == 1

    run(backend, main)
    assert_at_rest(lock)


# Cancelled


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_cancelled_at_every_step(backend: Backend, timeout: float | None) -> None:
    async def stage(release: int, cancel: int, victim: int, *, first: bool) -> None:
        lock = AsyncRLock()
        section = Section()
        entered: set[int] = set()
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def one(number: int) -> None:
            with scopes[number]:
                async with lock if timeout is None else lock.hold(timeout), lock:
                    with section:
                        await checkpoint()
                        async with lock:
                            await checkpoint()
                entered.add(number)

        await lock.acquire()
        await lock.acquire()
        lock.release()
        script: dict[int, list[Callable[[], object]]] = {}
        script.setdefault(cancel, []).append(scopes[victim].cancel)
        at = script.setdefault(release, [])
        at.insert(0 if first else len(at), lock.release)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(one, number)
            for step in STEPS:
                for action in script.get(step, []):
                    action()
                await checkpoint()
        assert entered | {victim} == {0, 1, 2}
        assert section.overlaps == 0
        assert_at_rest(lock)

    async def main() -> None:
        for release, cancel, victim, first in product(
            STEPS, STEPS, (0, 1), (False, True)
        ):
            with anyio.fail_after(PATIENCE):
                await stage(release, cancel, victim, first=first)

    run(backend, main)


def test_a_thousand_cancelled_at_once(backend: Backend, lock: AsyncRLock) -> None:
    async def main() -> None:
        async with lock, lock, anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(lock.__aenter__)
            await queued(lock, 1000)
            tasks.cancel_scope.cancel()
        assert_at_rest(lock)

    run(backend, main)


def test_cancelled_when_it_enters_again(trio: Any, lock: AsyncRLock) -> None:
    async def main() -> None:
        async with lock:
            with trio.CancelScope() as scope:
                scope.cancel()
                await lock.acquire()
            assert scope.cancelled_caught
            assert depth(lock) == 1
            entering = lock.acquire()
            entering.send(None)  # to the checkpoint, where nobody drives it on
            assert depth(lock) == 2
            entering.close()
            assert depth(lock) == 1

    trio.run(main)
    assert_at_rest(lock)


@pytest.mark.parametrize("fast", [False, True])
def test_checkpoints_on_trio(trio: Any, *, fast: bool) -> None:
    testing: Any = importlib.import_module("trio.testing")
    lock = make_rlock("async", fast_acquire=fast)
    expected = testing.assert_no_checkpoints if fast else testing.assert_checkpoints

    async def main() -> None:
        for way in WAYS[:4] * 2:
            with expected():
                await enter(lock, way)
        for _ in range(4):
            with testing.assert_no_checkpoints():
                await lock.__aexit__(None, None, None)
                lock.release()

    trio.run(main)
    assert_at_rest(lock)


@on_asyncio
def test_no_checkpoint_on_asyncio(backend: Backend, lock: AsyncRLock) -> None:
    async def main() -> None:
        others: list[int] = []
        asyncio.get_running_loop().call_soon(others.append, 1)
        for way in WAYS:
            await enter(lock, "acquire")
            await enter(lock, way)
            lock.release()
            lock.release()
        assert others == []

    run(backend, main)
