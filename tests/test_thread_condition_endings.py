"""ThreadCondition: waits that end by a cancellation, or with their event loop.

However a wait ends, it ends with the lock; and if it was notified, somebody else is.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import ThreadCondition, ThreadRLock, make_condition
from backends import ASYNCIO, UVLOOP, Backend, require, run
from conditions import (
    MAKERS,
    WaitingThread,
    assert_at_rest,
    notify,
    so_many_wait,
    waiting,
)
from staging import PATIENCE, in_thread, until, until_in_task
from staging import waiting as queued

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(params=MAKERS)
def condition(request: pytest.FixtureRequest) -> ThreadCondition:
    return MAKERS[request.param]()


class Waiter:
    """A task that waits, can be cancelled in either way, and tells how it ended."""

    def __init__(
        self, condition: ThreadCondition, flavour: str, depth: int = 1
    ) -> None:
        self.condition = condition
        self.flavour = flavour
        self.depth = depth
        self.ended = ""
        self.scope: anyio.CancelScope | None = None
        self.task: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        if self.flavour == "task":
            self.task = asyncio.ensure_future(self.wait())
            with suppress(asyncio.CancelledError):
                await self.task
        else:
            with anyio.CancelScope() as self.scope:
                await self.wait()

    def cancel(self) -> None:
        cancelled = self.task or self.scope
        assert cancelled is not None
        cancelled.cancel()

    async def wait(self) -> None:
        async with self.condition:
            for _ in range(self.depth - 1):
                self.condition.__enter__()
            try:
                assert await self.condition.async_wait() is True
            except BaseException:
                self.ended = "cancelled"
                raise
            else:
                self.ended = "notified"
            finally:
                # Held, by this very task, and as often as before.
                self.condition.notify(0)
                for _ in range(self.depth - 1):
                    assert self.condition.locked()
                    self.condition.__exit__(None, None, None)
                assert self.condition.locked()


@pytest.fixture(params=["scope", "task"])
def flavour(request: pytest.FixtureRequest, backend: Backend) -> str:
    chosen: str = request.param
    if chosen == "task" and backend.library == "trio":
        pytest.skip("a task of trio is cancelled by a scope")
    return chosen


# Cancelled


def test_cancelled_while_it_waits(
    backend: Backend, flavour: str, condition: ThreadCondition
) -> None:
    one, two = (Waiter(condition, flavour) for _ in range(2))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await until_in_task(so_many_wait(condition, 1))
            tasks.start_soon(two.run)
            await until_in_task(so_many_wait(condition, 2))
            one.cancel()
            await until_in_task(lambda: one.ended)
            async with condition:
                condition.notify()

    run(backend, main)
    assert (one.ended, two.ended) == ("cancelled", "notified")
    assert_at_rest(condition)


def test_cancelled_before_it_waits(
    backend: Backend, condition: ThreadCondition
) -> None:
    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with condition:
                scope.cancel()
                try:
                    await condition.async_wait()
                finally:
                    assert condition.locked()
                    condition.notify()
        assert scope.cancelled_caught

    run(backend, main)
    assert_at_rest(condition)


@pytest.mark.parametrize("next_one", ["task", "thread"])
def test_cancelled_after_it_was_notified(
    backend: Backend, flavour: str, condition: ThreadCondition, next_one: str
) -> None:
    """The notification is passed on, and the lock taken again first."""
    one = Waiter(condition, flavour)
    two = Waiter(condition, flavour)
    thread = WaitingThread(condition)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await until_in_task(so_many_wait(condition, 1))
            if next_one == "task":
                tasks.start_soon(two.run)
            else:
                tasks.start_soon(anyio.to_thread.run_sync, thread.wait)
            await until_in_task(so_many_wait(condition, 2))
            async with condition:
                condition.notify()
                one.cancel()
            await until_in_task(lambda: one.ended)
            if one.ended == "notified":  # a scope may come too late for a task
                assert flavour == "scope"
                async with condition:
                    condition.notify()

    run(backend, main)
    assert (two.ended or thread.ended) == "notified"
    assert_at_rest(condition)


def test_cancelled_again_and_again_while_it_takes_the_lock(
    backend: Backend, flavour: str, condition: ThreadCondition
) -> None:
    depth = 3 if isinstance(condition._lock, ThreadRLock) else 1
    one = Waiter(condition, flavour, depth)
    two = WaitingThread(condition)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await until_in_task(so_many_wait(condition, 1))
            tasks.start_soon(anyio.to_thread.run_sync, two.wait)
            await until_in_task(so_many_wait(condition, 2))
            async with condition:
                condition.notify()
                for _ in range(5):
                    await until_in_task(lambda: queued(condition._lock))
                    one.cancel()
                    for _step in range(5):
                        await checkpoint()
                assert one.ended == ""

    run(backend, main)
    assert (one.ended, two.ended) == ("cancelled", "notified")
    assert_at_rest(condition)


def test_thousand_tasks(backend: Backend, condition: ThreadCondition) -> None:
    waiters = [Waiter(condition, "scope") for _ in range(1000)]

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for waiter in waiters:
                tasks.start_soon(waiter.run)
            await until_in_task(so_many_wait(condition, 1000))
            for waiter in waiters[::2]:
                waiter.cancel()
            await until_in_task(lambda: waiting(condition) == 500)
            async with condition:
                condition.notify(499)
            await until_in_task(lambda: waiting(condition) == 1)
            async with condition:
                condition.notify_all()

    run(backend, main)
    assert [waiter.ended for waiter in waiters] == ["cancelled", "notified"] * 500
    assert_at_rest(condition)


def test_notified_by_who_keeps_the_lock_across_an_await(backend: Backend) -> None:
    """Its thread holds the lock, but who waits to have it again is another task."""
    condition = make_condition("thread")
    one = Waiter(condition, "scope", depth=2)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)
            await until_in_task(so_many_wait(condition, 1))
            with condition:
                condition.notify()
                await until_in_task(lambda: queued(condition._lock))
                assert one.ended == ""

    run(backend, main)
    assert one.ended == "notified"
    assert_at_rest(condition)


# Closed


async def wait_deep(condition: ThreadCondition, depth: int) -> None:
    async with condition:
        if depth == 1:
            await condition.async_wait()
            return
        async with condition:
            with condition:
                await condition.async_wait()


depths = pytest.mark.parametrize(
    ("name", "depth"), [("lock", 1), ("rlock", 1), ("rlock", 3)]
)


@contextmanager
def held_elsewhere(condition: ThreadCondition) -> Generator[None]:
    """Let another thread hold the lock meanwhile."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with condition:
            held.set()
            assert done.wait(PATIENCE)
            assert condition.locked()  # nobody has released it

    with in_thread(hold):
        assert held.wait(PATIENCE)
        try:
            yield
        finally:
            done.set()


