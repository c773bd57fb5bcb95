"""Re-entrant locks in forked children, however deep, and whoever holds them."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockNotHeldError, LockTimeout, WouldDeadlock, make_rlock
from backends import Backend, run
from children import Child, Signal, in_child
from depths import (
    NOT_HELD,
    held_by_a_thread,
    in_another_task,
    in_worker,
    on_loan,
    own,
    rlock,
    visits,
)
from staging import (
    PATIENCE,
    all_done,
    assert_at_rest,
    granted,
    in_thread,
    queued,
    until,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock
    from depths import BridgedRLock

__all__ = ["rlock"]

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
lent_or_not = pytest.mark.parametrize("lent", [False, True], ids=["direct", "lent"])
bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def assert_unused(lock: BridgedRLock) -> None:
    assert waiting(lock) == 0
    assert_at_rest(lock)
    in_worker(lambda: asyncio.run(all_done(*visits(lock, [], 1, 2))))
    assert_at_rest(lock)


@forks
@lent_or_not
def test_fork_in_the_task_that_holds(backend: Backend, *, lent: bool) -> None:
    """The child goes on as deep as the task was, and leaves; of kind "thread"."""
    lock = make_rlock("thread")
    reset = make_rlock("thread", reset_after_fork=True)

    def child() -> None:
        assert lock._is_owned()
        in_worker(lambda: refused(lock))
        with lock:
            assert lock.try_acquire()
            lock.release()
        in_child(lock.release)
        for _ in range(4):
            assert lock.locked()
            lock.release()
        with pytest.raises(NOT_HELD):
            lock.release()
        assert_unused(lock)
        assert_unused(reset)

    async def body() -> None:
        async with lock, lock.hold(0):
            await own(reset, lent=lent, body=fork)

    async def fork() -> None:
        async with reset:
            in_child(child_of_another)

    def child_of_another() -> None:
        assert not reset.locked()

    async def main() -> None:
        await own(lock, lent=lent, body=body)
        order: list[Any] = []

        async def held() -> None:
            async with lock, lock.hold(0):
                with lock:
                    in_child(child)
            order.append("held")

        async with anyio.create_task_group() as group:
            if not lent:
                group.start_soon(lambda: own(lock, lent=False, body=held))
            else:
                with held_by_a_thread(lock) as leave:
                    group.start_soon(lambda: own_now(lock, held))
                    await queued(lock)
                    leave()
        assert order == ["held"]
        assert_at_rest(lock)

    run(backend, main)


async def own_now(lock: BridgedRLock, body: Callable[[], Any]) -> None:
    async with lock:
        assert on_loan(lock)
        await body()


def refused(lock: Lock) -> None:
    assert not lock.try_acquire()
    with pytest.raises(LockTimeout), lock.hold(0.001):
        pass


@forks
@lent_or_not
def test_fork_in_another_task_of_the_thread(backend: Backend, *, lent: bool) -> None:
    """In the child, too, it is not the owner, whose turn never ends there."""
    lock = make_rlock("thread")

    def child() -> None:
        assert not lock.try_acquire()
        with pytest.raises(LockTimeout), lock.hold(0.001):
            pass
        with pytest.raises(WouldDeadlock), lock:
            pass
        with pytest.raises(LockNotHeldError):
            lock.release()
        lock._at_fork_reinit()
        assert_unused(lock)

    async def main() -> None:
        async def body() -> None:
            await in_another_task(lambda: in_child(child))

        await own(lock, lent=lent, body=body)
        assert_at_rest(lock)

    run(backend, main)


@forks
@pytest.mark.parametrize("reset", [False, True])
def test_fork_with_waiters(backend: Backend, *, reset: bool) -> None:
    """The old bridge, kept alive by those who wait in the parent, does no harm."""
    lock = make_rlock("thread", reset_after_fork=reset)

    def child() -> None:
        if reset:
            assert not lock.locked()
        else:
            lock.release()
        with lock:
            # In the grandchild as well: the lock of the child is nothing to it.
            in_child(lambda: None if reset else still_mine(lock))
        assert_unused(lock)

    async def main() -> None:
        order: list[Any] = []
        async with anyio.create_task_group() as group:

            async def body() -> None:
                for visit in visits(lock, order, 1, 2):
                    group.start_soon(visit)
                await queued(lock, 2)
                in_child(child)

            await own(lock, lent=True, body=body)
        assert len(order) == 2
        assert_at_rest(lock)

    run(backend, main)


def still_mine(lock: BridgedRLock) -> None:
    assert lock.locked()
    in_worker(lambda: refused(lock))
    with lock:
        pass
    lock.release()
    assert not lock.locked()


@forks
def test_fork_while_a_task_is_granted(backend: Backend) -> None:
    """The grant is the parent's; what the child takes, its own child has as well."""
    lock = make_rlock("thread")

    def child() -> None:
        with lock:
            in_child(lambda: still_mine(lock))
        assert_unused(lock)

    async def main() -> None:
        order: list[Any] = []
        async with anyio.create_task_group() as group:
            with held_by_a_thread(lock) as leave:
                for visit in visits(lock, order, 1, 2):
                    group.start_soon(visit)
                await queued(lock, 2)
                leave()
                until(lambda: granted(lock))
                in_child(child)
        assert len(order) == 2
        assert_at_rest(lock)

    run(backend, main)


@forks
def test_fork_in_another_thread(rlock: BridgedRLock) -> None:
    """Who holds is not there: of kind "thread" it stays held, and may be reset."""
    holds, leave = threading.Event(), threading.Event()

    def child() -> None:
        refused(rlock)
        with pytest.raises(NOT_HELD):
            rlock.release()
        if rlock.kind == "thread":
            rlock._at_fork_reinit()
            assert_unused(rlock)

    async def one() -> None:
        async with rlock, rlock:
            holds.set()
            await asyncio.to_thread(leave.wait, PATIENCE)

    with in_thread(lambda: asyncio.run(all_done(one, one))):
        assert holds.wait(PATIENCE)
        until(lambda: waiting(rlock) == 1)
        in_child(child)
        in_child(lambda: in_child(child))
        leave.set()
    with held_by_a_thread(rlock):
        in_child(child)
    assert_at_rest(rlock)


@forks
@pytest.mark.parametrize("owner", ["thread", "other thread", "direct", "lent"])
def test_process_lock_in_a_child_by_fork_alone(backend: Backend, owner: str) -> None:
    """Without `multiprocessing`, too, the parent holds it, and the child waits."""
    lock = make_rlock("process")
    told = Signal()

    def child() -> None:
        refused(lock)
        with pytest.raises(NOT_HELD):
            lock.release()
        told.set()
        with lock.hold(PATIENCE), lock:
            in_worker(lambda: refused(lock))
        in_worker(lambda: asyncio.run(all_done(*visits(lock, [], 1, 2))))
        assert_at_rest(lock)

    children: list[Child] = []

    def fork() -> None:
        children.append(Child(child))
        told.wait()

    async def body() -> None:
        async with lock:
            with lock:
                fork()

    async def main() -> None:
        if owner == "thread":
            with lock, lock:
                fork()
        elif owner == "other thread":
            with held_by_a_thread(lock):
                fork()
        else:
            await own(lock, lent=owner == "lent", body=body)

    try:
        run(backend, main)
        children[0].join()
    finally:
        told.close()
    assert_at_rest(lock)
