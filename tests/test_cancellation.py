"""Whatever ends a wait, and whenever: nobody else waits for ever because of it.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
import gc
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, make_lock
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from staging import (
    PATIENCE,
    Section,
    acquire,
    all_done,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    in_thread,
    queued,
    until,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anylock import Lock, LockKind

STEPS = range(4)
on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)
bridged = pytest.mark.parametrize("kind", ["process", "thread"])
timeouts = pytest.mark.parametrize("timeout", [None, 60.0])


class Queue:
    """Three tasks that want the lock, each of which can be cancelled."""

    def __init__(self, lock: Lock, timeout: float | None) -> None:
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
                    await checkpoint()
                self.entered.add(number)

    def check(self, cancelled: int) -> None:
        assert self.entered | {cancelled} == {0, 1, 2}
        assert self.section.overlaps == 0
        assert_at_rest(self.lock)


async def play(script: dict[int, list[Callable[[], object]]]) -> None:
    for step in STEPS:
        for action in script.get(step, []):
            action()
        await checkpoint()


@timeouts
def test_cancelled_at_every_step(
    backend: Backend, kind: LockKind, timeout: float | None
) -> None:
    """Lines 1 and 2, and each moment before, between and after them.

    The holder releases and a waiter is cancelled at every pair of moments there is.
    """

    async def stage(release: int, cancel: int, victim: int, *, release_first: bool):  # type: ignore[no-untyped-def] # noqa: ANN202
        queue = Queue(make_lock(kind), timeout)
        await enter(queue.lock)
        script: dict[int, list[Callable[[], object]]] = {}
        script.setdefault(cancel, []).append(queue.scopes[victim].cancel)
        at = script.setdefault(release, [])
        at.insert(0 if release_first else len(at), queue.lock.release)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(queue.one, number)
            await play(script)
        queue.check(victim)

    async def main() -> None:
        for release, cancel, victim, first in product(
            STEPS, STEPS, (0, 1), (False, True)
        ):
            with anyio.fail_after(PATIENCE):
                await stage(release, cancel, victim, release_first=first)

    run(backend, main)


@on_asyncio
@timeouts
def test_asyncio_task_cancelled_at_every_step(
    backend: Backend, kind: LockKind, timeout: float | None
) -> None:
    """Lines 1 and 2 by `Task.cancel`, which anyio's scopes use in their own way."""

    async def stage(release: int, cancel: int) -> None:
        lock = make_lock(kind)
        section = Section()

        async def one() -> None:
            async with lock if timeout is None else lock.hold(timeout):
                with section:
                    await asyncio.sleep(0)

        await enter(lock)
        tasks = [asyncio.ensure_future(one()) for _ in range(2)]
        script: dict[int, list[Callable[[], object]]] = {release: [lock.release]}
        script.setdefault(cancel, []).append(tasks[0].cancel)
        await play(script)
        await asyncio.wait_for(tasks[1], PATIENCE)
        await asyncio.wait(tasks)
        assert section.overlaps == 0
        assert_at_rest(lock)

    async def main() -> None:
        for release, cancel in product(STEPS, STEPS):
            await stage(release, cancel)

    run(backend, main)


@bridged
@timeouts
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("when", ["before", "after"])
def test_cancelled_when_a_thread_releases(
    backend: Backend, kind: LockKind, timeout: float | None, victim: int, when: str
) -> None:
    """Line 1: granted by the helper thread, cancelled, and only then resumed."""

    async def main() -> None:
        queue = Queue(make_lock(kind), timeout)
        acquire(queue.lock)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(queue.one, number)
            await queued(queue.lock, 3)
            if when == "before":
                queue.scopes[victim].cancel()
            queue.lock.release()
            until(lambda: granted(queue.lock))  # no task runs meanwhile
            queue.scopes[victim].cancel()
        queue.check(victim)

    run(backend, main)


