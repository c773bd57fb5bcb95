"""AsyncCondition: closed loops, worker threads, and the locks it takes."""

from __future__ import annotations

import asyncio
import gc
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from anylock import (
    AsyncCondition,
    AsyncLock,
    AsyncRLock,
    Condition,
    LockNotHeldError,
    LockTimeout,
    WouldDeadlock,
    make_condition,
    make_lock,
)
from backends import Backend, run
from guests import Table, assert_at_rest, queued, waiting
from staging import PATIENCE, all_done

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=[AsyncLock, AsyncRLock])
def condition(request: pytest.FixtureRequest) -> AsyncCondition:
    return AsyncCondition(request.param("basket"))


# Loops that are closed


def test_waiters_of_a_closed_loop_do_not_count(
    backend: Backend, condition: AsyncCondition
) -> None:
    loop = asyncio.new_event_loop()
    old = Table(condition)
    tasks: list[Any] = [loop.create_task(old.sit(number)) for number in range(3)]
    loop.run_until_complete(waiting(condition, 3))
    loop.close()
    table = Table(condition)

    async def call() -> None:
        await waiting(condition, 5)
        await table.call(2)

    run(backend, all_done, partial(table.sit, 10), partial(table.sit, 11), call)
    assert sorted(table.served) == [10, 11]
    assert old.served == []
    for task in tasks:
        task._log_destroy_pending = False
        del task
    tasks.clear()
    gc.collect()
    assert_at_rest(condition)


@pytest.mark.parametrize("held", [False, True])
def test_closed_in_a_wait(condition: AsyncCondition, *, held: bool) -> None:
    """A coroutine that is closed cannot wait: it must not take the lock from others."""

    async def main() -> None:
        table = Table(condition)
        sitting = table.sit(0)
        sitting.send(None)
        assert len(condition._notices) == 1
        if held:
            await all_done(partial(hold_meanwhile, sitting.close))
        else:
            sitting.close()
        assert table.gone == [0]

    async def hold_meanwhile(close: Callable[[], None]) -> None:
        async with condition, anyio.create_task_group() as tasks:
            tasks.start_soon(condition.acquire, True, 0.01)
            await queued(condition)
            kept = condition._lock._kept()
            close()
            assert condition._lock._kept() == kept
            condition.notify()  # it is still held here

    asyncio.run(main())
    assert_at_rest(condition)


# Worker threads, and the small print


def test_a_worker_notifies(backend: Backend, condition: AsyncCondition) -> None:
    table = Table(condition)

    def call() -> None:
        with pytest.raises(LockNotHeldError):
            condition.notify()
        with condition:
            condition.notify()
        with condition.hold(PATIENCE) as entered:
            assert entered is condition
            condition.notify_all()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(table.sit, number)
            await waiting(condition, 3)
            await anyio.to_thread.run_sync(call)

    run(backend, main)
    assert sorted(table.served) == [0, 1, 2]
    assert_at_rest(condition)


def test_the_lock_it_is(backend: Backend) -> None:
    lock = make_lock("async", name="basket")
    condition = make_condition("async", lock)
    assert isinstance(make_condition(None, lock), AsyncCondition)
    assert isinstance(condition, Condition)
    assert (condition.kind, condition.name) == ("async", "basket")

    async def main() -> None:
        async with lock.hold(1), anyio.create_task_group() as tasks:
            assert condition.locked()
            assert not condition.try_acquire()
            with pytest.raises(WouldDeadlock):
                await condition.acquire()
            tasks.start_soon(refused)
        with pytest.raises(WouldDeadlock):
            condition.__enter__()

    async def refused() -> None:
        with pytest.raises(LockTimeout, match="'basket'"):
            await condition.hold(0).__aenter__()

    run(backend, main)
    for wrong in (asyncio.Lock(), make_lock("thread"), 1):
        with pytest.raises(TypeError, match="make_lock"):
            AsyncCondition(wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="name"):
        AsyncCondition(None, 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="make_condition"):
        pickle.dumps(condition)
