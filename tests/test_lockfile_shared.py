"""Kind "machine": shared locks, in one process and what is as several."""

from __future__ import annotations

import importlib
import itertools
import os
import pickle
import sys
import threading
import types
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anylock import (
    Lock,
    LockFileError,
    LockNotHeldError,
    LockTimeout,
    MachineLock,
    make_lock,
)
from anylock._machine import inotify
from anylock._machine.mutex import FileMutex
from anylock._machine.rwlock import MachineReadLock, MachineRWLock, MachineWriteLock
from anylock._machine.shared import ReadEntrance
from anylock.testing import check_lock
from backends import TRIO, require, run
from lockfiles import all_descriptors
from staging import PATIENCE, in_thread, until, until_in_task

if TYPE_CHECKING:
    from pathlib import Path

    from backends import Backend

MANY = 500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock"


@pytest.fixture
def rw(path: Path) -> MachineRWLock:
    return MachineRWLock(path=path)


def stranger_to(rw: MachineRWLock) -> MachineRWLock:
    """Return a lock on the same file that shares nothing else, as another process."""
    made = MachineRWLock(path=rw.path)
    writer = FileMutex(rw.path, None, fair=True)
    made.write._mutex = made.read._writer = writer
    made.write._entrance = made.read._mutex = ReadEntrance(rw.path)
    return made


def hold(lock: Lock) -> None:
    with lock.hold(PATIENCE):
        pass


def with_(lock: Lock) -> None:
    with lock:
        pass


async def enter(lock: Lock) -> None:
    async with lock:
        pass


def idle(rw: MachineRWLock) -> bool:
    bridges = [rw.read._bridge, rw.write._bridge]
    return not any(bridge and (bridge._helping or bridge.busy) for bridge in bridges)


def at_rest(rw: MachineRWLock) -> None:
    """Check that nobody is inside, waits, or is on the way, and that all works."""
    until(lambda: idle(rw))
    other = stranger_to(rw)
    assert not rw.read.locked()
    assert not rw.write.locked()
    for one, two in ((rw, other), (other, rw)):
        with one.read, two.read:
            assert two.read.locked()
            assert not one.write.try_acquire()
            assert not two.write.try_acquire()
        with one.write:
            assert two.write.locked()
            assert not two.read.try_acquire()
            assert not one.read.try_acquire()
    assert not rw.read.abandoned
    with rw.write:
        assert not rw.write.abandoned
    instance = inotify._the_instance
    assert instance is None or not any(instance._watches.values())


# What they are.


def test_what_they_are(path: Path) -> None:
    rw = MachineRWLock("reports", path=path)
    assert (rw.kind, rw.name, rw.path) == ("machine", "reports", str(path))
    assert rw.read is rw.read
    assert rw.write is rw.write
    assert isinstance(rw.write, MachineLock)
    for lock in (rw.read, rw.write):
        assert isinstance(lock, Lock)
        assert (lock.kind, lock.name, lock.path) == ("machine", "reports", str(path))
    assert repr(rw).startswith("<anylock.MachineRWLock object name='reports' path=")
    assert repr(rw.read).startswith("<not read here anylock.MachineReadLock object n")
    assert repr(rw.write).startswith("<not held here anylock.MachineWriteLock object")
    with rw.read as entered:
        assert entered is rw.read
        assert repr(rw.read).startswith("<read anylock.MachineReadLock object name='r")
        assert rw.holder() is rw.read.holder() is rw.write.holder() is None
    with rw.write as writing:
        assert writing is rw.write
        assert repr(rw.write).startswith("<locked anylock.MachineWriteLock object nam")
        holder = rw.holder()
        assert holder is not None
        assert holder.lock_name == "reports"
        assert rw.read.holder() == rw.write.holder() == holder


def test_they_travel_by_path(rw: MachineRWLock) -> None:
    with rw.read:
        for lock in (rw, rw.read, rw.write):
            arrived = pickle.loads(pickle.dumps(lock))  # noqa: S301 - our own
            assert type(arrived) is type(lock)
            assert arrived.path == rw.path
        assert pickle.loads(pickle.dumps(rw)).read.locked()  # noqa: S301
    unnamed = MachineReadLock(path=rw.path)
    with MachineWriteLock(path=rw.path):
        assert not unnamed.try_acquire()


