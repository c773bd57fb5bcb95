"""A thread that ends while it holds a re-entrant lock has no successor."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout, WouldDeadlock, make_rlock
from backends import run
from staging import PATIENCE, enter, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import Lock, LockKind
    from backends import Backend

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def end_holding(lock: Any, how: Callable[[Any], object]) -> int:
    """Enter the lock in a thread that ends; give its ident."""
    idents: list[int] = []

    def enter_and_end() -> None:
        idents.append(threading.get_ident())
        how(lock)

    with in_thread(enter_and_end):
        pass
    until(lambda: lock._orphaned)  # its guard dies after what join() waits for
    return idents[0]


def with_its_ident(ident: int, function: Callable[[], object]) -> None:
    """Call the function in a thread of that ident: the next one has it, most often."""
    outcome: list[BaseException | None] = []

    def call() -> None:
        if threading.get_ident() != ident:
            return
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised again below
            outcome.append(error)
        else:
            outcome.append(None)

    for _ in range(100):
        if outcome:
            break
        with in_thread(call):
            pass
    if not outcome:
        pytest.skip("the system gives no ident twice")
    if outcome[0] is not None:
        raise outcome[0]


def by_with(lock: Any) -> None:
    lock.__enter__()


def by_acquire(lock: Any) -> None:
    assert lock.acquire()


def by_try_acquire(lock: Any) -> None:
    assert lock.try_acquire()


def by_hold(lock: Any) -> None:
    lock.hold(1).__enter__()


def twice(lock: Any) -> None:
    by_with(lock)
    by_acquire(lock)


ways_in = pytest.mark.parametrize(
    "how", [by_with, by_acquire, by_try_acquire, by_hold, twice]
)


@bridged
@ways_in
def test_a_later_thread_of_the_same_ident(
    kind: LockKind, how: Callable[[Any], object]
) -> None:
    lock: Any = make_rlock(kind)

    def later() -> None:
        assert lock.locked()
        assert not lock.try_acquire()
        assert not lock.acquire(False)
        assert not lock.acquire(timeout=0.001)
        with pytest.raises(LockTimeout), lock.hold(0.001):
            pass
        for waits in (lock.__enter__, lock.acquire, lock.hold().__enter__):
            with pytest.raises(WouldDeadlock, match="thread that held it has ended"):
                waits()
        with pytest.raises(RuntimeError):
            lock.release()
        assert lock.locked()

    ident = end_holding(lock, how)
    with_its_ident(ident, later)
    with in_thread(later):
        pass
    later()


@bridged
def test_tasks_are_told(kind: LockKind, backend: Backend) -> None:
    lock = make_rlock(kind)
    end_holding(lock, by_with)

    async def main() -> None:
        assert not lock.try_acquire()
        with pytest.raises(LockTimeout):
            async with lock.hold(0.001):
                pass
        with pytest.raises(WouldDeadlock, match="thread that held it has ended"):
            async with lock:
                pass

    run(backend, main)


@bridged
def test_a_thread_that_ends_while_tasks_wait(kind: LockKind) -> None:
    """Then the bridge is there before, and its way back to native is barred."""
    lock: Any = make_rlock(kind)
    holds, ends = threading.Event(), threading.Event()
    idents: list[int] = []

    def hold() -> None:
        idents.append(threading.get_ident())
        by_with(lock)
        holds.set()
        assert ends.wait(PATIENCE)

    async def wait() -> None:
        waiting = enter(lock)
        waiting.send(None)
        waiting.close()

    with in_thread(hold):
        assert holds.wait(PATIENCE)
        asyncio.run(wait())
        ends.set()
    until(lambda: lock._orphaned)
    with_its_ident(idents[0], lambda: refused(lock))
    refused(lock)


def run_in_asyncio(function: Callable[[], Any]) -> None:
    import asyncio

    asyncio.run(function())


def refused(lock: Lock) -> None:
    assert not lock.try_acquire()
    with pytest.raises(WouldDeadlock):
        lock.__enter__()


@bridged
def test_a_thread_that_left_is_no_matter(kind: LockKind) -> None:
    lock: Any = make_rlock(kind)

    def use() -> None:
        with lock, lock:
            pass

    for _ in range(5):
        with in_thread(use):
            pass
    with lock:
        # Threads end while another one holds it.
        with in_thread(lambda: lock.acquire(False)):
            pass
        assert lock.try_acquire()
        lock.release()
    assert not lock._orphaned
    assert not lock.locked()


@bridged
def test_a_thread_that_no_module_knows(kind: LockKind) -> None:
    """Not one of `threading`."""
    lock: Any = make_rlock(kind)
    _thread.start_new_thread(by_with, (lock,))
    until(lambda: lock._orphaned)
    refused(lock)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_beside_the_thread_that_holds() -> None:
    """In the child that thread is missing, and its ident is free at once."""
    lock: Any = make_rlock("thread")
    ready, over = threading.Event(), threading.Event()

    def hold() -> None:
        by_with(lock)
        ready.set()
        over.wait(PATIENCE)
        lock.release()

    with in_thread(hold):
        assert ready.wait(PATIENCE)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with in_thread(lambda: refused(lock)):
                    pass
                status = 0
            finally:
                os._exit(status)
        _, told = os.waitpid(child, 0)
        over.set()
    assert told == 0
    assert not lock.locked()
    assert lock.try_acquire()


@bridged
def test_the_guards_keep_nothing_alive(kind: LockKind) -> None:
    lock: Any = make_rlock(kind)
    with in_thread(partial(by_with, lock)):
        pass
    until(partial(getattr, lock, "_orphaned"))
    other: Any = make_rlock(kind)
    with other:
        died = weakref.ref(other)
    gc.disable()
    try:
        del other
        assert died() is None
    finally:
        gc.enable()
    died = weakref.ref(lock)
    del lock
    gc.collect()
    assert died() is None


@bridged
def test_a_method_looked_up_elsewhere(kind: LockKind) -> None:
    """As in `Thread(target=lock.acquire)`."""
    lock: Any = make_rlock(kind)
    with in_thread(lock.acquire):
        pass
    until(partial(getattr, lock, "_orphaned"))
    refused(lock)
