"""Re-entrant locks under cancellation, time-outs, and errors in what they guard."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout
from backends import Backend, run
from depths import (
    assert_outside,
    held_by_a_thread,
    in_another_task,
    on_loan,
    own,
    rbridge_of,
    rlock,
    visits,
)
from staging import (
    PATIENCE,
    Section,
    all_done,
    assert_at_rest,
    enter,
    granted,
    queued,
    until,
    until_in_task,
    waiting,
)

if TYPE_CHECKING:
    from depths import BridgedRLock

__all__ = ["rlock"]

STEPS = range(4)
timeouts = pytest.mark.parametrize("timeout", [None, 60.0])


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Raised in a body."""


class Queue:
    """Three tasks that want the lock, several levels deep, and can be cancelled."""

    def __init__(self, lock: BridgedRLock, timeout: float | None) -> None:
        self.lock = lock
        self.timeout = timeout
        self.section = Section()
        self.entered: set[int] = set()
        self.scopes = [anyio.CancelScope() for _ in range(3)]

    async def one(self, number: int) -> None:
        lock, timeout = self.lock, self.timeout
        with self.scopes[number]:
            async with lock if timeout is None else lock.hold(timeout):
                with self.section:
                    async with lock:
                        with lock:
                            await checkpoint()
                self.entered.add(number)

    def check(self, cancelled: int) -> None:
        assert self.entered | {cancelled} == {0, 1, 2}
        assert self.section.overlaps == 0
        assert_at_rest(self.lock)


@timeouts
def test_cancelled_at_every_step(
    backend: Backend, rlock: BridgedRLock, timeout: float | None
) -> None:
    """A task leaves and a waiter is cancelled at every pair of moments there is."""

    async def stage(leave: int, cancel: int, victim: int) -> None:
        queue = Queue(rlock, timeout)
        async with anyio.create_task_group() as tasks:
            async with rlock:
                for number in range(3):
                    tasks.start_soon(queue.one, number)
                await queued(rlock, 3)
                if cancel < leave:
                    queue.scopes[victim].cancel()
                for _ in range(leave):
                    await checkpoint()
            for _ in range(cancel - leave):
                await checkpoint()
            queue.scopes[victim].cancel()
        queue.check(victim)

    async def main() -> None:
        for leave, cancel, victim in product(STEPS, STEPS, (0, 1)):
            with anyio.fail_after(PATIENCE):
                await stage(leave, cancel, victim)

    run(backend, main)


@timeouts
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("when", ["before", "granted", "resumed"])
def test_cancelled_about_a_grant(
    backend: Backend, rlock: BridgedRLock, timeout: float | None, victim: int, when: str
) -> None:
    async def main() -> None:
        queue = Queue(rlock, timeout)
        with held_by_a_thread(rlock) as leave:
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(queue.one, number)
                await queued(rlock, 3)
                if when == "before":
                    queue.scopes[victim].cancel()
                leave()
                until(lambda: granted(rlock))  # no task runs meanwhile
                assert on_loan(rlock)
                if when == "resumed":
                    await until_in_task(lambda: queue.section.inside)
                queue.scopes[victim].cancel()
        queue.check(victim)

    run(backend, main)


def test_reentry_cancelled_at_its_checkpoint(trio: Any, rlock: BridgedRLock) -> None:
    """Trio's re-entry is a checkpoint: cancelled there, it has not been entered."""

    async def main() -> None:
        async with rlock:
            with trio.CancelScope() as scope:
                scope.cancel()
                await enter(rlock)
            assert scope.cancelled_caught
            assert rbridge_of(rlock).depth == 0
            with trio.CancelScope() as scope:
                scope.cancel()
                await enter(rlock, 60.0)
            assert rbridge_of(rlock).depth == 0
            entering = enter(rlock)
            entering.send(None)
            assert rbridge_of(rlock).depth == 1
            entering.close()
            assert rbridge_of(rlock).depth == 0
            await in_another_task(lambda: assert_outside(rlock))
        assert_at_rest(rlock)

    trio.run(main)


def test_a_thousand_waiters_cancelled_at_once(
    backend: Backend, rlock: BridgedRLock
) -> None:
    order: list[Any] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            async with rlock, rlock:
                async with anyio.create_task_group() as crowd:
                    for _ in range(1000):
                        crowd.start_soon(enter, rlock)
                    await queued(rlock, 1000)
                    for survivor in visits(rlock, order, "survivor"):
                        tasks.start_soon(survivor)
                    await queued(rlock, 1001)
                    crowd.cancel_scope.cancel()
                assert waiting(rlock) == 1
            with anyio.fail_after(PATIENCE):
                await until_in_task(lambda: order)
        assert_at_rest(rlock)

    run(backend, main)


@pytest.mark.parametrize("lent", [False, True])
def test_times_out_while_queued(
    backend: Backend, rlock: BridgedRLock, *, lent: bool
) -> None:
    order: list[Any] = []

    async def late(seconds: float) -> None:
        with pytest.raises(LockTimeout):
            await enter(rlock, seconds)

    async def main() -> None:
        async def body() -> None:
            async with rlock:
                await all_done(*[lambda s=s: late(s) for s in (0, 0.001, 0.002)])
                assert rbridge_of(rlock).depth == 1
            assert waiting(rlock) == 0

        await own(rlock, lent=lent, body=body)
        await all_done(*visits(rlock, order, 1, 2))
        assert_at_rest(rlock)

    run(backend, main)


@pytest.mark.parametrize("lent", [False, True])
@pytest.mark.parametrize("error", [Cancelled, asyncio.CancelledError, SystemError])
def test_body_raises_several_levels_deep(
    backend: Backend, rlock: BridgedRLock, error: type[BaseException], *, lent: bool
) -> None:
    if error is asyncio.CancelledError and backend.library == "trio":
        pytest.skip("it means nothing there")
    order: list[Any] = []

    async def deep() -> None:
        async with rlock, rlock.hold(1):
            with rlock, rlock.hold(0):
                raise error

    async def body() -> None:
        with pytest.raises(error):
            await deep()
        assert rbridge_of(rlock).depth == 0

    async def main() -> None:
        await own(rlock, lent=lent, body=body)
        await all_done(*visits(rlock, order, 1, 2))
        assert_at_rest(rlock)

    run(backend, main)
