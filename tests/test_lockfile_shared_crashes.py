"""Kind "machine": shared locks of several processes, which are killed and fork."""

from __future__ import annotations

import mmap
import os
import signal
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anylock import Lock, LockNotHeldError, LockTimeout, make_lock
from anylock._machine.rwlock import MachineRWLock
from backends import ASYNCIO, run
from children import Child, Signal, in_child
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


@pytest.fixture
def rw(tmp_path: Path) -> MachineRWLock:
    return MachineRWLock(path=tmp_path / "the.lock")


def waits(rw: MachineRWLock) -> bool:
    """Say whether somebody of another process has a place in the queue."""
    return not rw.read._mutex._others.empty()


def side(path: str, name: str) -> Lock:
    if name == "plain":
        return make_lock("machine", path=path)
    rw = MachineRWLock(path=path)
    return rw.read if name == "read" else rw.write


class Holder:
    """Another process that holds a side until it is told to go."""

    def __init__(self, path: str, name: str) -> None:
        self._holds, self._go = Signal(), Signal()
        self.child = Child(partial(self._hold, path, name))

    def _hold(self, path: str, name: str) -> None:
        with side(path, name):
            self._holds.set()
            self._go.wait()

    def __enter__(self) -> Self:
        return self

    def holds(self) -> None:
        self._holds.wait()

    def leave(self) -> None:
        self._go.set()
        self.child.join()

    def __exit__(self, *exc_info: object) -> None:
        self.child.kill()
        self._holds.close()
        self._go.close()


SIDES = ("read", "write", "plain")


@pytest.mark.parametrize("inside", SIDES)
@pytest.mark.parametrize("comes", SIDES)
def test_who_excludes_whom(rw: MachineRWLock, inside: str, comes: str) -> None:
    """Processes that know nothing of each other."""
    together = inside == comes == "read"
    lock = side(rw.path, comes)
    with Holder(rw.path, inside) as holder:
        holder.holds()
        assert lock.try_acquire() == together
        if together:
            assert rw.read.locked()
            lock.release()
            assert rw.read.locked()
            holder.leave()
        else:
            with pytest.raises(LockTimeout), lock.hold(0.001):
                pass
            assert rw.write.locked() == (inside != "read")
            assert rw.read.locked() == (inside == "read")
            with in_thread(holder.leave), lock.hold(PATIENCE):
                pass
    assert not rw.read.locked()
    assert not rw.write.locked()


def test_processes_read_together(rw: MachineRWLock) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Holder(rw.path, "read")).holds()
        with rw.read:
            assert not rw.write.try_acquire()


def test_a_stream_of_readers_does_not_starve_a_writer(rw: MachineRWLock) -> None:
    """Between them they always read: each leaves only when another one is inside."""
    shared = mmap.mmap(-1, 4)  # who reads, and whether it is over
    over = 3

    def inside(but: int) -> bool:
        return any(shared[other] for other in range(3) if other != but)

    def read(number: int) -> None:
        lock = MachineRWLock(path=rw.path)
        while not shared[over]:
            with lock.read:
                shared[number] = 1
                # Who waits keeps the others from coming.
                until(lambda: inside(number) or waits(lock) or shared[over])
                shared[number] = 0

    readers = [Child(partial(read, number)) for number in range(3)]
    for _ in range(20):
        until(lambda: inside(-1))
        with rw.write.hold(PATIENCE):
            pass
    shared[over] = 1
    for reader in readers:
        reader.join()


@pytest.mark.parametrize("ends", ["killed", "times out"])
def test_a_queued_writer_that_ends_frees_the_readers(
    rw: MachineRWLock, ends: str
) -> None:
    timeout = PATIENCE if ends == "killed" else 0.1
    with rw.read:
        writer = Child(
            lambda: MachineRWLock(path=rw.path).write.acquire(timeout=timeout)
        )
        until(lambda: waits(rw))
        with Holder(rw.path, "read") as reader:
            if ends == "killed":
                writer.kill()
            reader.holds()
        if ends != "killed":
            writer.join()


# Death.


def test_a_killed_reader_is_out(rw: MachineRWLock) -> None:
    with Holder(rw.path, "read") as reader:
        reader.holds()
        with in_thread(lambda: written(rw)):
            until(lambda: waits(rw))
            reader.child.kill()
    written(rw)


def written(rw: MachineRWLock) -> None:
    with rw.write.hold(PATIENCE):
        assert not rw.write.abandoned


