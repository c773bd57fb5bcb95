"""What a bridge does where nobody sees it, until it is missing.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import (
    LockNotHeldError,
    WouldDeadlock,
    _parking,
    make_lock,
    make_semaphore,
)
from backends import ASYNCIO, run
from children import in_child
from staging import (
    PATIENCE,
    Section,
    acquire,
    all_done,
    amid_steps,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    helpers,
    in_thread,
    queued,
    until,
    until_in_task,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock, LockKind
    from backends import Backend

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


async def wait_once(lock: Lock) -> None:
    """Let a task of this thread wait for the lock, which another thread holds."""

    async def one() -> None:
        async with lock:
            pass

    async def other() -> None:
        await until_in_task(lambda: waiting(lock) == 1)
        lock.release()

    acquire(lock)
    await all_done(one, other)
    assert_at_rest(lock)


@bridged
def test_nothing_is_kept_of_threads_that_waited(
    backend: Backend, kind: LockKind
) -> None:
    """Every event loop has a thread; a lock of a module outlives thousands of them."""
    lock = make_lock(kind)
    run(backend, wait_once, lock)
    bridge = bridge_of(lock)
    assert not bridge._queue
    assert not bridge._cohorts


@bridged
@pytest.mark.parametrize("before", ["_grant", "_helped"])
def test_a_bridge_retires_when_its_helper_is_done(
    kind: LockKind, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper has got the lock, and is stopped before it hands it on.

    At the end of a process that must not be the last of it.
    """
    from anylock._bridge import queue

    stopped, go_on = threading.Event(), threading.Event()
    original = getattr(queue.Waiting, before)

    def stop(*args: Any) -> None:
        stopped.set()
        assert go_on.wait(PATIENCE)
        original(*args)

    def wait_for_it(_seconds: float) -> None:
        go_on.set()

    lock = make_lock(kind)

    async def one() -> None:
        async with lock:
            pass

    monkeypatch.setattr(queue.Waiting, before, stop)
    acquire(lock)
    with in_thread(lambda: asyncio.run(one())):
        until(lambda: helpers(lock))
        lock.release()
        assert stopped.wait(PATIENCE)
        monkeypatch.setattr(queue, "sleep", wait_for_it)
        try:
            bridge_of(lock).retire()
            assert not helpers(lock)
            assert not amid_steps(lock)
        finally:
            go_on.set()
    assert_at_rest(lock)


@bridged
def test_a_loops_thread_waits_for_a_thread_alone(kind: LockKind) -> None:
    """It found tasks to be careful of, which are gone when it has queued.

    Who holds the lock then tells nobody, so that somebody must be sent for it.
    """

    async def main() -> None:
        lock = make_lock(kind)
        await wait_once(lock)

        def leave() -> None:
            until(lambda: waiting(lock) == 1)
            lock.release()

        acquire(lock)
        with in_thread(leave):
            assert bridge_of(lock).block(PATIENCE, None)
        lock.release()
        assert_at_rest(lock)

    run(ASYNCIO, main)