@depths
def test_closed_while_it_waits(name: str, depth: int) -> None:
    condition = MAKERS[name]()

    async def main() -> None:
        waiter = wait_deep(condition, depth)
        waiter.send(None)
        waiter.close()
        assert not condition.locked()
        waiter = wait_deep(condition, depth)
        waiter.send(None)
        with held_elsewhere(condition):
            waiter.close()
            assert condition.locked()
        # What was skipped then is not skipped now.
        waiter = stay()
        waiter.send(None)
        assert condition.locked()
        waiter.close()
        assert not condition.locked()

    async def stay() -> None:
        async with condition:
            await asyncio.Event().wait()

    asyncio.run(main())
    assert_at_rest(condition)


@depths
@pytest.mark.parametrize("loop", [ASYNCIO, UVLOOP], ids=str)
@pytest.mark.parametrize("granted", [False, True])
def test_loop_closed(name: str, depth: int, loop: Backend, *, granted: bool) -> None:
    require(loop)
    condition = MAKERS[name]()
    new_event_loop = asyncio.new_event_loop
    if loop is UVLOOP:
        import uvloop

        new_event_loop = uvloop.new_event_loop
    event_loop = new_event_loop()
    waiter = event_loop.create_task(wait_deep(condition, depth))
    waiter._log_destroy_pending = False  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]

    async def until_it_waits() -> None:
        await until_in_task(so_many_wait(condition, 1))

    event_loop.run_until_complete(until_it_waits())
    thread = WaitingThread(condition)
    with in_thread(thread.wait):
        until(so_many_wait(condition, 2))
        if granted:
            notify(condition)
            event_loop.close()
        else:
            event_loop.close()
            notify(condition)
    assert thread.ended == "notified"
    with held_elsewhere(condition):
        del waiter, event_loop
        gc.collect()
    assert_at_rest(condition)
