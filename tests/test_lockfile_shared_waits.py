"""Kind "machine": waits for shared locks, which end or are in vain."""

from __future__ import annotations

import os
import struct
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import Lock, LockTimeout, WouldDeadlock
from anylock._machine.rwlock import MachineRWLock
from backends import ASYNCIO, TRIO, require, run
from children import Child
from lockfiles import all_descriptors
from staging import PATIENCE, all_done, in_thread, until, until_in_task
from test_lockfile_shared import (
    at_rest,
    enter,
    hold,
    idle,
    stranger_to,
    time_out,
    waits,
    with_,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backends import Backend

MANY = 500


@pytest.fixture
def rw(tmp_path: Path) -> MachineRWLock:
    return MachineRWLock(path=tmp_path / "the.lock")


def descriptors(rw: MachineRWLock) -> int:
    """Count those of the lock's files, and of inotify."""
    ours = (rw.path, "anon_inode:inotify")
    return sum(target.startswith(ours) for target in all_descriptors())


# Waits that end.


def test_waits_that_end_leave_nothing(backend: Backend, rw: MachineRWLock) -> None:
    """Hundreds that run out of time, and hundreds that are cancelled, on each side."""
    other = stranger_to(rw)

    locks: list[Lock] = [*[rw.read] * MANY, *[rw.write] * MANY]

    async def give_up(lock: Lock) -> None:
        with pytest.raises(LockTimeout):
            async with lock.hold(0.01):
                pass

    async def main() -> None:
        await all_done(*[partial(give_up, lock) for lock in locks])
        async with anyio.create_task_group() as tasks:
            for lock in locks:
                tasks.start_soon(enter, lock)
            await until_in_task(lambda: both_queued(rw))
            tasks.cancel_scope.cancel()

    for lock in (rw.read, rw.write):
        hold(lock)
    with other.write:
        time_out(rw.read)
        assert not rw.write.acquire(timeout=0.001)
        before = descriptors(rw), threading.active_count()
        run(backend, main)
        for _ in range(20):
            assert not rw.read.acquire(timeout=0.001)
            assert not rw.write.acquire(timeout=0.001)
        until(lambda: idle(rw))
        assert descriptors(rw) == before[0]
        assert threading.active_count() <= before[1]  # one of before may have ended
    at_rest(rw)


def test_who_waits_for_readers_does_not_write_yet(
    backend: Backend, rw: MachineRWLock
) -> None:
    """Neither a thread nor a task, as others of its process see it."""
    other = stranger_to(rw)

    def comes() -> bool:
        return waits(rw) and rw.write._mutex._gate.locked()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, rw.write)
            await until_in_task(comes)
            assert not rw.write.locked()
            tasks.cancel_scope.cancel()

    with other.read:
        run(backend, main)
        until(lambda: idle(rw))
    with ExitStack() as threads, other.read:
        threads.enter_context(in_thread(partial(with_, rw.write)))
        until(comes)
        assert not rw.write.locked()
    at_rest(rw)


def both_queued(rw: MachineRWLock) -> bool:
    bridges = rw.read._bridge, rw.write._bridge
    return all(bridge is not None and len(bridge._queue) == MANY for bridge in bridges)


def test_a_cancelled_writer_frees_the_readers_behind_it(
    backend: Backend, rw: MachineRWLock
) -> None:
    other, came = stranger_to(rw), threading.Event()
    behind = stranger_to(rw)

    def read() -> None:
        with behind.read:
            came.set()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, rw.write)
            await until_in_task(lambda: waits(rw))
            with in_thread(read):
                await until_in_task(behind.read._mutex._gate.locked)
                assert not came.is_set()
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await until_in_task(came.is_set)

    with other.read:
        run(backend, main)
    at_rest(rw)


def test_tasks_come_in_together(backend: Backend, rw: MachineRWLock) -> None:
    """Many that waited; the writer that held them up is another process."""
    other = stranger_to(rw)
    inside = 0
    all_in: Any = None

    async def read() -> None:
        nonlocal inside
        async with rw.read:
            inside += 1
            if inside == 100:
                all_in.set()
            await all_in.wait()  # idle, or the helper thread would not get the GIL

    async def main() -> None:
        nonlocal all_in
        all_in = anyio.Event()
        other.write.acquire()
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(read)
            await until_in_task(
                lambda: bool(rw.read._bridge and rw.read._bridge._queue)
            )
            other.write.release()

    run(backend, main)
    assert inside == 100
    at_rest(rw)


def test_a_thread_waits_beside_tasks(backend: Backend, rw: MachineRWLock) -> None:
    other = stranger_to(rw)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, rw.read)
            await until_in_task(lambda: waits(rw))
            with in_thread(lambda: time_out(rw.read)):
                pass
            tasks.start_soon(anyio.to_thread.run_sync, hold, rw.read)
            tasks.start_soon(anyio.to_thread.run_sync, with_, rw.read)
            other.write.release()

    other.write.acquire()
    run(backend, main)
    at_rest(rw)