def test_cancelled_at_the_checkpoint_of_a_fast_acquire(
    trio: Any, kind: LockKind
) -> None:
    """Line 3: trio's acquire is a checkpoint although the lock is free."""

    async def main() -> None:
        lock = make_lock(kind)
        with trio.CancelScope() as scope:
            scope.cancel()
            await enter(lock)
        assert scope.cancelled_caught
        assert_at_rest(lock)
        entered: list[bool] = []

        async def one() -> None:
            with scope:
                async with lock:
                    entered.append(lock.locked())
                    await trio.lowlevel.checkpoint()

        for steps in range(3):
            scope = trio.CancelScope()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
            assert_at_rest(lock)
        assert entered

    trio.run(main)


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_closed_at_the_checkpoint_of_a_fast_acquire(
    trio: Any, kind: LockKind, timeout: float | None
) -> None:
    """Line 3 again: a coroutine that nobody drives on is closed there."""

    async def main() -> None:
        lock = make_lock(kind)
        entering = enter(lock, timeout)
        entering.send(None)
        assert lock.locked()
        entering.close()
        assert_at_rest(lock)

    trio.run(main)


@pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError, OSError])
def test_thrown_out_of_a_wait(
    backend: Backend, kind: LockKind, error: type[BaseException]
) -> None:
    """The coroutine is driven by hand, as an event loop does, and thrown into."""

    async def main() -> None:
        lock = make_lock(kind)
        await enter(lock)
        coroutine = enter(lock, 60.0)
        coroutine.send(None)
        assert waiting(lock) == 1
        with pytest.raises(error):
            coroutine.throw(error())
        assert waiting(lock) == 0
        lock.release()
        assert_at_rest(lock)

    run(backend, main)


def close_here(_lock: Lock, left: list[Coroutine[Any, Any, Any]]) -> None:
    left.pop().close()


def close_in_a_thread(_lock: Lock, left: list[Coroutine[Any, Any, Any]]) -> None:
    with in_thread(left.pop().close):
        pass


def close_in_a_step(lock: Lock, left: list[Coroutine[Any, Any, Any]]) -> None:
    bridge_of(lock)._do(left.pop().close)


def forget(_lock: Lock, left: list[Coroutine[Any, Any, Any]]) -> None:
    left.clear()
    gc.collect()


WHERE = {
    "task": close_here,
    "thread": close_in_a_thread,
    "step": close_in_a_step,
    "garbage": forget,
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("grant", [False, True])
def test_closed_in_a_wait(
    backend: Backend, kind: LockKind, where: str, *, grant: bool
) -> None:
    """Line 1 for GeneratorExit: in another thread, too, and amid a bridge's step."""
    if grant and backend.library == "trio":
        pytest.skip("trio would resume the task that drives the coroutine")
    if kind == "async" and where in {"thread", "step"}:
        pytest.skip("it is of one thread, and has no steps")

    async def main() -> None:
        lock = make_lock(kind)

        async def hold() -> None:
            acquire(lock)

        await all_done(hold)  # not in this task, which would wait for itself
        left: list[Coroutine[Any, Any, Any]] = [enter(lock)]
        left[0].send(None)
        reached = anyio.Event()

        async def next_one() -> None:
            async with lock:
                reached.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(next_one)
            await queued(lock, 2)
            if grant:
                lock.release()
                until(lambda: waiting(lock) == 1)
            WHERE[where](lock, left)
            assert left == []
            if not grant:
                lock.release()
            with anyio.fail_after(PATIENCE):
                await reached.wait()
        assert_at_rest(lock)

    run(backend, main)


def test_nobody_comes_between_a_grant_and_its_waiter(
    backend: Backend, kind: LockKind
) -> None:
    """Line 5: try_acquire and newcomers are refused until the waiter has run."""

    async def main() -> None:
        lock = make_lock(kind)
        order: list[str] = []

        async def one(name: str) -> None:
            async with lock:
                order.append(name)

        await enter(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "waiter")
            await queued(lock)
            lock.release()
            assert lock.locked()
            assert not lock.try_acquire()
            if kind != "async":
                with in_thread(lambda: order.extend(["thread"] * lock.try_acquire())):
                    pass
            if backend.library == "asyncio":  # elsewhere it is a checkpoint
                with pytest.raises(LockTimeout):
                    await enter(lock, 0.0)
                assert order == []
            await one("newcomer")
        assert order == ["waiter", "newcomer"]
        assert_at_rest(lock)

    run(backend, main)
