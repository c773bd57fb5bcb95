"""The bridge where two threads, a fork or a handler meet amid a change of it."""

from __future__ import annotations

import _thread
import asyncio
import os
import threading
from collections import OrderedDict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import ThreadLock, make_lock, make_semaphore
from anylock._bridge import queue
from anylock._bridge.steps import Steps
from anylock._parking import AsyncioWaiter, TrioWaiter
from backends import ASYNCIO, Backend, run
from children import in_child
from interruptions import Interrupted, still_works
from permits import bridge_of as bridge_of_semaphore
from permits import granted as granted_permits
from permits import queued as queued_for_a_permit
from staging import (
    PATIENCE,
    acquire,
    all_done,
    assert_at_rest,
    bridge_of,
    granted,
    in_thread,
    is_native,
    queued,
    until,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock, LockKind
    from anylock._bridge.lock import LockBridge

bridged = pytest.mark.parametrize("kind", ["process", "thread"])
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


# Steps, and what a handler that raises leaves behind


def test_step_of_another_is_carried_out_though_ours_was_interrupted() -> None:
    steps = Steps()
    done: list[str] = []

    def step() -> None:
        steps._mail.append(lambda: done.append("theirs"))  # they rely on us
        raise Interrupted

    with pytest.raises(Interrupted):
        steps._do(step)
    assert done == ["theirs"]
    assert not steps._mail


class StruckQueue(OrderedDict[Any, None]):
    """A queue out of which a handler raises when somebody has just been removed."""

    def pop(self, key: Any, default: Any = None) -> None:
        super().pop(key, default)
        raise Interrupted


@bridged
def test_who_was_left_behind_among_its_like_is_passed_over(
    backend: Backend, kind: LockKind
) -> None:
    """It has left the queue; a handler kept it from leaving the cohort."""

    async def main() -> None:
        lock = make_lock(kind)
        entered = False

        async def leaves() -> None:
            with pytest.raises(Interrupted), scope:
                await lock.__aenter__()

        async def stays() -> None:
            nonlocal entered
            async with lock:
                entered = True

        scope = anyio.CancelScope()
        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leaves)
            await queued(lock)
            tasks.start_soon(stays)
            await queued(lock, 2)
            bridge = bridge_of(lock)
            bridge._queue = StruckQueue(bridge._queue)
            scope.cancel()
            while waiting(lock) == 2:
                await checkpoint()
            bridge._queue = OrderedDict(bridge._queue)
            (cohort,) = bridge._cohorts.values()
            assert (len(bridge._queue), len(cohort)) == (1, 2)
            lock.release()
        assert entered
        assert_at_rest(lock)

    run(backend, main)


def test_who_comes_amid_the_release_is_seen() -> None:
    """It found the lock taken, and left its step to who was about to leave."""
    lock = make_lock("thread")
    use_in_a_task(lock)
    bridge = bridge_of(lock)
    release = bridge._release
    done: list[str] = []

    def release_and_be_asked() -> None:
        release()
        bridge._mail.append(lambda: done.append("theirs"))

    acquire(lock)
    bridge._release = release_and_be_asked
    bridge.dispose()
    bridge._release = release
    assert done == ["theirs"]
    assert_at_rest(lock)


def test_granted_again_before_it_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant was taken back, and comes from another thread as it lies down."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiter = AsyncioWaiter()
        create_future = loop.create_future

        def grant_and_create() -> Any:
            monkeypatch.undo()
            assert waiter.grant()
            return create_future()

        async def wait() -> bool:
            return await waiter.wait(None)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert waiter.grant()
        waiter.granted = False  # as a blocked thread takes it back
        monkeypatch.setattr(loop, "create_future", grant_and_create)
        assert await task  # not wait_for, which makes a future first

    asyncio.run(main())


