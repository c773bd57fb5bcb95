"""Read-write locks of the kind "thread": turns, and threads beside their own tasks."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, ThreadRWLock, WouldDeadlock, make_rwlock
from backends import Backend, run
from readers import KINDS, RWKind, assert_at_rest, crew_of, passage_of, waiting
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

# Nobody starves.


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_stream_of_the_others_does_not_starve_threads(side: SideName) -> None:
    """Those of the stream overlap if they read; and come back at once."""
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)
    other: Any = lock.read if side == "write" else lock.write
    over = threading.Event()

    def stream() -> None:
        while not over.is_set():
            with other:
                sum(range(1000))

    with in_thread(stream), in_thread(stream), in_thread(stream):
        try:
            for _ in range(50):
                with half.hold(PATIENCE):
                    pass
        finally:
            over.set()
    assert_at_rest(lock)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_stream_of_the_others_does_not_starve_tasks(
    kind: RWKind, side: SideName, backend: Backend
) -> None:
    lock = make_rwlock(kind)
    half: Any = getattr(lock, side)
    other: Any = lock.read if side == "write" else lock.write
    over = False

    async def stream() -> None:
        while not over:
            async with other:
                await checkpoint()

    async def one() -> None:
        nonlocal over
        try:
            for _ in range(50):
                async with half.hold(PATIENCE):
                    pass
                await checkpoint()
        finally:
            over = True

    run(backend, lambda: all_done(stream, stream, stream, one))
    assert_at_rest(lock)


def test_readers_that_take_turns_do_not_starve_a_writer() -> None:
    """There is always one of them inside, up to when the writer comes."""
    with crew_of("thread") as crew:
        readers = [crew.thread("R1"), crew.thread("R2")]
        writer = crew.thread("W")
        crew.enter(readers[0], "read")
        for turn in range(20):
            crew.enter(readers[(turn + 1) % 2], "read")
            crew.leave(readers[turn % 2], "read")
        crew.wait(writer, "write")
        crew.wait(readers[1], "read")
        crew.leave(readers[0], "read")
        crew.got(writer)


class Free:
    """Stands for a turnstile that is free."""

    def acquire(self, _blocking: bool) -> bool:  # noqa: FBT001 - threading's signature
        return True

    def __exit__(self, *_exc_info: object) -> None: ...


def test_who_writes_does_not_come_back_before_who_waits() -> None:
    """`threading.Lock` would let it, time and again."""
    with crew_of("thread") as crew:
        writer, reader, other = crew.thread("W"), crew.thread("R"), crew.thread("W2")
        crew.enter(writer, "write")
        crew.wait(reader, "read")
        first = passage_of(crew.lock).first
        assert first.locked()
        # As if the reader had the turnstile as good as in its hands.
        passage_of(crew.lock).turnstile, busy = Free(), passage_of(crew.lock).turnstile
        assert crew.try_to(other, "write") == "refused"
        passage_of(crew.lock).turnstile = busy
        crew.wait(other, "write")
        crew.leave(writer, "write")
        crew.got(reader)
        crew.leave(reader, "read")
        crew.got(other)


def test_many_readers_try_at_once_and_all_get_in() -> None:
    """They do not stand in one another's way."""
    lock = make_rwlock("thread")
    start = threading.Barrier(4)
    taken: list[bool] = []

    def reader() -> None:
        start.wait()
        for _ in range(2000):
            taken.append(lock.read.try_acquire())
            lock.read.release()

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with in_thread(reader), in_thread(reader), in_thread(reader):
            reader()
    finally:
        sys.setswitchinterval(usual)
    assert len(taken) == 8000
    assert all(taken)
    assert_at_rest(lock)


