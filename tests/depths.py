"""What the tests of re-entrant locks share: ways in and out, and who stays outside."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockNotHeldError, LockTimeout, WouldDeadlock, make_rlock
from anylock._bridge.loans import Loan
from anylock._bridge.rlock import RLockBridge
from staging import PATIENCE, all_done, bridge_of, in_thread, queued, until, waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from anylock import Lock, ProcessRLock, ThreadRLock

    BridgedRLock = ThreadRLock | ProcessRLock

KINDS = ("process", "thread")
NOT_HELD = (AssertionError, RuntimeError)
"""What a release by others raises, ours or that of the C method."""


@pytest.fixture(params=KINDS)
def rlock(request: pytest.FixtureRequest) -> BridgedRLock:
    """A fresh re-entrant lock of each kind that has a bridge."""
    kind: str = request.param
    return cast("BridgedRLock", make_rlock(kind, name="the-rlock"))


def rbridge_of(lock: Lock) -> RLockBridge:
    """Return the bridge of a re-entrant lock that a task has used already."""
    bridge: Any = bridge_of(lock)
    assert isinstance(bridge, RLockBridge)
    return bridge


def on_loan(lock: Lock) -> bool:
    """Say whether a helper thread keeps the inner lock for who holds it."""
    return isinstance(rbridge_of(lock)._lent.by, Loan)


def owned_in_c(lock: Lock) -> bool:
    """Say whether the inner lock belongs to this very thread."""
    return rbridge_of(lock)._owned()


class Way:
    """One way into a lock, with its way out; by `with` or awaited."""

    def __init__(self, lock: Lock, name: str) -> None:
        self.lock = lock
        self.name = name

    async def enter(self) -> None:
        lock = self.lock
        if self.name == "async with":
            await lock.__aenter__()
        elif self.name == "async hold":
            await lock.hold(0).__aenter__()
        elif self.name == "with":
            lock.__enter__()
        elif self.name == "hold":
            lock.hold(0).__enter__()
        elif self.name == "acquire":
            assert cast("BridgedRLock", lock).acquire()
        else:
            assert lock.try_acquire()

    async def leave(self) -> None:
        if self.name.startswith("async"):
            await self.lock.__aexit__(None, None, None)
        elif self.name in {"with", "hold"}:
            self.lock.__exit__(None, None, None)
        else:
            self.lock.release()


TASK_WAYS = ("async with", "async hold", "try_acquire")
"""Those by which a task becomes the owner."""
SYNC_WAYS = ("with", "hold", "acquire")
WAYS = TASK_WAYS + SYNC_WAYS


@contextmanager
def held_by_a_thread(lock: Lock) -> Generator[Callable[[], None]]:
    """Have another thread hold the lock by `with`; yields what lets it leave."""
    holds, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holds.set()
            assert leave.wait(PATIENCE)

    with in_thread(hold):
        assert holds.wait(PATIENCE)
        try:
            yield leave.set
        finally:
            leave.set()


async def own(lock: Lock, *, lent: bool, body: Callable[[], Awaitable[object]]) -> None:
    """Run the body in a task that holds the lock, by its thread or through a loan."""

    async def owner() -> None:
        async with lock:
            assert on_loan(lock) == lent
            await body()

    if not lent:
        await all_done(owner)
        return
    with held_by_a_thread(lock) as leave:

        async def let_in() -> None:
            await queued(lock)
            leave()

        await all_done(owner, let_in)


async def in_another_task(function: Callable[[], object]) -> None:
    """Call a function, or await a coroutine function, in a task of its own."""

    async def call() -> None:
        result: Any = function()
        if hasattr(result, "__await__"):
            await result

    await all_done(call)


async def assert_outside(lock: Lock) -> None:
    """Check, in a task, that it does not get in whatever it tries on its thread."""
    assert lock.locked()
    assert not lock.try_acquire()
    assert not cast("BridgedRLock", lock).acquire(False)
    with pytest.raises(WouldDeadlock):
        lock.__enter__()
    assert_kept_out(lock)
    for timeout in (0.0, 0.001):
        with pytest.raises(LockTimeout):
            await lock.hold(timeout).__aenter__()
    with pytest.raises(LockNotHeldError):
        await lock.__aexit__(None, None, None)
    before = waiting(lock)
    with anyio.CancelScope() as scope:
        await cancel_when_queued(lock, scope, before)
    assert scope.cancelled_caught
    assert lock.locked()


def assert_kept_out(lock: Lock) -> None:
    """Check that this thread neither gets in nor lets the owner out."""
    for timeout in (0.0, 0.001):
        with pytest.raises(LockTimeout):
            lock.hold(timeout).__enter__()
    assert not lock.try_acquire()
    for leave in (lock.release, lambda: lock.__exit__(None, None, None)):
        with pytest.raises(NOT_HELD):
            leave()
    assert lock.locked()


async def cancel_when_queued(lock: Lock, scope: anyio.CancelScope, before: int) -> None:
    """Wait for the lock until that is cancelled, which must happen."""

    async def cancel() -> None:
        while waiting(lock) <= before:
            await checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel)
        await lock.__aenter__()
        raise AssertionError("it got in")


def in_worker(function: Callable[[], object]) -> None:
    """Run a function in a new thread to the end, while this one waits for it."""
    with in_thread(function):
        pass


def until_free(lock: Lock) -> None:
    until(lambda: not lock.locked())


async def visit(lock: Lock, order: list[Any], name: object) -> None:
    async with lock:
        order.append(name)
        await checkpoint()


def visits(
    lock: Lock, order: list[Any], *names: object
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    return [partial(visit, lock, order, name) for name in names]
