"""Read-write locks of the kind "thread" in forked children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_rwlock
from backends import Backend, run
from children import in_child
from readers import assert_at_rest, passage_of, waiting
from staging import PATIENCE, all_done, in_thread, until, until_in_task

if TYPE_CHECKING:
    from collections.abc import Generator

    from anylock import ThreadRWLock
    from readers import SideName

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
sides = pytest.mark.parametrize("side", ["read", "write"])
by = pytest.mark.parametrize("by_task", [False, True], ids=["thread", "task"])


@contextlib.contextmanager
def in_use(
    lock: ThreadRWLock, side: SideName, *, by_task: bool, waits: bool = False
) -> Generator[None]:
    """Have somebody in another thread inside, and perhaps a writer and reader wait."""
    over = threading.Event()

    def hold(which: Any, *, first: bool) -> None:
        with which.hold(PATIENCE):
            assert not first or over.wait(PATIENCE)

    async def hold_in_task(which: Any, *, first: bool) -> None:
        async with which.hold(PATIENCE):
            assert not first or await asyncio.to_thread(over.wait, PATIENCE)

    def enter(which: Any, *, first: bool) -> None:
        if by_task:
            asyncio.run(hold_in_task(which, first=first))
        else:
            hold(which, first=first)

    passage = passage_of(lock)
    half: Any = getattr(lock, side)
    with contextlib.ExitStack() as threads:
        threads.enter_context(in_thread(lambda: enter(half, first=True)))
        until(half.locked)
        if waits:
            threads.enter_context(in_thread(lambda: enter(lock.write, first=False)))
            until(lambda: waiting(lock) or passage.first.locked())
            threads.enter_context(in_thread(lambda: enter(lock.read, first=False)))
        try:
            yield
        finally:
            over.set()


def leave(lock: ThreadRWLock, side: Any) -> None:
    side.release()
    assert_at_rest(lock)


@sides
@by
@pytest.mark.parametrize("waits", [False, True])
def test_a_child_finds_it_as_it_was(
    side: SideName, *, by_task: bool, waits: bool
) -> None:
    """Those inside are, though they are missing; those that waited are not there."""
    lock = make_rwlock("thread")

    def child() -> None:
        assert lock.read.locked() == (side == "read")
        assert lock.write.locked() == (side == "write")
        assert not lock.write.try_acquire()
        assert not lock.write.acquire(timeout=0.001)
        taken = lock.read.try_acquire()
        assert taken == (side == "read")
        if taken:
            lock.read.release()
        (lock.read if side == "read" else lock.write).release()
        assert_at_rest(lock)

    with in_use(lock, side, by_task=by_task, waits=waits):
        in_child(child)
    assert_at_rest(lock)


@sides
@by
@pytest.mark.parametrize("waits", [False, True])
def test_a_child_begins_anew(side: SideName, *, by_task: bool, waits: bool) -> None:
    lock = make_rwlock("thread", reset_after_fork=True)

    with in_use(lock, side, by_task=by_task, waits=waits):
        in_child(lambda: assert_at_rest(lock))
    assert_at_rest(lock)


@sides
def test_who_forks_is_inside(side: SideName) -> None:
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)
    with half:
        in_child(lambda: leave(lock, half))
    assert_at_rest(lock)


@sides
def test_a_task_that_is_inside_forks(side: SideName, backend: Backend) -> None:
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)

    async def main() -> None:
        async with half:
            in_child(lambda: leave(lock, half))

    run(backend, main)
    assert_at_rest(lock)


def test_a_task_forks_while_another_waits(backend: Backend) -> None:
    """The turnstile was that one's, which stays in the parent."""
    lock = make_rwlock("thread")

    async def write() -> None:
        async with lock.write:
            pass

    async def main() -> None:
        await until_in_task(lambda: passage_of(lock).arriving)
        in_child(lambda: leave(lock, lock.read))
        lock.read.release()

    lock.read.acquire()
    run(backend, lambda: all_done(write, main))
    assert_at_rest(lock)