@pytest.mark.parametrize("way", ["try", "with"])
def test_a_reader_that_backs_off_tells_who_has_seen_it(way: str) -> None:
    """A writer came after it had looked, and waits for it."""
    lock = make_rwlock("thread")
    passage = passage_of(lock)
    turnstile = passage.turnstile
    writing = threading.Event()

    def write() -> None:
        with lock.write:
            writing.set()

    class Look:
        """Stands for the turnstile: a writer comes between two looks at it."""

        looks = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(turnstile, name)

        def locked(self) -> bool:
            self.looks += 1
            if self.looks == 2:
                passage.turnstile = turnstile
                threads.enter_context(in_thread(write))
                until(lambda: passage.arriving)
                passage.turnstile = self
            locked: bool = turnstile.locked()
            return locked

    with ExitStack() as threads:
        passage.turnstile = Look()
        if way == "try":
            assert not lock.read.try_acquire()
            assert writing.wait(PATIENCE)
        else:
            with lock.read:
                assert writing.is_set()
        passage.turnstile = turnstile
    assert_at_rest(lock)


# A sync `with` in the thread of an event loop.


def refused(side: Any, match: str) -> None:
    with pytest.raises(WouldDeadlock, match=match), side:
        pass
    assert not side.try_acquire()
    with pytest.raises(LockTimeout), side.hold(0.001):
        pass


@pytest.mark.parametrize("way", ["async with", "with"])
def test_another_task_of_this_thread_writes(way: str, backend: Backend) -> None:
    lock = make_rwlock("thread", name="table")

    async def other() -> None:
        for side in (lock.read, lock.write):
            refused(side, "a task of this thread's event loop holds it to write")

    async def main() -> None:
        if way == "with":
            with lock.write:
                await all_done(other)
        else:
            async with lock.write:
                await all_done(other)

    run(backend, main)
    assert_at_rest(lock)


def test_another_task_of_this_thread_reads(backend: Backend) -> None:
    lock = make_rwlock("thread", name="table")

    async def other() -> None:
        refused(lock.write, "a task of this thread's event loop holds it to read")
        with lock.read:
            pass

    async def main() -> None:
        async with lock.read:
            await all_done(other)

    run(backend, main)
    assert_at_rest(lock)


def test_a_writer_elsewhere_waits_for_a_task_of_this_thread(backend: Backend) -> None:
    """Whoever reads in its thread need not wait for that writer."""
    lock = make_rwlock("thread")

    def write() -> None:
        with lock.write:
            pass

    async def other() -> None:
        assert not lock.read.try_acquire()
        with lock.read, lock.read:
            pass
        with lock.read.hold(PATIENCE):
            pass
        with pytest.raises(WouldDeadlock, match="holds it to read"), lock.write:
            pass

    async def main() -> None:
        async with lock.read:
            with in_thread(write):
                await until_in_task(lambda: passage_of(lock).arriving)
                await all_done(other)
                lock.read.release()
                await until_in_task(lambda: not passage_of(lock).arriving)
            await lock.read.__aenter__()

    run(backend, main)
    assert_at_rest(lock)


@pytest.mark.parametrize("seconds", [None, PATIENCE])
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_task_of_this_thread_waits_for_a_reader_elsewhere(
    side: SideName, seconds: float | None, backend: Backend
) -> None:
    """It has the turnstile, but cannot run before this thread goes on."""
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)
    order: list[str] = []
    leave, left = threading.Event(), threading.Event()

    def read() -> None:
        with lock.read:
            assert leave.wait(PATIENCE)
        left.set()

    async def write() -> None:
        async with lock.write:
            order.append("write")
            assert not lock.read.locked()

    async def sync() -> None:
        await until_in_task(lambda: passage_of(lock).arriving)
        if side == "write":
            leave.set()
        with half if seconds is None else half.hold(seconds):
            order.append(side)
            assert half.locked()
            leave.set()
            assert left.wait(PATIENCE)
            await checkpoint()
            await checkpoint()
            order.append("out")

    with in_thread(read):
        until(lock.read.locked)
        run(backend, lambda: all_done(write, sync))
    assert order == [side, "out", "write"]
    assert_at_rest(lock)


