"""Rare moments, staged one by one.

Of the list "what must never happen" in the design, lines 1 to 3 and 5 are tested in
test_cancellation.py, 4, 12 and 13 in test_loops.py, 6, 7 and 14 in test_many_loops.py,
8 and 10 in test_giving_up.py, 9 in test_fork.py, 11 in test_fairness.py, 13 and 14 in
test_deadlock.py. Here is what hides between two lines of code, or needs a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections import OrderedDict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, make_lock
from backends import ASYNCIO, Backend, run
from staging import (
    PATIENCE,
    Section,
    acquire,
    all_done,
    assert_at_rest,
    bridge_of,
    enter,
    granted,
    helpers,
    in_thread,
    queued,
    until,
    waiting,
)

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from typing_extensions import Self

    from anylock import LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


class Meanwhile(OrderedDict[Any, None]):
    """A queue in which something happens while somebody looks whether it is empty."""

    def __init__(
        self, queue: OrderedDict[Any, None], event: Callable[[], None]
    ) -> None:
        super().__init__(queue)
        self.event: Callable[[], None] | None = event

    def __len__(self) -> int:
        event, self.event = self.event, None
        if event is not None:
            event()
        return super().__len__()


@bridged
def test_bridge_is_busy_throughout_a_grant(kind: LockKind) -> None:
    """A look at the bridge, interrupted by a whole grant, still finds it busy.

    Or else the C methods come back while a task holds the lock, and its release by
    them leaves the bridge waiting for that task to leave, for ever.
    """

    async def main() -> None:
        lock = make_lock(kind)

        def grant() -> None:
            lock.release()
            until(lambda: granted(lock))

        async def one() -> None:
            async with lock:
                pass

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            bridge = bridge_of(lock)
            bridge._queue = Meanwhile(bridge._queue, grant)
            assert bridge.busy
            assert granted(lock)
        assert_at_rest(lock)

    run(ASYNCIO, main)


@bridged
def test_grant_meets_the_end_of_a_wait_and_of_its_loop(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The granting thread is stopped half-way; meanwhile the waiter takes the lock.

    Its time is over just now, so it wakes by itself, finds the grant, uses the lock,
    leaves, and its loop is closed. That it cannot be woken then does not mean that
    it has never had the lock.
    """
    from anylock._parking import AsyncioWaiter

    lock = make_lock(kind)
    section = Section()
    stopped, go_on = threading.Event(), threading.Event()
    wake = AsyncioWaiter._unpark
    first_loop: list[asyncio.AbstractEventLoop] = []

    def unpark(waiter: AsyncioWaiter) -> bool:
        if waiter.loop in first_loop and waiter.granted and not stopped.is_set():
            stopped.set()
            assert go_on.wait(PATIENCE)
        return wake(waiter)

    async def first() -> None:
        first_loop.append(asyncio.get_running_loop())
        async with lock.hold(0.5):
            with section:
                pass

    async def one() -> None:
        async with lock:
            with section:
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    monkeypatch.setattr(AsyncioWaiter, "_unpark", unpark)
    acquire(lock)
    with ExitStack() as threads:
        with in_thread(lambda: asyncio.run(first())):
            until(lambda: waiting(lock) == 1)
            threads.enter_context(in_thread(lambda: asyncio.run(all_done(*[one] * 3))))
            until(lambda: waiting(lock) == 4)
            lock.release()
            assert stopped.wait(PATIENCE)
        assert section.count == 1
        go_on.set()
    assert (section.count, section.overlaps) == (4, 0)
    assert_at_rest(lock)


