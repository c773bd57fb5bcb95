"""Signal handlers that use an "async" lock amid what its tasks do to it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import make_lock, make_semaphore
from interruptions import interrupt_at, run_points

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

ownerless = pytest.mark.parametrize(
    "make",
    [partial(make_lock, "async"), partial(make_semaphore, "async", 1)],
    ids=["lock", "semaphore"],
)


def permits(thing: Any) -> int:
    """Tell how many may enter at this moment."""
    value: int = getattr(thing, "value", 1)
    return 0 if thing.locked() else value


@ownerless
def test_handler_releases_what_is_about_to_be_waited_for(
    make: Callable[[], Any],
) -> None:
    """Nobody is left to release it: who is on the way into the queue has to look."""

    def attempt(point: int, where: list[str]) -> None:
        async def main() -> None:
            thing = make()
            entered = False

            async def one() -> None:
                nonlocal entered
                with interrupt_at(point, thing.release, where):
                    await thing.__aenter__()
                entered = True
                thing.release()

            await thing.acquire()
            with anyio.fail_after(5):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one)
                    for _ in range(5):
                        await checkpoint()
                    sys.setprofile(None)
                    if not where:
                        thing.release()
            assert entered
            assert permits(thing) == 1

        asyncio.run(main())

    run_points(attempt)


def held_and_waited_for(thing: Any) -> tuple[AbstractEventLoop, Any, object]:
    """Return a loop where that is held, who waits for it there, and its task."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    waiting: Any = thing.__aenter__()

    async def hold_and_wait() -> object:
        await thing.acquire()
        task = loop.create_task(waiting)
        await checkpoint()
        return task

    return loop, waiting, loop.run_until_complete(hold_and_wait())


@ownerless
def test_handler_tries_to_take_what_is_handed_to_a_closed_loop(
    make: Callable[[], Any],
) -> None:
    """Whoever finds out first that the waiter is gone passes it on, and nobody else."""

    def attempt(point: int, where: list[str]) -> None:
        thing = make()
        loop, waiting, task = held_and_waited_for(thing)
        loop.close()
        taken = list[bool]()
        with interrupt_at(point, lambda: taken.append(thing.try_acquire()), where):
            thing.release()
        if any(taken):
            assert permits(thing) == 0
            thing.release()
        assert permits(thing) == 1
        with suppress(RuntimeError):  # its loop is closed
            waiting.close()
        del task
        assert permits(thing) == 1

    run_points(attempt)


@ownerless
def test_handler_tries_to_take_what_the_gone_were_granted(
    make: Callable[[], Any],
) -> None:
    """The same when the loop is closed between the grant and the run."""

    def attempt(point: int, where: list[str]) -> None:
        thing = make()
        loop, waiting, task = held_and_waited_for(thing)
        thing.release()
        loop.close()
        taken = list[bool]()
        with interrupt_at(point, lambda: taken.append(thing.try_acquire()), where):
            taken.append(thing.try_acquire())
        assert taken.count(True) == 1
        assert permits(thing) == 0
        thing.release()
        assert permits(thing) == 1
        with suppress(RuntimeError):
            waiting.close()
        del task
        assert permits(thing) == 1

    run_points(attempt)