def test_it_gives_up_in_the_place_of_a_task(backend: Backend) -> None:
    lock = make_rwlock("thread")
    wrote: list[bool] = []

    async def write() -> None:
        async with lock.write:
            wrote.append(True)

    async def sync() -> None:
        await until_in_task(lambda: passage_of(lock).arriving)
        with pytest.raises(LockTimeout), lock.write.hold(0.01):
            pass
        await until_in_task(lambda: passage_of(lock).arriving)
        assert not wrote
        leave.set()

    def read() -> None:
        with lock.read:
            assert leave.wait(PATIENCE)

    leave = threading.Event()
    with in_thread(read):
        until(lock.read.locked)
        run(backend, lambda: all_done(write, sync))
    assert wrote
    assert_at_rest(lock)


@pytest.mark.parametrize("side", ["read", "write"])
def test_tasks_of_this_thread_are_only_queued(side: SideName, backend: Backend) -> None:
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)
    order: list[str] = []
    leave = threading.Event()

    def write() -> None:
        with lock.write:
            assert leave.wait(PATIENCE)

    async def task(which: Any) -> None:
        async with which:
            order.append("task")

    async def sync() -> None:
        await until_in_task(lambda: waiting(lock) == 2)
        leave.set()
        with half:
            order.append("sync")

    with in_thread(write):
        until(lock.write.locked)
        run(
            backend,
            lambda: all_done(lambda: task(lock.read), lambda: task(lock.write), sync),
        )
    assert order == ["sync", "task", "task"]
    assert_at_rest(lock)


def test_a_callback_and_a_paused_loop() -> None:
    """No task runs there, but in this thread there are some."""
    lock = make_rwlock("thread", name="table")
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(enter(lock.write))
        for side in (lock.read, lock.write):
            refused(side, "a task of this thread's event loop holds it to write")
        loop.call_soon(refused, lock.read, "holds it to write")
        loop.run_until_complete(asyncio.sleep(0))
        lock.write.release()
        loop.run_until_complete(enter(lock.read))
        refused(lock.write, "a task of this thread's event loop holds it to read")
        lock.read.release()
    finally:
        loop.close()
    assert_at_rest(lock)


def test_threads_that_start_no_thread_wake_a_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There may be no more threads to be had."""

    def fail(*_: object) -> int:
        raise RuntimeError

    lock = make_rwlock("thread")

    def read() -> None:
        with lock.read:
            reading.set()
            until(lambda: passage_of(lock).arriving)
            monkeypatch.setattr("_thread.start_new_thread", fail)
        monkeypatch.undo()

    async def main() -> None:
        async with lock.write.hold(PATIENCE):
            pass

    reading = threading.Event()
    with in_thread(read):
        assert reading.wait(PATIENCE)
        asyncio.run(main())
    assert_at_rest(lock)


def test_everybody_at_once() -> None:
    """Threads, and tasks of two loops; nobody is let in beside a writer."""
    lock = ThreadRWLock()
    state = {"reading": 0, "writing": 0, "wrong": 0, "writes": 0}
    counting = threading.Lock()

    def count(which: str, change: int) -> None:
        with counting:
            state[which] += change
            state["wrong"] += state["writing"] > 1
            state["wrong"] += bool(state["writing"] and state["reading"])

    def thread(seed: int) -> None:
        for turn in range(200):
            which = "writing" if (turn + seed) % 5 == 0 else "reading"
            side = lock.write if which == "writing" else lock.read
            try:
                with side if turn % 3 else side.hold(0.001):
                    count(which, 1)
                    count(which, -1)
            except LockTimeout:
                pass

    async def task(seed: int) -> None:
        for turn in range(200):
            which = "writing" if (turn + seed) % 5 == 0 else "reading"
            side: Any = lock.write if which == "writing" else lock.read
            try:
                async with side if turn % 3 else side.hold(0.001):
                    count(which, 1)
                    if turn % 2:
                        await asyncio.sleep(0)
                    count(which, -1)
            except LockTimeout:
                pass

    async def tasks() -> None:
        await asyncio.wait_for(asyncio.gather(*map(task, range(5))), 50)

    with (
        in_thread(lambda: asyncio.run(tasks()), 55),
        in_thread(lambda: asyncio.run(tasks()), 55),
        in_thread(lambda: thread(1), 55),
    ):
        thread(2)
    assert not state["wrong"]
    assert not state["reading"]
    assert_at_rest(lock)
    use(lock.write)