@bridged
def test_task_comes_back_before_its_withdrawal_is_carried_out(
    backend: Backend, kind: LockKind
) -> None:
    """It was granted the lock, but gave up waiting; so it does not hold it.

    The withdrawal is left to another thread, which is amid a step of the bridge.
    """

    async def main() -> None:
        lock = make_lock(kind)
        scope = anyio.CancelScope()
        section = Section()
        amid, go_on = threading.Event(), threading.Event()

        def step() -> None:
            amid.set()
            assert go_on.wait(PATIENCE)

        async def one() -> None:
            with scope:
                async with lock:
                    raise AssertionError
            async with lock:
                section.update()

        async def others() -> None:
            for _ in range(5):
                await checkpoint()
            go_on.set()

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock) and not bridge_of(lock)._mail)
            with in_thread(lambda: bridge_of(lock)._do(step)):
                assert amid.wait(PATIENCE)
                scope.cancel()
                await all_done(others)
        assert (section.count, section.overlaps) == (1, 0)
        assert_at_rest(lock)

    run(backend, main)


@bridged
def test_thread_gives_up_while_another_takes_a_grant_back_for_it(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop's thread blocks before a task of its own that was granted the lock.

    Another thread carries that out, and is just about to take the grant back when the
    time of the blocking thread is over. So the task runs, and has the lock.
    """
    from anylock._blocking import BlockedThread

    goes_on = [threading.Event(), threading.Event(), threading.Event()]
    amid, looked, gave = threading.Event(), threading.Event(), threading.Event()
    look, give = BlockedThread.keeps_from_running, BlockedThread._unpark

    def step() -> None:
        amid.set()
        assert goes_on[0].wait(PATIENCE)

    def keeps_from_running(blocked: BlockedThread, waiter: Any) -> bool:
        found = look(blocked, waiter)
        looked.set()
        goes_on[1].wait(0.5)
        return found

    def unpark(blocked: BlockedThread) -> bool:
        gave.set()
        goes_on[2].wait(0.5)
        return give(blocked)

    async def main() -> None:
        lock = make_lock(kind)

        async def one() -> None:
            async with lock:
                goes_on[1].set()
                # Without a bug the grant is not given to the one who gave up.
                gave.wait(0.1)
            goes_on[2].set()

        def open_gate() -> None:
            until(lambda: len(bridge_of(lock)._mail) > 1)
            goes_on[0].set()

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock) and not bridge_of(lock)._mail)
            with in_thread(lambda: bridge_of(lock)._do(step)):
                assert amid.wait(PATIENCE)
                monkeypatch.setattr(
                    BlockedThread, "keeps_from_running", keeps_from_running
                )
                monkeypatch.setattr(BlockedThread, "_unpark", unpark)
                with (
                    in_thread(open_gate),
                    contextlib.suppress(LockTimeout),
                    lock.hold(0.05),
                ):
                    pass
                assert looked.is_set()
                await checkpoint()
                await checkpoint()
        monkeypatch.undo()
        assert_at_rest(lock)

    run(ASYNCIO, main)


@bridged
def test_loop_of_a_waiter_ends_while_another_looks_at_it(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that is closed now may have run the waiter a moment ago.

    Who looks for waiters that are gone is stopped between its two questions: whether
    the waiter has run since the grant, and whether its loop is closed.
    """
    from anylock._parking import AsyncioWaiter

    lock = make_lock(kind)
    section = Section()
    stopped, go_on = threading.Event(), threading.Event()
    look = vars(AsyncioWaiter)["gone"].fget
    loop = asyncio.new_event_loop()

    def gone(waiter: AsyncioWaiter) -> bool:
        if waiter.loop is loop and not stopped.is_set():
            stopped.set()
            go_on.wait(PATIENCE)
        return bool(look(waiter))

    async def one() -> None:
        async with lock:
            with section:
                await asyncio.sleep(0)

    acquire(lock)
    task = loop.create_task(one())
    loop.run_until_complete(asyncio.sleep(0))
    lock.release()
    until(lambda: granted(lock) and not bridge_of(lock)._mail)
    monkeypatch.setattr(AsyncioWaiter, "gone", property(gone))
    with in_thread(lambda: asyncio.run(all_done(one, one))):
        assert stopped.wait(PATIENCE)
        loop.run_until_complete(task)
        loop.close()
        go_on.set()
    assert (section.count, section.overlaps) == (3, 0)
    assert_at_rest(lock)


class ClosedAmidACall(asyncio.SelectorEventLoop):
    """Is closed while another thread is just calling `call_soon_threadsafe`.

    That goes by the same parts as the original does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.called, self.closed = threading.Event(), threading.Event()

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        plain: Any = self
        plain._check_closed()
        self.called.set()
        assert self.closed.wait(PATIENCE)
        handle: asyncio.Handle = plain._call_soon(callback, args, context)
        plain._write_to_self()
        return handle

    def close(self) -> None:
        super().close()
        self.closed.set()


@bridged
@pytest.mark.parametrize("follower", ["thread", "task"])
def test_loop_is_closed_amid_a_grant(kind: LockKind, follower: str) -> None:
    """Line 4: those who wait already must not wait for somebody new to come."""
    lock = make_lock(kind)
    section = Section()
    started = threading.Event()

    async def one() -> None:
        async with lock:
            section.update()

    def follow() -> None:
        started.set()
        if follower == "thread":
            with lock:
                section.update()
        else:
            asyncio.run(all_done(one))

    loop = ClosedAmidACall()
    loop.set_exception_handler(lambda _loop, _context: None)
    acquire(lock)
    task = loop.create_task(one())
    loop.run_until_complete(asyncio.sleep(0))
    until(bridge_of(lock)._turnstile.locked)
    with in_thread(follow):
        if follower == "task":
            until(lambda: waiting(lock) == 2)
        else:
            assert started.wait(PATIENCE)
        lock.release()
        assert loop.called.wait(PATIENCE)
        loop.close()
        del task, loop
        gc.collect()
    assert (section.count, section.overlaps) == (1, 0)
    assert_at_rest(lock)


class NoThreads:
    """Has no thread to give, from the start or later, until told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.asked = 0

    def start_new_thread(self, *_args: object) -> int:
        self.asked += 1
        message = "can't start new thread"
        raise RuntimeError(message)

    def __enter__(self) -> Self:
        # Not where `threading` finds it: that has kept its own reference.
        self.patch.setattr("_thread.start_new_thread", self.start_new_thread)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.patch.undo()


@bridged
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_no_more_threads_for_a_lock_that_a_thread_holds(
    backend: Backend,
    kind: LockKind,
    timeout: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever would wait for a helper is told that there is none."""

    async def main() -> None:
        lock = make_lock(kind)
        refused = 0

        async def one() -> None:
            nonlocal refused
            try:
                await enter(lock, timeout)
            except RuntimeError as error:
                assert "can't start new thread" in str(error)  # noqa: PT017 - of many tasks
                refused += 1

        acquire(lock)
        with NoThreads(monkeypatch) as none:
            await all_done(one, one, one)
        assert (refused, none.asked) == (3, 3)
        assert waiting(lock) == 0
        assert not helpers(lock)
        lock.release()
        await enter(lock, timeout)
        lock.release()
        assert_at_rest(lock)

    run(backend, main)


@bridged
def test_no_more_threads_when_tasks_make_room_for_threads(
    backend: Backend, kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same amid a hand-off: nobody waits for ever, and nothing stays locked."""
    from anylock._bridge import queue

    async def main() -> None:
        lock = make_lock(kind)
        ended = 0

        async def one() -> None:
            nonlocal ended
            try:
                async with lock:
                    await checkpoint()
            except RuntimeError as error:
                assert "can't start new thread" in str(error)  # noqa: PT017 - of many tasks
            ended += 1

        with NoThreads(monkeypatch):
            monkeypatch.setattr(queue, "TENURE", 0.0)
            await all_done(*[one] * 5)
        assert ended == 5
        assert_at_rest(lock)

    run(backend, main)
