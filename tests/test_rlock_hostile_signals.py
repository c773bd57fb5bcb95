"""Re-entrant locks amid signal handlers and finalizers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout, make_rlock
from depths import (
    NOT_HELD,
    held_by_a_thread,
    in_worker,
    rbridge_of,
    rlock,
)
from interruptions import (
    Interrupted,
    interrupt,
    interrupt_at,
    not_between_instructions,
    run_points,
    still_works,
    weather,
)
from staging import (
    PATIENCE,
    assert_at_rest,
    enter,
    is_native,
    queued,
)
from test_signals import held_by_a_task

if TYPE_CHECKING:
    from anylock import Lock, LockKind
    from depths import BridgedRLock

__all__ = ["rlock"]

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


@bridged
@pytest.mark.timeout(method="thread")  # the other method needs the same timer
def test_storm_of_signals_over_the_native_with(kind: LockKind) -> None:
    lock = make_rlock(kind)
    for _ in range(20):
        weather(lock, 20)
        assert not lock.locked()
        with lock:
            weather(lock, 20)
            assert lock.locked()
    assert_at_rest(lock)


@bridged
@not_between_instructions
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_handler_raises_at_every_point_of_a_careful_way_in(
    kind: LockKind, timeout: float | None
) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_rlock(kind)
        context: Any = lock if timeout is None else lock.hold(timeout)
        with held_by_a_task(lock) as leave:
            assert not is_native(lock)
            leaving = threading.Timer(0.01, leave)  # when we wait for the lock
            leaving.start()
            try:
                with interrupt_at(point, interrupt, where), context:
                    sys.setprofile(None)
            except Interrupted:
                pass
            leave()
            leaving.join()
        still_works(lock)

    run_points(attempt, parks=False)


@bridged
def test_handler_enters_what_its_thread_uses(kind: LockKind) -> None:
    """At every point; it gets in where its own thread holds the lock, or nobody."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make_rlock(kind)

        def handler() -> None:
            with contextlib.suppress(LockTimeout), lock.hold(0.0005):
                with lock:
                    pass
                assert lock.try_acquire()
                lock.release()
            if lock.try_acquire():
                lock.release()

        async def one() -> None:
            async with lock, lock:
                pass

        async def main() -> None:
            waiters = [asyncio.ensure_future(one()) for _ in range(2)]
            with interrupt_at(point, handler, where), lock:
                with contextlib.suppress(LockTimeout):
                    await enter(lock, 0.001)
                with lock:
                    pass
            await asyncio.wait(waiters, timeout=PATIENCE)
            assert all(task.done() for task in waiters)
            for task in waiters:
                task.exception()

        asyncio.run(main())
        still_works(lock)

    run_points(attempt, parks=False)


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_handler_waits_for_what_its_thread_is_about_to_have(
    rlock: BridgedRLock, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame below has the turnstile, and goes on when the handler is done."""
    entered: list[int] = []

    def handle() -> None:
        with rlock if timeout is None else rlock.hold(timeout):
            entered.append(1)

    async def one() -> None:
        async with rlock:
            pass

    async def main() -> None:
        async with rlock:
            bridge = rbridge_of(rlock)
            waiting_task = asyncio.ensure_future(one())
            await queued(rlock)
        acquire = bridge._acquire

        def interrupted(*args: Any) -> bool:
            # In place of a signal that comes while the C method waits.
            if bridge._elected is not None and not entered:
                entered.append(0)
                handle()
            return acquire(*args)

        monkeypatch.setattr(bridge, "_acquire", interrupted)
        with rlock:
            pass
        await waiting_task
        assert entered == [0, 1]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    still_works(rlock)


@bridged
def test_handler_tries_what_its_task_takes(kind: LockKind) -> None:
    """Amid the exchange of the slots, too: it leaves as it came in."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make_rlock(kind)

        def handler() -> None:
            if lock.try_acquire():
                lock.release()

        async def main() -> None:
            with interrupt_at(point, handler, where):
                async with lock:
                    in_worker(lambda: refused(lock))
                    await asyncio.sleep(0)

        asyncio.run(main())
        still_works(lock)

    run_points(attempt, parks=False)


def refused(lock: Lock) -> None:
    assert lock.locked()
    assert not lock.try_acquire()


def test_finalizer_in_the_helper_does_not_get_in(
    rlock: BridgedRLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper has the inner lock for a task, and runs whatever finalizers run."""
    from anylock._parking import AsyncioWaiter

    wake = AsyncioWaiter._unpark
    taken: list[bool] = []

    def unpark(waiter: AsyncioWaiter) -> bool:
        if waiter.granted:
            taken.append(rlock.try_acquire())
            with pytest.raises(NOT_HELD):
                rlock.release()
            with pytest.raises(LockTimeout), rlock.hold(0):
                pass
        return wake(waiter)

    async def main() -> None:
        with held_by_a_thread(rlock) as leave:
            waits = asyncio.ensure_future(enter(rlock))
            await queued(rlock)
            monkeypatch.setattr(AsyncioWaiter, "_unpark", unpark)
            leave()
            await waits
            monkeypatch.undo()

    asyncio.run(main())
    assert taken == [False]
