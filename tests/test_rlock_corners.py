"""Re-entrant locks where a thread, a loop or a handler comes amid a hand-over."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import WouldDeadlock, make_rlock
from anylock._blocking import acquired
from anylock._bridge.rlock import RLockBridge
from anylock._parking import this_thread
from depths import held_by_a_thread, on_loan, rbridge_of
from interruptions import Interrupted, still_works
from staging import PATIENCE, helpers, in_thread, queued, until, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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


@contextmanager
def elections_last(monkeypatch: pytest.MonkeyPatch) -> Generator[threading.Event]:
    """Who is elected has the lock, but the step that ends the election waits.

    Another thread is amid the steps until it may go on.
    """
    in_turn = RLockBridge._acquire_in_turn
    at_the_steps, go_on = threading.Event(), threading.Event()

    def amid_a_step() -> None:
        at_the_steps.set()
        assert go_on.wait(PATIENCE)

    def acquire_amid_a_step(bridge: RLockBridge, deadline: float | None) -> bool:
        had = in_turn(bridge, deadline)
        threading.Thread(target=bridge._do, args=(amid_a_step,)).start()
        assert at_the_steps.wait(PATIENCE)
        return had

    monkeypatch.setattr(RLockBridge, "_acquire_in_turn", acquire_amid_a_step)
    try:
        yield go_on
    finally:
        monkeypatch.undo()
        go_on.set()


@pytest.mark.parametrize("timeout", [-1, PATIENCE])
def test_elected_comes_again_before_its_election_is_over(
    monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """It waits in the queue: out of it, it would wait for a task of its own thread."""
    me = threading.get_ident()

    def amid(bridge: RLockBridge) -> None:
        with elections_last(monkeypatch) as go_on:
            elected.rlock.acquire()
            assert bridge._elected is not None
            elected.rlock.release()

            def acquire_when_it_is_over(*args: Any) -> bool:
                if threading.get_ident() == me and not go_on.is_set():
                    go_on.set()
                    until(lambda: bridge.holder is not None)
                return acquired(*args)

            late = "anylock._bridge.rlock.acquired"
            monkeypatch.setattr(late, acquire_when_it_is_over)
            assert elected.rlock.acquire(timeout=timeout)
        elected.rlock.release()

    elected = Elected(amid)
    elected.run()


def test_others_come_before_the_election_of_their_thread_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are told of a deadlock: the thread has the lock, but for a task."""
    rlock: Any = make_rlock("thread")
    condition = threading.Condition(rlock)

    async def visit() -> None:
        async with rlock:
            pass

    async def other() -> None:
        with pytest.raises(WouldDeadlock):
            rlock.acquire()

    async def main() -> None:
        async with rlock:
            task = asyncio.ensure_future(visit())
            await queued(rlock)
            with elections_last(monkeypatch):
                assert not condition.wait(0.01)
                assert rbridge_of(rlock)._elected is not None
                await asyncio.ensure_future(other())
        await task

    asyncio.run(main())
    still_works(rlock)


@pytest.mark.parametrize("timeout", [0, 0.2])
def test_handler_runs_out_of_time_amid_an_election(
    monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """It has the whole of its time, and leaves the election alone."""
    told: list[bool] = []

    def amid(bridge: RLockBridge) -> None:
        in_turn = RLockBridge._acquire_in_turn

        def interrupted(bridge: RLockBridge, deadline: float | None) -> bool:
            with held_by_a_thread(elected.rlock):
                told.append(elected.rlock.acquire(timeout=timeout))
            return in_turn(bridge, deadline)

        monkeypatch.setattr(RLockBridge, "_acquire_in_turn", interrupted)
        elected.rlock.acquire()
        assert bridge.held_by_thread()
        elected.rlock.release()

    elected = Elected(amid)
    elected.run()
    assert told == [False]


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
