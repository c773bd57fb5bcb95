"""Read-write locks: event loops that are closed, or come one after the other."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from anylock import RWLock, WrongEventLoop, make_rwlock
from backends import ASYNCIO, Backend, run
from readers import assert_at_rest, passage_of, waiting
from staging import (
    PATIENCE,
    all_done,
    enter,
    in_thread,
    until,
    until_in_task,
    use,
)

if TYPE_CHECKING:
    from readers import SideName


def leave_behind(lock: RWLock, *sides: SideName) -> list[Any]:
    """Have tasks wait in an event loop that is closed; they are not collected."""
    kept: list[Any] = []
    loop = asyncio.new_event_loop()
    for number, side in enumerate(sides, 1):
        kept.append(loop.create_task(enter(getattr(lock, side))))
        loop.run_until_complete(until_in_task(lambda: waiting(lock) >= number))  # noqa: B023 - called here only
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.close()
    kept.append(loop)
    return kept


def forget(kept: list[Any]) -> None:
    """Have them collected now; it may have been done."""
    for task in kept[:-1]:
        task._log_destroy_pending = False
    kept.clear()
    gc.collect()


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "collected"])
def test_a_writer_whose_loop_is_closed(kept: bool) -> None:  # noqa: FBT001
    """It has the turnstile; whoever leaves or comes takes that from it."""
    lock = make_rwlock("thread")
    with lock.read:
        gone = leave_behind(lock, "write", "read")
        if not kept:
            forget(gone)
    with in_thread(lambda: use(lock.write)):
        pass
    with in_thread(lambda: use(lock.read)):
        pass
    forget(gone)
    assert_at_rest(lock)


def test_a_newcomer_passes_over_a_closed_loop() -> None:
    """Readers are still inside, so that nobody has left."""
    for side in ("read", "write"):
        lock = make_rwlock("thread")
        lock.read.acquire()
        gone = leave_behind(lock, "write")

        async def come(side: Any = lock.read) -> None:
            async with side.hold(PATIENCE):
                pass

        if side == "read":
            asyncio.run(come())
            with in_thread(lambda: use(lock.read)):  # noqa: B023 - called here only
                pass
        lock.read.release()
        asyncio.run(come(lock.write))
        forget(gone)
        assert_at_rest(lock)


def test_somebody_waits_behind_a_writer_when_its_loop_is_closed() -> None:
    """Whoever comes could take it away; here nobody comes, but the reader leaves."""
    lock = make_rwlock("thread")
    lock.read.acquire()
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(enter(lock.write))
    loop.run_until_complete(until_in_task(lambda: waiting(lock) == 1))
    with in_thread(lambda: use(lock.read)):
        until(passage_of(lock).first.locked)
        loop.close()
        lock.read.release()
    task._log_destroy_pending = False
    assert_at_rest(lock)


def test_a_woken_writer_whose_loop_is_closed() -> None:
    """It was told that the readers have left, and will never know."""
    lock = make_rwlock("thread")
    lock.read.acquire()
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(enter(lock.write))
    loop.run_until_complete(until_in_task(lambda: waiting(lock) == 1))
    with in_thread(lock.read.release):
        pass
    until(lambda: all(waiter.granted for waiter in passage_of(lock).arriving))
    loop.close()
    task._log_destroy_pending = False
    del task, loop
    gc.collect()
    assert_at_rest(lock)


def test_loops_one_after_the_other(backend: Backend) -> None:
    lock = make_rwlock("async")

    async def main() -> None:
        async def use(side: Any) -> None:
            async with side:
                await checkpoint()

        sides = [lock.read, lock.write, lock.read]
        await all_done(*[(lambda side=side: use(side)) for side in sides])

    for _ in range(2):
        run(backend, main)
        run(ASYNCIO, main)
    assert_at_rest(lock)


def test_an_async_writer_whose_loop_is_closed() -> None:
    lock = make_rwlock("async")
    lock.read.try_acquire()
    gone = leave_behind(lock, "write", "read")
    lock.read.release()

    async def main() -> None:
        async with lock.read:
            pass
        async with lock.write:
            pass

    asyncio.run(main())
    forget(gone)
    assert_at_rest(lock)


def test_the_kind_async_refuses_a_second_loop() -> None:
    lock = make_rwlock("async", name="table")

    async def first() -> None:
        async with lock.read:
            with in_thread(lambda: asyncio.run(second())):
                pass

    async def second() -> None:
        with pytest.raises(WrongEventLoop, match=r"make_rwlock\('thread'\)"):
            async with lock.write:
                pass
        async with lock.read:  # but nobody has to wait here
            pass

    asyncio.run(first())
    assert_at_rest(lock)

    async def third() -> None:
        async with lock.write:
            with in_thread(lambda: asyncio.run(fourth())):
                pass

    async def fourth() -> None:
        for side in (lock.read, lock.write):
            with pytest.raises(WrongEventLoop, match=r"make_rwlock\('thread'\)"):
                async with side:
                    pass

    asyncio.run(third())
    assert_at_rest(lock)