def test_a_killed_writer_is_told_until_somebody_has_written(rw: MachineRWLock) -> None:
    with Holder(rw.path, "write") as writer:
        writer.holds()
        holder = rw.holder()
        assert holder is not None
        assert holder.pid == writer.child.pid
        writer.child.kill()
    assert rw.holder() is None
    assert not rw.write.locked()
    for _ in range(2):
        with rw.read.hold(PATIENCE):
            assert rw.read.abandoned
            assert not rw.write.locked()
            assert rw.read.locked()
            with rw.read:
                pass
            assert rw.read.abandoned
        assert not rw.read.abandoned
        assert not rw.read.locked()
        assert not rw.write.locked()
        in_child(lambda: told(rw))
    with rw.write:
        assert rw.write.abandoned
    with rw.read:
        assert not rw.read.abandoned
    written(rw)


def told(rw: MachineRWLock) -> None:
    with rw.read.hold(PATIENCE):
        assert rw.read.abandoned


def test_a_reader_that_dies_inside_is_not_told(rw: MachineRWLock) -> None:
    with Holder(rw.path, "read") as reader:
        reader.holds()
    with rw.read:
        assert not rw.read.abandoned
    written(rw)


# Forks.


def test_a_child_reads_nothing_of_what_its_parent_reads(rw: MachineRWLock) -> None:
    share = rw.read._mutex._share  # as the frame of a thread may have it

    def child() -> None:
        assert share._descriptor < 0
        assert not rw.read.abandoned
        with pytest.raises(LockNotHeldError):
            rw.read.release()
        assert rw.read.locked()
        assert not rw.write.try_acquire()
        with rw.read, rw.read:
            pass
        assert rw.read.locked()
        rw.read.__exit__(None, None, None)  # leaves what it was in, twice
        rw.read.__exit__(None, None, None)
        with pytest.raises(LockNotHeldError):
            rw.read.__exit__(None, None, None)
        assert rw.read.locked()

    with rw.read, rw.read:
        in_child(child)
        assert rw.read.locked()
        assert not MachineRWLock(path=rw.path).write.try_acquire()
    assert not rw.read.locked()
    in_child(lambda: written(rw))
    written(rw)


def test_the_reader_that_forked_is_killed(rw: MachineRWLock) -> None:
    """Its child lives on, and has nothing of it."""
    born, over = Signal(), Signal()

    def read() -> None:
        with rw.read:
            if os.fork() == 0:
                born.set()
                over.wait()
                os._exit(0)
            signal.pause()

    child = Child(read)
    born.wait()
    assert rw.read.locked()
    os.kill(child.pid, signal.SIGKILL)
    written(rw)
    over.set()
    child.kill()


def test_a_fork_while_others_wait(rw: MachineRWLock) -> None:
    """A thread in the queue, and a task with its helper; the child has none of them."""

    async def enter() -> None:
        async with rw.read:
            pass

    def wait() -> None:
        with rw.read:
            pass

    def child() -> None:
        entrance = rw.read._mutex
        assert not entrance._gate.locked()
        assert entrance.owner is None
        assert not rw.read.acquire(timeout=0.001)
        ready.set()
        with rw.read.hold(PATIENCE):
            pass
        run(ASYNCIO, enter)
        written(rw)

    ready = Signal()
    with Holder(rw.path, "write") as writer:
        writer.holds()
        with in_thread(wait), in_thread(partial(run, ASYNCIO, enter)):
            until(lambda: rw.read._bridge is not None and rw.read._bridge._helping)
            until(lambda: waits(rw))
            born = Child(child)
            ready.wait()
            writer.leave()
        born.join()
    written(rw)


# Files that are deleted or replaced.


@pytest.mark.parametrize("new", [False, True], ids=["deleted", "replaced"])
def test_the_file_goes_while_somebody_reads(
    rw: MachineRWLock,
    tmp_path: Path,
    new: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Who comes now does not join those inside, and is excluded by who has the new."""
    file = tmp_path / "the.lock"
    with rw.read:
        file.unlink()
        if new:
            file.touch()
        with Holder(rw.path, "write") as writer:
            writer.holds()
            with in_thread(lambda: refused(rw)):
                pass
            with in_thread(lambda: with_(rw.read)):
                until(lambda: waits(rw))
                writer.leave()
        with in_thread(lambda: with_(rw.read)):
            pass
        with rw.read:
            pass
        with in_thread(lambda: written(rw)):
            pass
        assert not rw.write._mutex.held
    assert not rw.read._mutex.readers
    written(rw)
    with Holder(rw.path, "read") as reader:
        reader.holds()
        assert rw.read.locked()


def refused(rw: MachineRWLock) -> None:
    assert not rw.read.try_acquire()
    assert not rw.read.acquire(timeout=0.001)


def with_(lock: Lock) -> None:
    with lock:
        pass
