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

from anylock import make_lock, make_semaphore
from backends import ASYNCIO, run
from staging import (
    PATIENCE,
    acquire,
    all_done,
    amid_steps,
    assert_at_rest,
    bridge_of,
    enter,
    helpers,
    in_thread,
    queued,
    until,
    until_in_task,
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
        until(lambda: waiting(lock) == 1)
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
@pytest.mark.parametrize("by", ["task", "helper"])
def test_the_lock_stays_in_a_thread_while_its_tenure_lasts(
    kind: LockKind, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wake a task of another thread takes many times as long.

    A tenure begins anew when a task takes the lock, or the helper gets it.
    """
    from anylock._bridge import queue

    lock = make_lock(kind)
    order: list[str] = []

    async def one(whose: str) -> None:
        async with lock:
            order.append(whose)

    async def main(threads: ExitStack) -> None:
        await enter(lock)
        lock.release()
        bridge_of(lock)._tenure_ends = 0.0
        async with anyio.create_task_group() as tasks:
            assert lock.try_acquire()
            if by == "task":
                lock.release()
                await enter(lock)
            else:
                tasks.start_soon(one, "own")
            await queued(lock, by == "helper")
            threads.enter_context(in_thread(lambda: asyncio.run(one("other"))))
            await queued(lock, 1 + (by == "helper"))
            tasks.start_soon(one, "own")
            await queued(lock, 2 + (by == "helper"))
            lock.release()

    monkeypatch.setattr(queue, "TENURE", PATIENCE)
    with ExitStack() as threads:
        run(ASYNCIO, main, threads)
    assert order == ["own"] * (1 + (by == "helper")) + ["other"]
    assert_at_rest(lock)
