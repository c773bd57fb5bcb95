"""Who owns a re-entrant lock, and that nobody else is ever taken for the owner."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockNotHeldError, LockTimeout, WouldDeadlock
from backends import ASYNCIO, TRIO, Backend, run, start_guest
from depths import (
    SYNC_WAYS,
    TASK_WAYS,
    WAYS,
    Way,
    assert_kept_out,
    assert_outside,
    in_another_task,
    in_worker,
    own,
    rbridge_of,
    rlock,
    until_free,
    visits,
)
from staging import (
    PATIENCE,
    Section,
    all_done,
    assert_at_rest,
    enter,
    helpers,
    in_thread,
    is_native,
    queued,
    until,
    usable,
    waiting,
)

if TYPE_CHECKING:
    from depths import BridgedRLock

__all__ = ["rlock"]

loans = pytest.mark.parametrize("lent", [False, True], ids=["direct", "lent"])


@pytest.mark.parametrize("outermost", TASK_WAYS)
def test_task_enters_again_in_any_way(
    backend: Backend, rlock: BridgedRLock, outermost: str
) -> None:
    """In any order, and left in the order of entry as well as in the reverse of it."""

    async def main() -> None:
        for second, third in product(WAYS, WAYS):
            ways = [Way(rlock, name) for name in (outermost, second, third)]
            for way in ways:
                await way.enter()
                assert rlock.locked()
            await checkpoint()
            for way in ways if second < third else reversed(ways):
                assert rlock.locked()
                await way.leave()
            assert not rlock.locked()
            assert is_native(rlock)
        assert_at_rest(rlock)

    run(backend, main)


@loans
def test_nobody_else_gets_in_at_any_depth(
    backend: Backend, rlock: BridgedRLock, *, lent: bool
) -> None:
    """While the owner sleeps: other tasks, its children, threads, other loops."""

    async def body() -> None:
        async with AsyncExitStack() as stack:
            ways = [Way(rlock, name) for name in WAYS]
            for way in ways:
                await way.enter()
                stack.push_async_callback(way.leave)
                await in_another_task(lambda: assert_outside(rlock))
                await anyio.to_thread.run_sync(partial(assert_kept_out, rlock))
                assert rlock.locked()
            for other in filter(usable, (ASYNCIO, TRIO)):
                with in_thread(lambda: run(other, other_loop)):  # noqa: B023 - at once
                    pass
        await in_another_task(lambda: assert_outside(rlock))

    async def other_loop() -> None:
        assert_kept_out(rlock)
        with pytest.raises(LockTimeout):
            await enter(rlock, 0.001)
        with pytest.raises(LockNotHeldError):
            await rlock.__aexit__(None, None, None)

    async def main() -> None:
        await own(rlock, lent=lent, body=body)
        assert_at_rest(rlock)

    run(backend, main)


@loans
def test_child_task_waits_for_its_parent(
    backend: Backend, rlock: BridgedRLock, *, lent: bool
) -> None:
    order: list[Any] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def body() -> None:
                for child in visits(rlock, order, "child", "second child"):
                    tasks.start_soon(child)
                if backend.library == "asyncio":
                    task = asyncio.create_task(visits(rlock, order, "eager")[0]())
                    tasks.start_soon(asyncio.wait_for, task, PATIENCE)
                await queued(rlock, 2)
                async with rlock:
                    with rlock:
                        await checkpoint()
                    order.append("owner")

            await own(rlock, lent=lent, body=body)
        assert order[0] == "owner"
        assert {"child", "second child"} <= set(order)
        assert_at_rest(rlock)

    run(backend, main)


def test_thread_that_holds_excludes_its_own_tasks(
    backend: Backend, rlock: BridgedRLock
) -> None:
    """There is no telling which of its tasks entered by `with`: none is the owner."""

    async def main() -> None:
        for depth, way in product((1, 3), SYNC_WAYS):
            until(lambda: not helpers(rlock))
            outer = [Way(rlock, way) for _ in range(depth)]
            for one in outer:
                await one.enter()
            with pytest.raises(WouldDeadlock, match="this thread holds it by 'with'"):
                await enter(rlock)
            for timeout in (0.0, 0.001):
                with pytest.raises(LockTimeout):
                    await enter(rlock, timeout)
            with pytest.raises(LockNotHeldError):
                await rlock.__aexit__(None, None, None)
            assert rlock.try_acquire()  # the thread's, too
            rlock.release()
            in_worker(partial(assert_kept_out, rlock))
            for one in outer:
                assert rlock.locked()
                await one.leave()
            until_free(rlock)  # a helper that came too late may have it
        assert_at_rest(rlock)

    run(backend, main)


def test_thread_holds_while_tasks_wait_for_it(
    backend: Backend, rlock: BridgedRLock
) -> None:
    """It entered by C methods, goes on by careful ones, and leaves by either."""
    order: list[Any] = []
    entered, waited = threading.Event(), threading.Event()

    def thread() -> None:
        with rlock:
            with rlock:
                entered.set()
                assert waited.wait(PATIENCE)
                assert not is_native(rlock)
                with rlock.hold(0), rlock:
                    assert rlock.try_acquire()
                    assert rlock.acquire()
                rlock.release()
                rlock.release()
                order.append("thread")
            rlock.acquire()
        assert rlock.locked()
        rlock.release()

    async def tell() -> None:
        await queued(rlock, 2)
        waited.set()

    async def main() -> None:
        await all_done(tell, *visits(rlock, order, 1, 2))

    with in_thread(thread):
        assert entered.wait(PATIENCE)
        run(backend, main)
    assert order[0] == "thread"
    assert sorted(order[1:]) == [1, 2]
    assert_at_rest(rlock)


def test_dead_tasks_own_nothing(backend: Backend, rlock: BridgedRLock) -> None:
    """Ids are used again; the owner's object is kept."""

    async def main() -> None:
        await in_another_task(lambda: enter(rlock))
        gc.collect()
        for _ in range(100):
            await in_another_task(lambda: assert_nothing_owned(rlock))
        assert rlock.locked()

    run(backend, main)


