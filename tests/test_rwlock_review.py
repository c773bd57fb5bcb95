"""Read-write locks: what a review of them found, each staged at its moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout, ThreadRWLock, WouldDeadlock, make_rwlock
from backends import Backend, run
from children import in_child
from readers import KINDS, RWKind, assert_at_rest, blocked_in_passage, passage_of
from staging import PATIENCE, enter, in_thread, until, until_in_task

if TYPE_CHECKING:
    from collections.abc import Callable

kinds = pytest.mark.parametrize("kind", KINDS)
ways = pytest.mark.parametrize("way", ["try", "with"])


class Looks:
    """Stands in for the turnstile while one thread comes to read, and looks twice.

    Between the two it has noted that it looks.

    Args:
        lock: The lock that the next thread comes to read.
        first: Called after the first look.
        second: Called before the second.
    """

    def __init__(
        self,
        lock: ThreadRWLock,
        first: Callable[[], object] | None = None,
        second: Callable[[], object] | None = None,
    ) -> None:
        self._passage = passage_of(lock)
        self._turnstile = self._passage.turnstile
        self._passage.turnstile = self
        self._calls = [first, second]

    def locked(self) -> bool:
        # Whatever is called shall find the lock as it is without us.
        self._passage.turnstile = self._turnstile
        call = self._calls.pop(0)
        if not self._calls:
            if call is not None:
                call()
            return bool(self._turnstile.locked())
        locked = bool(self._turnstile.locked())
        if call is not None:
            call()
        self._passage.turnstile = self
        return locked


def come(lock: ThreadRWLock, way: str) -> bool:
    """Come to read; say whether it does."""
    return lock.read.try_acquire() if way == "try" else lock.read.__enter__()


# Who only looks is not inside: nobody leaves for it, and nobody joins it.


@ways
def test_somebody_leaves_for_others_amid_a_look(way: str) -> None:
    """It leaves for who reads, and the writer that waits for that one gets in."""
    lock = make_rwlock("thread")
    came: list[bool] = []
    wrote = threading.Event()
    with in_thread(lock.read.acquire):
        pass
    with contextlib.ExitStack() as threads:

        def write() -> None:
            with lock.write:
                wrote.set()

        def a_writer_comes() -> None:
            threads.enter_context(in_thread(write))
            until(lambda: passage_of(lock).arriving)

        def the_reader_leaves() -> None:
            with in_thread(lock.read.release):
                pass

        Looks(lock, a_writer_comes, the_reader_leaves)
        with in_thread(lambda: came.append(come(lock, way))):
            assert wrote.wait(PATIENCE)
    assert came == [way == "with"]
    if way == "with":
        lock.read.release()
    assert_at_rest(lock)


@ways
def test_a_handler_amid_a_look_does_not_join(way: str) -> None:
    """Its own thread does not read, and a writer is inside."""
    lock = make_rwlock("thread")
    came: list[bool] = []
    joined: list[bool] = []

    def a_writer_comes() -> None:
        with in_thread(lock.write.acquire):
            pass

    def handle() -> None:
        joined.append(lock.read.try_acquire())

    Looks(lock, a_writer_comes, handle)
    with in_thread(lambda: came.append(come(lock, way))) as comer:
        until(lambda: came or blocked_in_passage(comer.name))
        lock.write.release()
    assert joined == [False]
    assert came == [way == "with"]
    if way == "with":
        lock.read.release()
    assert_at_rest(lock)


@ways
def test_a_handler_amid_a_look_may_read_and_leave(way: str) -> None:
    lock = make_rwlock("thread")

    def handle() -> None:
        assert lock.read.try_acquire()
        lock.read.release()

    Looks(lock, second=handle)
    assert come(lock, way)
    assert len(passage_of(lock).readers) == 1
    lock.read.release()
    assert_at_rest(lock)


@ways
def test_a_handler_amid_a_look_may_read_and_stay(way: str) -> None:
    """Both are inside then, and each of them leaves."""
    lock = make_rwlock("thread")
    Looks(lock, second=lock.read.acquire)
    assert come(lock, way)
    assert len(passage_of(lock).readers) == 2
    lock.read.release()
    assert lock.read.locked()
    lock.read.release()
    assert_at_rest(lock)


@ways
def test_a_handler_amid_a_look_does_not_wait_for_it(way: str) -> None:
    """The look would not end before the handler does."""
    lock = make_rwlock("thread")

    def handle() -> None:
        with pytest.raises(WouldDeadlock):
            lock.write.acquire()

    def read() -> None:
        assert come(lock, way)

    Looks(lock, second=handle)
    with in_thread(read):
        pass
    lock.read.release()
    assert_at_rest(lock)


@ways
def test_a_handler_amid_a_look_forks(way: str) -> None:
    """The child goes on there, though it has forgotten who looked."""
    lock = make_rwlock("thread")
    Looks(lock, second=passage_of(lock)._at_fork_reinit)
    assert come(lock, way)
    assert len(passage_of(lock).readers) == 1
    lock.read.release()
    assert_at_rest(lock)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@ways
def test_a_child_is_forked_amid_a_look(way: str) -> None:
    """The thread that looks is missing there, and would never end that."""
    lock = make_rwlock("thread")

    def fork() -> None:
        # By a thread that is not the one that looks.
        with in_thread(lambda: in_child(lambda: assert_at_rest(lock))):
            pass

    Looks(lock, second=fork)
    assert come(lock, way)
    lock.read.release()
    assert_at_rest(lock)


# Who has entered in a task that has ended, as those of `asyncio.wait_for` did.


@kinds
@pytest.mark.parametrize("by", ["create_task", "wait_for"])
def test_who_leaves_has_entered_in_another_task(kind: RWKind, by: str) -> None:
    """It leaves for that one, and not for a reader that may come again."""
    lock = make_rwlock(kind)

    async def write() -> None:
        async with lock.write:
            pass

    async def read_twice(inside: asyncio.Event, left: asyncio.Event) -> None:
        async with lock.read:
            inside.set()
            await left.wait()
            writer = asyncio.create_task(write())
            await until_in_task(lambda: passage_of(lock).arriving)
            assert lock.read.try_acquire()
            lock.read.release()
        await writer

    async def main() -> None:
        if by == "create_task":
            await asyncio.create_task(enter(lock.read))
        else:
            await asyncio.wait_for(enter(lock.read), PATIENCE)
        inside, left = asyncio.Event(), asyncio.Event()
        reader = asyncio.create_task(read_twice(inside, left))
        await inside.wait()
        lock.read.release()
        left.set()
        await reader

    asyncio.run(main())
    assert_at_rest(lock)


# Many times.


@kinds
def test_one_reads_thousands_of_times(kind: RWKind) -> None:
    """What it is noted under does not get deeper with each time."""
    lock = make_rwlock(kind)
    times = 3000

    async def main() -> None:
        for _ in range(times):
            await lock.read.__aenter__()
        assert len(passage_of(lock).readers) == times
        for _ in range(times):
            await lock.read.__aexit__(None, None, None)

    asyncio.run(main())
    assert_at_rest(lock)


@kinds
def test_who_reads_twice_and_has_left_once_still_reads(kind: RWKind) -> None:
    """So that it is not to wait behind a writer when it comes again."""
    lock = make_rwlock(kind)

    async def write() -> None:
        async with lock.write:
            pass

    async def main() -> None:
        await lock.read.__aenter__()
        async with lock.read:
            pass
        writer = asyncio.create_task(write())
        await until_in_task(lambda: passage_of(lock).arriving)
        assert lock.read.try_acquire()
        lock.read.release()
        await lock.read.__aexit__(None, None, None)
        await writer

    asyncio.run(main())
    assert_at_rest(lock)


def test_a_thread_reads_thousands_of_times() -> None:
    lock = make_rwlock("thread")
    times = 3000
    for _ in range(times):
        lock.read.acquire()
    assert len(passage_of(lock).readers) == times
    for _ in range(times):
        lock.read.release()
    assert_at_rest(lock)


# Who tries, and is not to wait.

TRIES: dict[str, Callable[[Any], bool]] = {
    "try_acquire": lambda side: side.try_acquire(),
    "acquire, no time": lambda side: side.acquire(timeout=0),
    "acquire, not blocking": lambda side: side.acquire(blocking=False),
}
tries = pytest.mark.parametrize("by", TRIES)


@tries
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_try_passes_over_a_writer_that_is_gone(side: str, by: str) -> None:
    """Its event loop was closed while it waited."""
    lock = make_rwlock("thread")
    arriving = passage_of(lock).arriving
    with in_thread(lock.read.acquire):
        pass
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(enter(lock.write))
    loop.run_until_complete(until_in_task(lambda: arriving))
    loop.close()
    if side == "write":
        # Or else who leaves would see to it, and nobody be left to be passed over.
        told = dict(arriving)
        arriving.clear()
        lock.read.release()
        arriving.update(told)
        del told

    def attempt() -> None:
        half = getattr(lock, side)
        assert TRIES[by](half)
        half.release()

    with in_thread(attempt):
        pass
    if side == "read":
        lock.read.release()
    task._log_destroy_pending = False
    del task
    assert_at_rest(lock)


class Untouched:
    """Stands in for a turnstile that nobody is to enter."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pass_over_the_gone(self) -> None:
        """Forget who cannot come any more, which everybody may do."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*_arguments: object) -> None:
            self.calls.append(name)

        return note


@tries
def test_a_try_to_write_beside_readers_meets_nobody(by: str) -> None:
    """Or else another that tries to read would be refused meanwhile."""
    lock = make_rwlock("thread")
    passage = passage_of(lock)
    with in_thread(lock.read.acquire):
        pass
    turnstile, passage.turnstile = passage.turnstile, Untouched()
    assert not TRIES[by](lock.write)
    with pytest.raises(LockTimeout), lock.write.hold(0):
        pass
    assert not passage.turnstile.calls
    passage.turnstile = turnstile
    lock.read.release()
    assert_at_rest(lock)


@kinds
def test_a_task_that_tries_to_write_meets_nobody(
    kind: RWKind, backend: Backend
) -> None:
    lock = make_rwlock(kind)
    passage = passage_of(lock)

    async def main() -> None:
        async with lock.read:
            turnstile, passage.turnstile = passage.turnstile, Untouched()
            assert not lock.write.try_acquire()
            with pytest.raises(LockTimeout):
                await enter(lock.write, 0)
            assert not passage.turnstile.calls
            passage.turnstile = turnstile

    run(backend, main)
    assert_at_rest(lock)
