"""One task that is parked and woken, and one step that is interrupted, close up.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import _parking, make_lock
from anylock._bridge.steps import Steps
from backends import ASYNCIO, TRIO, run
from staging import (
    PATIENCE,
    acquire,
    assert_at_rest,
    granted,
    in_thread,
    queued,
    until,
    until_in_task,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind
    from anylock._parking import Waiter
    from backends import Backend

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def test_a_step_that_is_interrupted_leaves_none_behind() -> None:
    """A signal handler raises in it, when another step has been left in the mail."""
    steps = Steps()
    carried_out: list[int] = []

    def interrupted() -> None:
        steps._do(lambda: carried_out.append(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps._do(interrupted)
    assert carried_out == [1]
    assert not steps._mail
    assert not steps._amid_steps()


@bridged
def test_who_lost_a_grant_sleeps_again(kind: LockKind) -> None:
    """Its thread took the lock in its place, and keeps it while the loop goes on."""

    async def main() -> None:
        lock = make_lock(kind)
        inside = False

        async def one() -> None:
            nonlocal inside
            async with lock:
                inside = True

        acquire(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            lock.release()
            until(lambda: granted(lock))
            lock.__enter__()
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            assert not inside
            lock.__exit__(None, None, None)
        assert_at_rest(lock)

    run(ASYNCIO, main)


def grant(waiter: Waiter) -> None:
    assert waiter.grant()


def fail(waiter: Waiter) -> None:
    waiter.fail(OSError())


@pytest.mark.parametrize("event", [grant, fail])
def test_woken_while_it_falls_asleep_again(event: Callable[[Waiter], None]) -> None:
    """Its grant was taken back; the next one comes before it has a future again."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        waiter = _parking.AsyncioWaiter()
        task = asyncio.ensure_future(waiter.wait(None))
        await asyncio.sleep(0)
        waiter.grant()
        waiter.granted = False
        make = loop.create_future

        def meanwhile() -> Any:
            del loop.create_future
            event(waiter)
            return make()

        loop.create_future = meanwhile
        await until_in_task(task.done)
        if event is grant:
            assert task.result()
        else:
            assert isinstance(task.exception(), OSError)

    asyncio.run(main())


def test_a_wait_leaves_no_timer() -> None:
    """Or else a loop would keep one for each wait, as long as its time-out is."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []
        call_later = loop.call_later

        def noted(*args: Any) -> asyncio.TimerHandle:
            timers.append(call_later(*args))
            return timers[-1]

        loop.call_later = noted
        waiter = _parking.AsyncioWaiter()
        grant(waiter)
        assert await waiter.wait(60.0)
        assert [timer.cancelled() for timer in timers] == [True]

    asyncio.run(main())


def test_granted_before_it_falls_asleep(backend: Backend) -> None:
    async def main() -> None:
        waiter = _parking.new_waiter()
        grant(waiter)
        with anyio.fail_after(PATIENCE):
            assert await waiter.wait(None)

    run(backend, main)


def test_granted_before_it_falls_asleep_it_makes_a_checkpoint() -> None:
    async def main() -> None:
        waiter = _parking.new_waiter()
        grant(waiter)
        waiting = waiter.wait(None)
        waiting.send(None)
        waiting.close()

    run(TRIO, main)


def test_who_has_just_been_woken_is_not_cancelled() -> None:
    """By a signal handler: trio must not throw the cancellation into its wait."""

    async def main() -> None:
        from trio.lowlevel import Abort

        waiter = _parking.new_waiter()
        assert isinstance(waiter, _parking.TrioWaiter)
        assert waiter._abort(lambda: None) is Abort.FAILED

    run(TRIO, main)


def test_the_loop_of_a_waiter_is_known(backend: Backend) -> None:
    async def main() -> None:
        waiter = _parking.new_waiter()
        assert waiter.loop is not None
        assert _parking.loop_of(waiter) is waiter.loop

    run(backend, main)


def test_asyncio_is_met_where_it_runs() -> None:
    """Whoever imports it after us; the first look already tells who runs here."""

    async def main() -> None:
        assert _parking._meet_asyncio() is True
        assert _parking._first_loop() is asyncio.get_running_loop()
        assert _parking._first_actor() == _parking.asyncio_actor()
        assert _parking._first_actor()

    asyncio.run(main())


def test_a_loop_that_goes_on_in_another_thread() -> None:
    """To wait for its tasks in the thread that it began in is no deadlock."""
    loop = asyncio.new_event_loop()
    leave = threading.Event()

    async def one() -> Any:
        return _parking.current_actor()

    async def go_on() -> None:
        await until_in_task(leave.is_set)

    actor = loop.run_until_complete(one())
    assert not _parking.runs_elsewhere(actor)
    with in_thread(lambda: loop.run_until_complete(go_on())):
        until(loop.is_running)
        try:
            assert _parking.runs_elsewhere(actor)
        finally:
            leave.set()
    loop.close()
