"""The kind "async" at its edges: no event loop, a grant, a worker, a closed wait."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    AsyncLock,
    LockNotHeldError,
    SemaphoreOverReleased,
    _parking,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from anylock._async import lock, rlock, semaphore
from backends import ASYNCIO, Backend, run
from staging import Section, all_done

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MAKERS: dict[str, Callable[[], Any]] = {
    "lock": partial(make_lock, "async"),
    "rlock": partial(make_rlock, "async"),
    "semaphore": partial(make_semaphore, "async", 1),
    "bounded": partial(make_semaphore, "async", 1, bounded=True),
}
family = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def by_hand(coroutine: Coroutine[Any, Any, Any]) -> object:
    """Run a coroutine that need not wait, without an event loop."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


def permits(thing: Any) -> int:
    """Tell how many may enter at this moment."""
    value: int = getattr(thing, "value", 1)
    return 0 if thing.locked() else value


@family
def test_asyncio_as_it_tells_of_its_tasks_since_python_3_12(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`asyncio.current_task` is there in all versions; in older ones it is slow."""
    for module in (_parking, lock, rlock, semaphore):
        monkeypatch.setattr(module, "asyncio_actor", asyncio.current_task)
        monkeypatch.setattr(module, "ACTORS_ARE_SNAPSHOTS", False)
    thing = make()
    section = Section()

    async def one() -> None:
        assert _parking.current_actor() is asyncio.current_task()
        for way_in in (thing, thing.hold()):
            async with way_in:
                with section:
                    await checkpoint()

    asyncio.run(all_done(one, one, one))
    assert (section.count, section.overlaps) == (6, 0)
    by_hand(thing.__aenter__())  # where that raises RuntimeError
    assert thing.locked()
    by_hand(thing.__aexit__(None, None, None))
    assert permits(thing) == 1


@family
def test_no_loop_to_wait_in(make: Callable[[], Any]) -> None:
    thing = make()
    by_hand(thing.hold().__aenter__())
    entering: Any = thing.__aenter__()
    if isinstance(thing, rlock.AsyncRLock):
        by_hand(entering)
        thing.release()
    else:
        with pytest.raises(RuntimeError, match="event loop"):
            entering.send(None)
    thing.release()
    assert permits(thing) == 1


def test_granted_is_not_held_yet() -> None:
    """Who releases twice does not take it from the one who was granted it."""

    async def main() -> None:
        lock = AsyncLock("the-lock")
        entered = False

        async def one() -> None:
            nonlocal entered
            async with lock:
                entered = True

        await lock.acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            while not lock._waiters:
                await checkpoint()
            lock.release()
            with pytest.raises(LockNotHeldError):
                lock.release()
            assert lock.locked()
        assert entered

    run(ASYNCIO, main)


def test_worker_releases_too_often(backend: Backend) -> None:
    """It is told by the error of the loop's thread, where it was tried once."""
    semaphore = make_semaphore("async", 1, bounded=True)

    async def main() -> None:
        with pytest.raises(SemaphoreOverReleased):
            await anyio.to_thread.run_sync(semaphore.release)
        assert semaphore.value == 1

    run(backend, main)


@pytest.mark.parametrize("make_inner", [make_lock, make_rlock])
def test_closed_in_a_wait_while_somebody_holds_the_lock(
    make_inner: Callable[..., Any],
) -> None:
    """Nobody has ever had to wait for the lock: the one who holds it is the first."""

    async def main() -> None:
        lock = make_inner("async")
        condition: Any = make_condition("async", lock)

        async def sit() -> None:
            async with condition:
                await condition.wait()

        async def hold() -> None:
            async with lock:
                kept = lock._kept()
                assert lock._waiters is None
                sitting.close()
                assert lock._kept() == kept

        sitting = sit()
        sitting.send(None)
        await all_done(hold)
        assert not lock.locked()

    asyncio.run(main())


def test_a_hold_says_what_it_holds() -> None:
    hold = make_lock("async", name="the-lock").hold(2.5)
    assert "the-lock" in repr(hold)
    assert "timeout=2.5" in repr(hold)
