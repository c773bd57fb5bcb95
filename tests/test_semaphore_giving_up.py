"""No permit of a semaphore is lost and none is invented, whatever ends a wait."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from permits import (
    Room,
    acquire,
    at_rest,
    bridge_of,
    bridged,
    enter,
    exit_,
    granted,
    leave,
    make,
    queued,
    settled,
    waiting,
)
from staging import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind
    from permits import BridgedSemaphore

STEPS = range(4)
on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)
timeouts = pytest.mark.parametrize("timeout", [None, 60.0])
TIMED_OUT = (asyncio.TimeoutError, TimeoutError)  # one and the same since Python 3.11


# Cancelled at every moment


async def play(script: dict[int, list[Callable[[], object]]]) -> None:
    for step in STEPS:
        for action in script.get(step, []):
            action()
        await checkpoint()


@bridged
@timeouts
@pytest.mark.parametrize("value", [1, 2])
def test_cancelled_at_every_step(
    backend: Backend, kind: LockKind, value: int, timeout: float | None
) -> None:
    async def stage(release: int, cancel: int, victim: int, *, first: bool) -> None:
        semaphore = make(kind, value)
        room = Room(semaphore)
        for _ in range(value):
            await enter(semaphore)
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def one(number: int) -> None:
            with scopes[number]:
                await room.visit(number, timeout)

        script: dict[int, list[Callable[[], object]]] = {}
        script.setdefault(cancel, []).append(scopes[victim].cancel)
        at = script.setdefault(release, [])
        at.insert(0 if first else len(at), partial(semaphore.release, value))
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(one, number)
            await play(script)
        assert {*room.entered} | {victim} == {*range(4)}
        assert room.most <= value
        settled(semaphore, value)

    async def main() -> None:
        for release, cancel, victim, first in product(
            STEPS, STEPS, (0, 1), (False, True)
        ):
            with anyio.fail_after(PATIENCE):
                await stage(release, cancel, victim, first=first)

    run(backend, main)


@on_asyncio
@bridged
@timeouts
def test_asyncio_task_cancelled_at_every_step(
    backend: Backend, kind: LockKind, timeout: float | None
) -> None:
    async def stage(release: int, cancel: int) -> None:
        semaphore = make(kind, 2)
        room = Room(semaphore)
        await enter(semaphore)
        await enter(semaphore)
        tasks = [asyncio.ensure_future(room.visit(n, timeout)) for n in range(3)]
        script: dict[int, list[Callable[[], object]]] = {
            release: [partial(semaphore.release, 2)]
        }
        script.setdefault(cancel, []).append(tasks[0].cancel)
        await play(script)
        await asyncio.wait_for(asyncio.wait(tasks), PATIENCE)
        assert {*room.entered} | {0} == {0, 1, 2}
        settled(semaphore, 2)

    async def main() -> None:
        for release, cancel in product(STEPS, STEPS):
            await stage(release, cancel)

    run(backend, main)


@bridged
@timeouts
@pytest.mark.parametrize("victims", [[0], [1], [0, 1], [0, 1, 2, 3]])
@pytest.mark.parametrize("when", ["before", "after"])
def test_cancelled_when_a_thread_releases(
    backend: Backend,
    kind: LockKind,
    timeout: float | None,
    victims: list[int],
    when: str,
) -> None:
    """Granted by the helper, cancelled, and only then resumed."""

    async def main() -> None:
        semaphore = make(kind, 2)
        room = Room(semaphore)
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def one(number: int) -> None:
            with scopes[number]:
                await room.visit(number, timeout)

        acquire(semaphore, 2)
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(one, number)
                await queued(semaphore, number + 1)
            if when == "before":
                for victim in victims:
                    scopes[victim].cancel()
            leave(semaphore, 2)
            # No task runs meanwhile.
            until(lambda: granted(semaphore) == 2 and not bridge_of(semaphore)._mail)
            for victim in victims:
                scopes[victim].cancel()
        assert {*room.entered} | {*victims} == {0, 1, 2, 3}
        assert room.most <= 2
        at_rest(semaphore, 2)

    run(backend, main)


async def gather_waiters(semaphore: BridgedSemaphore, number: int, end: str) -> int:
    """Have so many wait in vain; say how many of them were told."""
    timeout = 0.2 if end == "time-out" else None
    threads = threading.active_count()
    gave_up = 0

    async def one() -> None:
        nonlocal gave_up
        try:
            await enter(semaphore, timeout)
        except LockTimeout:
            gave_up += end == "time-out"
        except anyio.get_cancelled_exc_class():
            gave_up += end == "cancel"
            raise

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(one)
        if end == "cancel":
            await queued(semaphore, number)
            assert threading.active_count() <= threads + 1
            tasks.cancel_scope.cancel()
    return gave_up


@bridged
@pytest.mark.parametrize(
    ("end", "holder"), [("cancel", "task"), ("cancel", "thread"), ("time-out", "task")]
)
def test_a_thousand_give_up_at_once(
    backend: Backend, kind: LockKind, end: str, holder: str
) -> None:
    semaphore = make(kind, 2)
    threads = threading.active_count()

    async def main() -> None:
        if holder == "task":
            async with semaphore, semaphore:
                assert await gather_waiters(semaphore, 1_000, end) == 1_000
        else:
            acquire(semaphore, 2)
            assert await gather_waiters(semaphore, 1_000, end) == 1_000
            leave(semaphore, 2)

    run(backend, main)
    at_rest(semaphore, 2)
    assert threading.active_count() <= threads  # those of other tests may end


@on_asyncio
@bridged
def test_wait_for(backend: Backend, kind: LockKind) -> None:
    """Up to Python 3.11 it enters in a task of its own."""
    semaphore = make(kind, 1)

    async def main() -> None:
        for _ in range(3):
            await asyncio.wait_for(enter(semaphore), PATIENCE)
            with pytest.raises(TIMED_OUT):
                await asyncio.wait_for(asyncio.ensure_future(enter(semaphore)), 0.001)
            assert waiting(semaphore) == 0
            waiter = asyncio.ensure_future(asyncio.wait_for(enter(semaphore), PATIENCE))
            await queued(semaphore)
            await exit_(semaphore)
            await waiter
            await exit_(semaphore)

    run(backend, main)
    at_rest(semaphore, 1)