def test_nothing_to_meet_by() -> None:
    with pytest.raises(TypeError, match="needs a name= or a path="):
        MachineRWLock()
    with pytest.raises(TypeError, match="path must be a string"):
        MachineRWLock(path=b"x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_windows_has_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "anylock._machine.windows"
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(LockFileError, match="which Windows lacks; use make_lock"):
        MachineRWLock(path=path)
    monkeypatch.setitem(sys.modules, "msvcrt", types.ModuleType("msvcrt"))
    monkeypatch.setattr(os, "O_BINARY", 0, raising=False)
    monkeypatch.setattr(os, "O_NOINHERIT", 0, raising=False)
    monkeypatch.delitem(sys.modules, name, raising=False)
    windows = importlib.import_module(name)
    del sys.modules[name]
    assert not windows.try_share(0)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_to_write_keeps_the_contract_of_a_lock(tmp_path: Path, library: str) -> None:
    if library == "trio":
        require(TRIO)
    numbers = itertools.count()

    def make() -> MachineWriteLock:
        return MachineRWLock(path=tmp_path / f"{next(numbers)}.lock").write

    check_lock(make, backends=[library], deadlocks=True)


@pytest.mark.parametrize("timeout", [-2, float("nan")])
def test_time_outs_that_are_none(rw: MachineRWLock, timeout: float) -> None:
    for lock in (rw.read, rw.write):
        with pytest.raises(ValueError, match="timeout value"):
            lock.acquire(timeout=timeout)
        with pytest.raises(ValueError, match="non-blocking"):
            lock.acquire(blocking=False, timeout=1)
        with pytest.raises(OverflowError, match="too large"):
            lock.acquire(timeout=1e300)
        assert not lock.locked()


# Who excludes whom.


def sides(rw: MachineRWLock) -> dict[str, Lock]:
    return {
        "read": rw.read,
        "write": rw.write,
        "fair": make_lock("machine", path=rw.path, fair=True),
        "unfair": make_lock("machine", path=rw.path),
    }


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize("inside", ["read", "write", "fair", "unfair"])
@pytest.mark.parametrize("comes", ["read", "write", "fair", "unfair"])
def test_who_excludes_whom(
    rw: MachineRWLock,
    inside: str,
    comes: str,
    elsewhere: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    lock = sides(stranger_to(rw) if elsewhere else rw)[inside]
    other = sides(rw)[comes]
    together = inside == comes == "read"
    tried, came = threading.Event(), threading.Event()

    def come() -> None:
        assert other.try_acquire() == together
        if together:
            other.release()
        else:
            with pytest.raises(LockTimeout), other.hold(0.001):
                pass
        tried.set()
        with other.hold(PATIENCE):
            came.set()

    assert lock.try_acquire()
    with in_thread(come):
        assert tried.wait(PATIENCE)
        assert came.wait(PATIENCE if together else 0) == together
        lock.release()
        assert came.wait(PATIENCE)
    at_rest(rw)


def test_all_readers_of_a_process_have_one_lock(rw: MachineRWLock) -> None:
    """Their number costs no descriptors."""
    with rw.read:
        before = len(all_descriptors())
        barrier = threading.Barrier(21)

        def read() -> None:
            with rw.read:
                barrier.wait(PATIENCE)
                barrier.wait(PATIENCE)

        threads = [threading.Thread(target=read) for _ in range(20)]
        for thread in threads:
            thread.start()
        barrier.wait(PATIENCE)
        assert len(all_descriptors()) == before
        assert not stranger_to(rw).write.try_acquire()
        barrier.wait(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
        assert not stranger_to(rw).write.try_acquire()
    at_rest(rw)


def test_a_read_stays_without_its_object(path: Path) -> None:
    MachineRWLock(path=path).read.acquire()
    found = MachineRWLock(path=path)
    assert found.read.locked()
    assert not found.write.try_acquire()
    found.read.release()
    with pytest.raises(LockNotHeldError, match="not held"):
        found.read.release()
    at_rest(found)


def test_whoever_leaves_for_somebody_else(rw: MachineRWLock) -> None:
    with in_thread(rw.read.acquire):
        pass
    assert rw.read.locked()
    rw.read.release()
    at_rest(rw)


def test_asking_disturbs_nobody_that_waits(rw: MachineRWLock) -> None:
    """Who was turned away by the look is told to look again."""
    other, came = stranger_to(rw), threading.Event()

    def write() -> None:
        with other.write:
            came.set()

    rw.read.acquire()
    with in_thread(write):
        until(lambda: not rw.read._mutex._others.empty())
        with in_thread(lambda: ask(rw, came)):
            rw.read.release()
            assert came.wait(PATIENCE)
    at_rest(rw)


def ask(rw: MachineRWLock, over: threading.Event) -> None:
    while not over.is_set():
        stranger_to(rw).read.locked()


# Order.


def waits(rw: MachineRWLock) -> bool:
    """Say whether somebody has a place in the queue across processes."""
    return not rw.read._mutex._others.empty()


@pytest.mark.parametrize("timeout", [None, 0.05], ids=["", "times out"])
def test_a_writer_that_waits_keeps_newcomers_out(
    rw: MachineRWLock, timeout: float | None
) -> None:
    one, two = stranger_to(rw), stranger_to(rw)
    order: list[str] = []

    def write() -> None:
        if timeout is None:
            with one.write:
                order.append("write")
        else:
            with pytest.raises(LockTimeout), one.write.hold(timeout):
                pass

    def read() -> None:
        with two.read:
            order.append("read")

    with rw.read, in_thread(write) as writer:
        until(lambda: waits(rw))
        if timeout is None:
            for newcomer in (rw.read, two.read):
                with in_thread(partial(time_out, newcomer)):
                    pass
        with in_thread(read) as reader:
            if timeout is None:
                rw.read.release()
            writer.join(PATIENCE)
            reader.join(PATIENCE)
            if timeout is None:
                rw.read.acquire()
    assert order == ["write", "read"][timeout is not None :]
    at_rest(rw)


def time_out(lock: MachineReadLock) -> None:
    assert not lock.try_acquire()
    assert not lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.001)


def test_who_reads_may_read_again(backend: Backend, rw: MachineRWLock) -> None:
    """At once, though a writer waits."""
    other = stranger_to(rw)

    async def main() -> None:
        async with rw.read:
            with in_thread(lambda: hold(other.write)) as writer:
                await until_in_task(lambda: waits(rw))
                async with rw.read, rw.read.hold(0):
                    with rw.read:
                        assert rw.read.try_acquire()
                        rw.read.release()
                    assert writer.is_alive()
                rw.read.release()
                writer.join(PATIENCE)
                assert rw.read.try_acquire()

    run(backend, main)
    with rw.read, in_thread(lambda: hold(other.write)) as writer:
        until(lambda: waits(rw))
        with rw.read, rw.read.hold(0), in_thread(lambda: time_out(rw.read)):
            pass
        rw.read.release()
        writer.join(PATIENCE)
        rw.read.acquire()
    at_rest(rw)
