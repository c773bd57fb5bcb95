"""Read-write locks: what happens between two steps of somebody who comes or leaves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockNotHeldError, _blocking, _parking, make_rwlock
from anylock._inside import Inside
from anylock._rwlock import Passage
from anylock._thread import passage
from readers import KINDS, RWKind, assert_at_rest, crew_of, passage_of, waiting
from staging import PATIENCE, enter, in_thread, until, until_in_task, use

if TYPE_CHECKING:
    from collections.abc import Hashable

kinds = pytest.mark.parametrize("kind", KINDS)


def test_a_witness_that_is_made_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else leaves in its name, just when it is about to enter again."""
    lock = make_rwlock("thread")
    lock.read.acquire()
    join = Passage.join
    wrote = threading.Event()

    def write() -> None:
        with lock.write:
            wrote.set()

    def leave_first(passage: Passage, me: Hashable, witness: Hashable) -> bool:
        monkeypatch.undo()
        with in_thread(lock.read.release):  # in another thread
            pass
        return join(passage, me, witness)

    with in_thread(write):
        until(lambda: passage_of(lock).arriving)
        monkeypatch.setattr(Passage, "join", leave_first)
        with lock.read.hold(PATIENCE):
            assert wrote.is_set()
            with in_thread(write):
                until(lambda: passage_of(lock).arriving)
                assert lock.read.try_acquire()  # it is known to read
                lock.read.release()
                lock.read.release()
            lock.read.acquire()
    assert_at_rest(lock)


@kinds
def test_a_reader_leaves_while_a_writer_notes_itself(
    kind: RWKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make_rwlock(kind)
    new_waiter = _parking.new_waiter

    def leave_first() -> Any:
        lock.read.release()
        return new_waiter()

    async def main() -> None:
        async with lock.write:
            assert not lock.read.locked()

    lock.read.try_acquire()
    monkeypatch.setattr(_parking, "new_waiter", leave_first)
    asyncio.run(main())
    assert_at_rest(lock)


def test_a_reader_leaves_while_a_thread_notes_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = make_rwlock("thread")
    blocked = _blocking.BlockedThread

    def leave_first() -> Any:
        lock.read.release()
        return blocked()

    with in_thread(lock.read.acquire):
        pass
    monkeypatch.setattr(passage, "BlockedThread", leave_first)
    assert lock.write.acquire()
    lock.write.release()
    assert_at_rest(lock)


def test_a_writer_cannot_be_told_where_it_waits() -> None:
    """There is no event loop, and the coroutine waits for the readers."""
    for kind in KINDS:
        lock = make_rwlock(kind)
        lock.read.try_acquire()
        key = object()
        passage_of(lock).readers.add(key, None)
        lock.read.release()
        with pytest.raises(RuntimeError, match="needs a running event loop"):
            enter(lock.write).send(None)
        passage_of(lock).readers.drop(key)
        assert_at_rest(lock)


def test_time_is_over_for_the_second_in_the_queue() -> None:
    with crew_of("thread") as crew:
        holder, first, second = (crew.thread(label) for label in "HFS")
        crew.enter(holder, "write")
        crew.wait(first, "write")
        assert crew.try_to(second, "write", 0.01) == "refused"
        assert crew.try_to(second, "read", 0.01) == "refused"
        crew.leave(holder, "write")
        crew.got(first)


@pytest.mark.parametrize("who", ["thread", "asyncio", "trio"])
def test_behind_a_task_of_another_loop(who: str) -> None:
    """It cannot be put off, because it can run."""
    with crew_of("thread") as crew:
        reader, writer, comer = crew.thread("R"), crew.task("W"), crew.actor(who)
        crew.enter(reader, "read")
        crew.wait(writer, "write")
        for way in ("with", "sync with"):
            if way == "sync with" and who == "thread":
                continue
            crew.start(comer, "write", way)
            until(lambda: comer.busy)
            if way == "with":
                crew.leave(reader, "read")
                crew.got(writer)
                crew.leave(writer, "write")
                crew.got(comer)
                crew.leave(comer, "write")
                crew.enter(reader, "read")
                crew.wait(writer, "write")
            else:
                crew.leave(reader, "read")
                crew.got(writer)
                crew.leave(writer, "write")
                crew.got(comer)
                crew.leave(comer, "write", "sync with")


@pytest.mark.parametrize("waits", ["read", "write"])
@pytest.mark.parametrize("side", ["read", "write"])
def test_try_acquire_passes_over_who_is_gone(side: str, waits: str) -> None:
    """Of a loop that was closed before the task that was let in ran."""
    lock = make_rwlock("async")
    loop = asyncio.new_event_loop()
    lock.write.try_acquire()
    task: Any = loop.create_task(enter(getattr(lock, waits)))
    loop.run_until_complete(until_in_task(lambda: waiting(lock) == 1))
    lock.write.release()
    assert not lock.write.try_acquire()
    assert lock.read.locked() == (waits == "read")
    assert lock.write.locked() == (waits == "write")
    loop.close()
    half = lock.read if side == "read" else lock.write
    assert half.try_acquire()
    half.release()
    passage_of(lock).pass_over_the_gone()
    task._log_destroy_pending = False
    del task
    assert_at_rest(lock)


@pytest.mark.parametrize("side", ["read", "write"])
def test_try_acquire_passes_over_a_writer_that_is_gone(side: str) -> None:
    lock = make_rwlock("async")
    loop = asyncio.new_event_loop()
    lock.read.try_acquire()
    task: Any = loop.create_task(enter(lock.write))
    loop.run_until_complete(until_in_task(lambda: waiting(lock) == 1))
    # Nobody is told that the reader has left.
    arriving = dict(passage_of(lock).arriving)
    passage_of(lock).arriving.clear()
    lock.read.release()
    passage_of(lock).arriving.update(arriving)
    assert not lock.write.try_acquire()
    loop.close()
    half = lock.read if side == "read" else lock.write
    assert half.try_acquire()
    half.release()
    task._log_destroy_pending = False
    del task, arriving
    assert_at_rest(lock)


def test_a_reader_is_collected_with_the_lock_it_waits_for() -> None:
    """All of them are garbage; nobody is left to be told."""
    lock = make_rwlock("async")
    turnstile = passage_of(lock).turnstile
    lock.write.try_acquire()
    waiting_to_read = enter(lock.read)
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(waiting_to_read)
    loop.run_until_complete(until_in_task(lambda: waiting(lock) == 1))
    lock.write.release()
    turnstile.passage = lambda: None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_a_release_too_many_meets_somebody_who_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not send that one away."""
    lock = make_rwlock("thread")
    pop_into = Inside[None].pop_into

    def come_afterwards(inside: Inside[None], done: list[Any], me: Hashable) -> None:
        monkeypatch.undo()
        try:
            pop_into(inside, done, me)
        finally:
            assert lock.read.try_acquire()

    monkeypatch.setattr(Inside, "pop_into", come_afterwards)
    with pytest.raises(LockNotHeldError):
        lock.read.release()
    assert lock.read.locked()
    lock.read.release()
    assert_at_rest(lock)


def test_a_thousand_threads_come_one_after_the_other() -> None:
    """Nothing of those that have ended stays behind."""
    lock = make_rwlock("thread")

    def come() -> None:
        use(lock.read)
        use(lock.write)

    for _ in range(1000):
        thread = threading.Thread(target=come)
        thread.start()
        thread.join()
    assert_at_rest(lock)