async def assert_nothing_owned(lock: BridgedRLock) -> None:
    assert not lock.try_acquire()
    with pytest.raises(LockTimeout):
        await enter(lock, 0)
    with pytest.raises(LockNotHeldError):
        lock.release()


@pytest.mark.parametrize("closed", [False, True])
def test_dead_loop_threads_own_nothing(rlock: BridgedRLock, *, closed: bool) -> None:
    """A thread with the ident of one that ran the owner's loop, and is gone."""
    loop = asyncio.new_event_loop()
    idents: list[int] = []
    met = 0

    def first() -> None:
        idents.append(threading.get_ident())
        loop.run_until_complete(enter(rlock))

    def stranger() -> None:
        nonlocal met
        if threading.get_ident() != idents[0]:
            return
        met += 1
        assert_kept_out(rlock)
        with pytest.raises(LockTimeout):
            asyncio.run(enter(rlock, 0.001))
        with pytest.raises(LockTimeout):
            asyncio.run(enter(rlock, 0))
        assert not rlock.acquire(False)

    in_worker(first)
    if closed:
        loop.close()
    for _ in range(1000):
        in_worker(stranger)
        if met > 3:
            break
    assert met, "no ident was used again"
    loop.close()


def test_task_of_a_closed_loop_owns_nothing(rlock: BridgedRLock) -> None:
    """It never leaves: no newcomer is taken for it, on any loop or in its thread."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)

    async def forever() -> None:
        async with rlock, rlock:
            await asyncio.Event().wait()

    coroutine = forever()
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert_kept_out(rlock)
    for _ in range(20):
        asyncio.run(assert_nothing_owned(rlock))
    with pytest.raises(WouldDeadlock), rlock:
        pass
    assert not task.done()
    with pytest.raises(LockNotHeldError):
        coroutine.close()  # here, and so not by the task
    assert rlock.locked()


@loans
def test_release_by_name_is_a_leave(
    backend: Backend, rlock: BridgedRLock, *, lent: bool
) -> None:
    """`release()` undoes any way in, and one too many is an error that changes none."""

    async def body() -> None:
        await enter(rlock)
        rlock.__enter__()
        rlock.release()
        rlock.release()
        assert rbridge_of(rlock).depth == 0
        rlock.release()
        with pytest.raises((LockNotHeldError, RuntimeError, AssertionError)):
            rlock.release()
        await enter(rlock)  # for the `async with` that we are in

    async def main() -> None:
        await own(rlock, lent=lent, body=body)
        assert_at_rest(rlock)

    run(backend, main)


def test_tasks_of_two_libraries_at_once(trio: Any, rlock: BridgedRLock) -> None:
    """Loops of asyncio and trio side by side: one owner, several levels deep."""
    section = Section()

    async def one() -> None:
        for _ in range(20):
            async with rlock:
                with section, rlock:
                    async with rlock.hold(0):
                        await checkpoint()
                assert not section.inside

    def loop(backend: Backend) -> None:
        run(backend, all_done, *[one] * 3)

    def thread() -> None:
        for _ in range(60):
            with rlock, section, rlock:
                pass

    assert trio
    with ExitStack() as threads:
        for work in (partial(loop, ASYNCIO), partial(loop, TRIO), thread):
            threads.enter_context(in_thread(work))
    assert (section.count, section.overlaps) == (180, 0)
    assert_at_rest(rlock)


def test_host_and_guest_in_one_thread(trio: Any, rlock: BridgedRLock) -> None:
    """Trio as a guest of asyncio: the same thread, and yet not the same owner."""
    section = Section()

    async def one() -> None:
        for _ in range(20):
            async with rlock, rlock:
                with section:
                    await checkpoint()
            if rlock.try_acquire():
                with section:
                    await checkpoint()
                rlock.release()

    async def guest() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(one)

    async def main() -> None:
        over = start_guest(trio, guest)
        await asyncio.gather(one(), one())
        (await asyncio.wait_for(over, PATIENCE)).unwrap()

    asyncio.run(main())
    assert section.count >= 80
    assert section.overlaps == 0
    assert waiting(rlock) == 0
    assert_at_rest(rlock)
