"""Re-entrant locks where a thread, a loop or a handler comes amid a hand-over."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import WouldDeadlock, make_rlock
from anylock._bridge.rlock import RLockBridge
from anylock._parking import this_thread
from depths import held_by_a_thread, on_loan, rbridge_of
from interruptions import Interrupted, still_works
from staging import PATIENCE, helpers, in_thread, queued, until, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import ThreadRLock
    from anylock._parking import Waiter


def test_loop_goes_on_in_another_thread() -> None:
    """The task leaves in another thread than it came in, as asyncio can do."""
    rlock = make_rlock("thread")
    loop = asyncio.new_event_loop()
    inside = loop.create_future()
    leave = loop.create_future()

    async def one() -> None:
        async with rlock:
            inside.set_result(None)
            await leave

    task = loop.create_task(one())
    with in_thread(lambda: loop.run_until_complete(inside)):
        pass
    leave.set_result(None)
    if sys.version_info < (3, 14):
        loop.run_until_complete(task)
        assert not rlock.locked()
        still_works(rlock)
    else:
        with pytest.raises(RuntimeError):
            loop.run_until_complete(task)
    loop.close()


def test_finalizer_waits_for_what_the_helper_hands_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for the frame below it."""
    rlock = make_rlock("thread")
    told: list[str] = []
    entrust = RLockBridge._entrust

    def entrust_amid_a_finalizer(bridge: RLockBridge, waiter: Waiter) -> None:
        with pytest.raises(WouldDeadlock, match="about to hand it on") as error:
            rlock.acquire()
        told.append(str(error.value))
        assert not rlock.acquire(timeout=0.01)
        entrust(bridge, waiter)

    async def main() -> None:
        async def one() -> None:
            async with rlock:
                assert on_loan(rlock)

        with held_by_a_thread(rlock) as leave:
            monkeypatch.setattr(RLockBridge, "_entrust", entrust_amid_a_finalizer)
            task = asyncio.ensure_future(one())
            await queued(rlock)
            leave()
            await task

    asyncio.run(main())
    assert len(told) == 1
    monkeypatch.undo()
    still_works(rlock)


class Elected:
    """A loop's thread that waits for the lock, and is elected as soon as it does."""

    def __init__(self, amid: Callable[[RLockBridge], object]) -> None:
        self.rlock = make_rlock("thread")
        self.amid = amid

    def run(self) -> None:
        asyncio.run(asyncio.wait_for(self.main(), PATIENCE))
        still_works(self.rlock)

    async def visit(self) -> None:
        async with self.rlock:
            pass

    async def main(self) -> None:
        async with self.rlock:
            task = asyncio.ensure_future(self.visit())
            await queued(self.rlock)
        self.amid(rbridge_of(self.rlock))
        await task


@pytest.mark.parametrize("has_it", [False, True])
def test_handler_raises_when_the_elected_is_about_to_take_the_lock(
    monkeypatch: pytest.MonkeyPatch, *, has_it: bool
) -> None:
    """Nothing stays locked behind the exception, and nothing is released."""

    def interrupted(bridge: RLockBridge, *_args: Any) -> None:
        monkeypatch.undo()
        assert bridge._elected is not None
        assert bridge._owned() == has_it
        raise Interrupted

    def amid(_bridge: RLockBridge) -> None:
        amid_what = "_withdraw" if has_it else "_acquire_in_turn"
        monkeypatch.setattr(RLockBridge, amid_what, interrupted)
        with pytest.raises(Interrupted):
            elected.rlock.acquire()

    elected = Elected(amid)
    elected.run()


class LateTurnstile:
    """A turnstile through which a thread gets at the third try."""

    def __init__(self, turnstile: Any) -> None:
        self.turnstile = turnstile
        self.thread = threading.get_ident()
        self.tries = 0

    def acquire(self, *args: Any) -> bool:
        if threading.get_ident() == self.thread:
            self.tries += 1
            if self.tries < 3:
                return False
        taken: bool = self.turnstile.acquire(*args)
        return taken

    def release(self) -> None:
        self.turnstile.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@pytest.mark.parametrize("timeout", [-1, PATIENCE])
def test_the_elected_tries_again(timeout: float) -> None:
    """Whoever was in front of it may hold the turnstile, and have the lock, so long."""
    tries: list[int] = []

    def amid(bridge: RLockBridge) -> None:
        me = threading.get_ident()
        acquire, turnstile = bridge._acquire, bridge._turnstile

        def acquire_later(*args: Any) -> bool:
            if bridge._elected is not None and threading.get_ident() == me:
                tries.append(1)
                return len(tries) > 3 and acquire(*args)
            return acquire(*args)

        until(lambda: not helpers(elected.rlock))
        late: Any = LateTurnstile(turnstile)
        bridge._acquire, bridge._turnstile = acquire_later, late
        assert elected.rlock.acquire(timeout=timeout)
        bridge._acquire, bridge._turnstile = acquire, turnstile
        elected.rlock.release()
        assert late.tries > 3

    elected = Elected(amid)
    elected.run()
    assert len(tries) == 4


def test_helper_gets_the_lock_after_a_thread_was_elected() -> None:
    """It was on its way already, and leaves the lock to the elected.

    A task leaves, whose step is not carried out yet when a loop's thread queues: so
    that one sends for a helper, and is elected right after.
    """
    rlock = make_rlock("thread")
    leave, entered = threading.Event(), threading.Event()
    order: list[str] = []

    async def hold() -> None:
        async with rlock:
            assert on_loan(rlock)
            entered.set()
            await anyio.to_thread.run_sync(leave.wait, PATIENCE)

    async def visit() -> None:
        async with rlock:
            order.append("task")

    def block() -> None:
        this_thread.marker.parks_tasks = True
        with rlock:
            order.append("thread")

    def run_visit() -> None:
        asyncio.run(visit())

    held = held_by_a_thread(rlock)
    leave_first = held.__enter__()
    with ExitStack() as threads:
        threads.enter_context(in_thread(lambda: asyncio.run(hold())))
        until(lambda: waiting(rlock) == 1)
        leave_first()
        held.__exit__(None, None, None)
        assert entered.wait(PATIENCE)
        stage_steps(rlock, threads, leave, block, run_visit)
    assert order == ["thread", "task"]
    still_works(rlock)


def stage_steps(
    rlock: ThreadRLock,
    threads: ExitStack,
    leave: threading.Event,
    *comers: Callable[[], object],
) -> None:
    """Let the comers queue and the task leave, in this order, while a step lasts."""
    bridge = rbridge_of(rlock)
    go_on = threading.Event()

    def last() -> None:
        assert go_on.wait(PATIENCE)

    threads.callback(go_on.set)
    threads.enter_context(in_thread(lambda: bridge._do(last)))
    until(lambda: len(bridge._mail) == 1)

    def comes(event: Callable[[], object]) -> None:
        before = len(bridge._mail)
        event()
        until(lambda: len(bridge._mail) > before)

    for comer in comers:
        comes(partial(threads.enter_context, in_thread(comer)))
    # The helper is to be there before the task has left.
    bridge._mail.append(lambda: until(bridge._turnstile.locked))
    comes(leave.set)
    go_on.set()