@bridged
@pytest.mark.parametrize("make", [make_lock, make_semaphore])
def test_somebody_queues_when_the_helper_is_about_to_end(
    kind: LockKind, make: Callable[[LockKind], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found nobody who waits, but has yet to say so: no other helper starts."""
    from anylock._bridge.queue import Waiting

    stopped, go_on = threading.Event(), threading.Event()
    wait = Waiting._wait_for_the_queue

    def wait_and_stop(bridge: Waiting) -> bool:
        acquired = wait(bridge)
        stopped.set()
        assert go_on.wait(PATIENCE)
        return acquired

    async def main() -> None:
        lock = make(kind)
        gives_up = anyio.CancelScope()

        async def one() -> None:
            with gives_up:
                await enter(lock)

        async def two() -> None:
            async with lock:
                pass

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            gives_up.cancel()
            await until_in_task(stopped.is_set)
            tasks.start_soon(two)
            await queued(lock)
            go_on.set()
            until(lambda: helpers(lock))
            lock.release()

    monkeypatch.setattr(Waiting, "_wait_for_the_queue", wait_and_stop)
    run(ASYNCIO, main)


@bridged
@pytest.mark.parametrize("by", ["itself", "queueing", "the helper"])
@pytest.mark.parametrize("make", [make_lock, make_semaphore])
def test_the_lock_stays_in_a_thread_while_its_tenure_lasts(
    make: Callable[[LockKind], Any],
    kind: LockKind,
    by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To wake a task of another thread takes many times as long.

    A tenure begins anew whenever a task has not got the lock from another one.
    """
    from anylock._bridge import queue

    lock = make(kind)
    order: list[str] = []
    new_waiter = _parking.new_waiter

    def release_and_wait() -> Any:
        monkeypatch.setattr(_parking, "new_waiter", new_waiter)
        lock.__exit__(None, None, None)
        return new_waiter()

    async def one(whose: str) -> None:
        async with lock:
            order.append(whose)

    async def main(threads: ExitStack) -> None:
        inside, leave = anyio.Event(), anyio.Event()

        async def first() -> None:
            async with lock:
                inside.set()
                await leave.wait()

        async with lock:
            pass
        bridge_of(lock)._tenure_ends = 0.0
        if by != "itself":
            acquire(lock)
        if by == "queueing":
            monkeypatch.setattr(_parking, "new_waiter", release_and_wait)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            if by == "the helper":
                await queued(lock)
                lock.__exit__(None, None, None)
            await inside.wait()
            threads.enter_context(in_thread(lambda: asyncio.run(one("other"))))
            await queued(lock)
            tasks.start_soon(one, "own")
            await queued(lock, 2)
            leave.set()

    monkeypatch.setattr(queue, "TENURE", PATIENCE)
    with ExitStack() as threads:
        run(ASYNCIO, main, threads)
    assert order == ["own", "other"]


@bridged
def test_only_who_holds_the_lock_leaves_it(backend: Backend, kind: LockKind) -> None:
    """Not when nobody has it, and not when a task was granted it and has not run."""

    async def main() -> None:
        lock = make_lock(kind)
        section = Section()

        async def one() -> None:
            async with lock:
                section.update()

        with pytest.raises(LockNotHeldError):
            await lock.__aexit__(None, None, None)
        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock) and not amid_steps(lock))
            with pytest.raises(LockNotHeldError):
                await lock.__aexit__(None, None, None)
            assert granted(lock)
        assert section.count == 1
        assert_at_rest(lock)

    run(backend, main)


def test_a_forked_child_has_no_part_in_a_grant(backend: Backend) -> None:
    """The task that was granted the lock never runs there: the lock is free."""

    async def main() -> None:
        lock = make_lock("thread")

        async def one() -> None:
            async with lock:
                pass

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock) and not amid_steps(lock))
            in_child(lambda: use(lock))
        assert_at_rest(lock)

    run(backend, main)


def test_a_forked_child_knows_which_thread_holds_the_lock(backend: Backend) -> None:
    """Another thread is the first to ask for it there."""

    async def main() -> None:
        lock = make_lock("thread")

        def ask() -> None:
            assert not lock.try_acquire()

        def child() -> None:
            with in_thread(ask):
                pass
            with pytest.raises(WouldDeadlock):
                lock.__enter__()

        async with lock:
            in_child(child)

    run(backend, main)


@bridged
def test_nobody_overtakes_who_waits_for_a_free_lock(kind: LockKind) -> None:
    """The lock is free, and the helper has yet to come for it."""

    async def main() -> None:
        lock = make_lock(kind)

        async def one() -> None:
            async with lock:
                pass

        await enter(lock)
        lock.release()
        bridge = bridge_of(lock)
        bridge._retired = True
        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.__exit__(None, None, None)
            assert not lock.locked()
            assert not lock.try_acquire()
            assert not bridge.take()
            bridge._retired = False
            bridge._do(bridge._serve)
        assert_at_rest(lock)

    run(ASYNCIO, main)
