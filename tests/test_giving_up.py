"""A wait that its own time-out ends, alone, by the thousand, or at a bad moment.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockNotHeldError, LockTimeout, make_lock
from backends import ASYNCIO, EAGER, UVLOOP, Backend, run
from staging import PATIENCE, all_done, assert_at_rest, enter, queued, until, waiting

if TYPE_CHECKING:
    from anylock import LockKind

on_asyncio = pytest.mark.parametrize("backend", [ASYNCIO, EAGER, UVLOOP], ids=str)


@on_asyncio
def test_wait_for_acquires_for_its_caller(backend: Backend) -> None:
    """Line 8: up to Python 3.11 wait_for acquires in a task of its own."""

    async def main() -> None:
        lock = make_lock("async")
        condition: Any = asyncio.Condition(lock)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - a drop-in, but no subclass
        for timeout in (None, PATIENCE):
            assert await asyncio.wait_for(lock.acquire(), timeout) is True
            assert lock.locked()
            vain = asyncio.ensure_future(asyncio.wait_for(lock.acquire(), 0.001))
            with pytest.raises(asyncio.TimeoutError):
                await vain
            assert waiting(lock) == 0
            waiter = asyncio.ensure_future(asyncio.wait_for(lock.acquire(), PATIENCE))
            await queued(lock)
            lock.release()
            assert await waiter is True
            condition.notify()
            lock.release()
            with pytest.raises(LockNotHeldError):
                lock.release()
        assert_at_rest(lock)

    run(backend, main)


@pytest.mark.parametrize("end", ["cancel", "time-out"])
@pytest.mark.parametrize("backwards", [False, True])
def test_thousands_give_up(
    backend: Backend,
    kind: LockKind,
    end: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    backwards: bool,
) -> None:
    """Line 10: leaving the queue does not look through it."""
    from anylock._parking import Waiter

    compared = 0
    number = 2_000

    def equal(self: object, other: object) -> bool:
        nonlocal compared
        compared += 1
        return self is other

    monkeypatch.setattr(Waiter, "__eq__", equal)
    monkeypatch.setattr(Waiter, "__hash__", object.__hash__)

    async def main() -> None:
        lock = make_lock(kind)
        await enter(lock)
        scopes = [anyio.CancelScope() for _ in range(number)]

        async def one(scope: anyio.CancelScope) -> None:
            with scope:
                timeout = 0.3 if end == "time-out" else None
                async with lock if timeout is None else lock.hold(timeout):
                    raise AssertionError

        async def caught(scope: anyio.CancelScope) -> None:
            try:
                await one(scope)
            except LockTimeout:
                assert end == "time-out"

        async with anyio.create_task_group() as tasks:
            for scope in scopes:
                tasks.start_soon(caught, scope)
            if end == "cancel":
                await queued(lock, number)
                for scope in reversed(scopes) if backwards else scopes:
                    scope.cancel()
        lock.release()
        assert compared < number
        assert_at_rest(lock)

    run(backend, main)


@pytest.mark.parametrize("order", ["expires first", "granted first"])
def test_time_is_over_just_when_the_lock_is_granted(
    backend: Backend, kind: LockKind, order: str
) -> None:
    """Line 1 for time-outs: both come true before the waiter runs again."""

    async def main() -> None:
        lock = make_lock(kind)
        outcome: list[str] = []

        async def one() -> None:
            try:
                async with lock.hold(0.01):
                    outcome.append("held")
            except LockTimeout:
                outcome.append("timed out")

        async def next_one() -> None:
            async with lock:
                outcome.append("next")

        await enter(lock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await queued(lock)
            over = monotonic() + 0.02
            tasks.start_soon(next_one)
            await queued(lock, 2)
            if order == "granted first":
                lock.release()
            until(lambda: monotonic() > over)  # the event loop does not see it yet
            if order == "expires first":
                lock.release()
        assert outcome in (["held", "next"], ["timed out", "next"])
        assert_at_rest(lock)

    run(backend, main)


@pytest.mark.parametrize("timeout", [1e-9, 0.001, 1e9, 1e18, 1e300, float("inf")])
def test_time_outs_of_every_size(
    backend: Backend, kind: LockKind, timeout: float
) -> None:
    async def main() -> None:
        lock = make_lock(kind)
        hold = lock.hold(timeout)
        await enter(lock)

        async def one() -> None:
            async with hold:
                pass

        if timeout < 1:
            with pytest.raises(LockTimeout):
                await one()
            lock.release()
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one)
                await queued(lock)
                lock.release()
        await all_done(one if timeout > 1 else checkpoint)
        assert_at_rest(lock)

    run(backend, main)