def test_cancelled_amid_the_waking(trio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a signal handler. It is on its way to run, and has the lock."""
    lock = make_lock("thread")
    reschedule = trio.lowlevel.reschedule
    entered = False

    async def main() -> None:
        scope = trio.CancelScope()

        def cancel_and_reschedule(*args: Any) -> None:
            monkeypatch.undo()
            scope.cancel()
            reschedule(*args)

        async def one() -> None:
            nonlocal entered
            with scope:
                async with lock:
                    entered = True

        async with trio.open_nursery() as nursery, lock:
            nursery.start_soon(one)
            await queued(lock)
            monkeypatch.setattr(trio.lowlevel, "reschedule", cancel_and_reschedule)
        assert scope.cancel_called

    trio.run(main)
    assert entered
    assert_at_rest(lock)


def test_granted_before_it_parked(trio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the helper, which was faster; it lets others run nevertheless."""
    checkpoint = trio.lowlevel.cancel_shielded_checkpoint
    passed: list[str] = []

    async def pass_checkpoint() -> None:
        passed.append("checkpoint")
        await checkpoint()

    async def main() -> None:
        waiter = TrioWaiter()
        assert waiter.grant()
        monkeypatch.setattr(
            trio.lowlevel, "cancel_shielded_checkpoint", pass_checkpoint
        )
        assert await waiter.wait(None)
        monkeypatch.undo()

    trio.run(main)
    assert passed == ["checkpoint"]


# Forks


@forks
@pytest.mark.parametrize("colour", ["with", "async with", "try_acquire"])
def test_fork_while_a_task_is_granted_a_lock_that_is_not_reset(
    backend: Backend, colour: str
) -> None:
    """The grant is the parent's; in the child the lock is free."""
    lock = make_lock("thread")
    visits = 0

    async def one() -> None:
        nonlocal visits
        async with lock:
            visits += 1

    def child() -> None:
        if colour == "with":
            use(lock)
        elif colour == "async with":
            with in_thread(lambda: asyncio.run(one())):
                pass
        else:
            assert lock.try_acquire()
            lock.release()
        still_works(lock)

    async def main() -> None:
        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock))
            in_child(child)

    run(backend, main)
    assert visits == 1
    assert_at_rest(lock)


@forks
def test_fork_while_a_task_of_another_thread_is_granted_a_permit() -> None:
    """It stays taken, as what other threads had taken."""
    semaphore = make_semaphore("thread", 1)
    blocked, go_on = threading.Event(), threading.Event()

    async def one() -> None:
        async with semaphore:
            pass

    async def one_and_block() -> None:
        task = asyncio.ensure_future(one())
        await queued_for_a_permit(semaphore)
        blocked.set()
        assert go_on.wait(PATIENCE)
        await task

    def child() -> None:
        assert semaphore.locked()
        assert not semaphore.try_acquire()
        semaphore.release()
        assert semaphore.try_acquire()

    assert semaphore.try_acquire()
    with in_thread(lambda: asyncio.run(one_and_block())):
        assert blocked.wait(PATIENCE)
        bridge_of_semaphore(semaphore).dispose()
        until(lambda: granted_permits(semaphore) == 1)
        in_child(child)
        go_on.set()
    until(lambda: semaphore.value == 1)  # the helper was on its way, and lets go


class SwitchingBetween:
    """The guard of the slots, which something else gets before the first who asks."""

    def __init__(self, event: Callable[[], object]) -> None:
        self.guard = _thread.RLock()
        self.event: Callable[[], object] | None = event

    def __enter__(self) -> None:
        event, self.event = self.event, None
        if event is not None:
            event()
        self.guard.acquire()

    def __exit__(self, *_: object) -> None:
        self.guard.release()


def test_task_comes_in_while_a_child_makes_its_bridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or else the C methods come back while that task holds the lock."""
    lock = make_lock("thread")
    leave = threading.Event()

    async def hold() -> None:
        async with lock:
            await anyio.to_thread.run_sync(leave.wait, PATIENCE)

    with ExitStack() as threads:

        def come_in() -> None:
            threads.enter_context(in_thread(lambda: asyncio.run(hold())))
            until(lambda: bridge_of(lock).holder and bridge_of(lock).careful)

        def new_bridge(made: ThreadLock) -> LockBridge:
            monkeypatch.undo()
            bridge = made._new_bridge()
            switching: Any = SwitchingBetween(come_in)
            bridge.switching = switching
            return bridge

        use_in_a_task(lock)
        bridge_of(lock).of_this_process = False  # as a fork leaves it
        monkeypatch.setattr(ThreadLock, "_new_bridge", new_bridge)
        assert lock._live_bridge().of_this_process
        assert not is_native(lock)
        assert not lock.acquire(False)
        leave.set()
    assert_at_rest(lock)


def use_in_a_task(lock: Lock) -> None:
    async def one() -> None:
        async with lock:
            pass

    asyncio.run(one())


# A step is nothing that one could wait in.


def test_finalizer_gives_up_amid_a_step() -> None:
    semaphore = make_semaphore("thread", 1)
    answers: list[bool] = []

    async def one() -> None:
        async with semaphore:
            bridge = bridge_of_semaphore(semaphore)
            bridge._do(lambda: answers.append(semaphore.acquire(timeout=0.01)))

    run(ASYNCIO, lambda: all_done(one))
    assert answers == [False]
    assert semaphore.value == 1


def test_the_end_of_a_process_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The helper does not leave the turnstile: it is no longer run by Python."""
    lock = make_lock("process")
    use_in_a_task(lock)
    bridge = bridge_of(lock)
    monkeypatch.setattr(queue, "_PATIENCE", 0.01)
    with bridge._turnstile:
        bridge.retire()
    assert bridge._retired