def test_a_task_that_is_closed_at_its_checkpoint(rw: MachineRWLock) -> None:
    async def main() -> None:
        entering = rw.read.__aenter__()
        entering.send(None)
        assert rw.read.locked()
        entering.close()
        assert not rw.read.locked()

    run(TRIO, main)
    at_rest(rw)


@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize("timeout", [None, PATIENCE, 0.1])
def test_a_thread_stops_the_tasks_that_wait_for_the_other_side(
    backend: Backend, rw: MachineRWLock, side: str, timeout: float | None
) -> None:
    """What they are granted meanwhile they cannot use; so it goes before them."""
    stranger, go = stranger_to(rw), threading.Event()
    lock, other = (rw.read, rw.write) if side == "read" else (rw.write, rw.read)

    def leave() -> None:
        assert go.wait(PATIENCE)
        if timeout != 0.1:
            stranger.write.release()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, other)
            await until_in_task(lambda: waits(rw))
            go.set()
            if timeout == 0.1:
                with pytest.raises(LockTimeout), lock.hold(timeout):
                    pass
                stranger.write.release()
            else:
                with lock.hold(timeout):
                    assert not rw.write._mutex.held or lock is rw.write
                with lock:
                    pass

    stranger.write.acquire()
    with in_thread(leave):
        run(backend, main)
    at_rest(rw)


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_thread_takes_back_what_its_task_was_granted(
    backend: Backend, rw: MachineRWLock, side: str
) -> None:
    """And has not used yet."""
    stranger = stranger_to(rw)
    lock, other = (rw.read, rw.write) if side == "read" else (rw.write, rw.read)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, other)
            await until_in_task(lambda: waits(rw))
            stranger.write.release()
            until(lambda: other._bridge is not None and other._bridge.holder)
            with lock:
                pass

    stranger.write.acquire()
    run(backend, main)
    at_rest(rw)


def test_would_deadlock(backend: Backend, rw: MachineRWLock) -> None:
    def refused(lock: Lock, says: str) -> None:
        with pytest.raises(WouldDeadlock, match=says), lock:
            pass
        with pytest.raises(WouldDeadlock, match=says), lock.hold():
            pass
        assert not lock.try_acquire()
        with pytest.raises(LockTimeout), lock.hold(0.001):
            pass

    async def refused_task(lock: Lock, says: str) -> None:
        for entering in (lock, lock.hold()):
            with pytest.raises(WouldDeadlock, match=says):
                async with entering:
                    pass
        for timeout in (0, 0.001):
            with pytest.raises(LockTimeout):
                async with lock.hold(timeout):
                    pass

    async def main() -> None:
        async with rw.read:
            await refused_task(rw.write, "this task reads")
            refused(rw.write, "a task of this thread's event loop reads")
            async with rw.read:
                refused(rw.write, "a task of this thread's event loop reads")
        async with rw.write:
            await refused_task(rw.read, "this task writes")
            refused(rw.read, "a task of this thread's event loop writes")
            with in_thread(lambda: time_out(rw.read)):
                pass
        # The others of the loop may wait: this task will leave.
        await rw.read.__aenter__()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, rw.write)
            await until_in_task(lambda: waits(rw))
            rw.read.release()

    with rw.read:
        refused(rw.write, "this thread reads")
        with rw.read:
            refused(rw.write, "this thread reads")
    with rw.write:
        refused(rw.read, "this thread writes")
    run(backend, main)
    at_rest(rw)


class Record:
    """A number in a file, written in two halves."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self.write(0)

    def read(self) -> int:
        first, second = struct.unpack("qq", os.pread(self._file, 16, 0))
        assert first == second
        number: int = first
        return number

    def write(self, number: int) -> None:
        half = struct.pack("q", number)
        os.pwrite(self._file, half, 0)
        os.pwrite(self._file, half, 8)

    def close(self) -> None:
        os.close(self._file)


# All at once.


@pytest.mark.parametrize("backend", [ASYNCIO, TRIO], ids=str)
def test_all_at_once(rw: MachineRWLock, tmp_path: Path, backend: Backend) -> None:
    """Two processes with ten tasks and two threads each, which read and write."""
    require(backend)  # not in the children only
    record = Record(tmp_path / "record")
    rounds = 20

    def by_thread() -> None:
        for number in range(rounds):
            with rw.read:
                record.read()
                if number % 2:
                    with rw.read:
                        record.read()
            with rw.write:
                record.write(record.read() + 1)

    async def by_task() -> None:
        for _ in range(rounds):
            async with rw.read:
                record.read()
                await anyio.lowlevel.checkpoint()
                record.read()
            async with rw.write:
                record.write(record.read() + 1)

    def process() -> None:
        with in_thread(by_thread), in_thread(by_thread):
            run(backend, lambda: all_done(*[by_task] * 10))

    processes = [Child(process), Child(process)]
    for child in processes:
        child.join()
    assert record.read() == 2 * 12 * rounds
    record.close()
    at_rest(rw)
