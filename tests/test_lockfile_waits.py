"""Kind "machine": waiting for a lock that others hold, and ceasing to."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock import (
    LockHolder,
    LockNotHeldError,
    LockTimeout,
    MachineLock,
    WouldDeadlock,
    make_lock,
)
from anylock._machine import inotify
from anylock._machine.lockfile import LockFile
from anylock._machine.mutex import FileMutex
from backends import run
from children import Child, Signal
from staging import PATIENCE, Section, all_done, in_thread, queued, until

if TYPE_CHECKING:
    from backends import Backend

MANY = 500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock"


@pytest.fixture
def lock(path: Path) -> MachineLock:
    return make_lock("machine", path=path)


def other(lock: MachineLock) -> MachineLock:
    """Return a lock on the same file that shares nothing else with it.

    As another process has it: within one, locks of the same path are one.
    """
    made = MachineLock(lock.name, path=lock.path)
    made._mutex = FileMutex(lock.path, lock.name, fair=False)
    return made


def who_holds(lock: MachineLock) -> LockHolder:
    holder = lock.holder()
    assert holder is not None
    return holder


def descriptors(lock: MachineLock) -> int:
    """Count those of the lock's file, and of inotify."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            leads_to = str(descriptor.readlink())
            found += leads_to == lock.path or "inotify" in leads_to
    return found


def watches() -> int:
    """Count the files that this process watches."""
    instance = inotify._the_instance
    return 0 if instance is None else sum(map(len, list(instance._watches.values())))


def at_rest(lock: MachineLock) -> None:
    """Check that nobody holds it, waits for it, or is on the way."""
    bridge = lock._bridge
    until(lambda: bridge is None or not (bridge._helping or bridge.busy))
    assert not lock.locked()
    assert lock.try_acquire()
    assert not lock.abandoned
    lock.release()
    assert watches() == 0


# One process.


def test_all_locks_of_a_path_are_one(lock: MachineLock, path: Path) -> None:
    twin = make_lock("machine", path=path, name="twin")
    with lock:
        assert twin.locked()
        assert not twin.try_acquire()
        with pytest.raises(WouldDeadlock), twin:
            pass
        with pytest.raises(LockTimeout), twin.hold(0.001):
            pass
    with twin:
        lock.release()  # ownership is of the acquisition, not of an object
        twin.acquire()


def test_paths_that_lead_to_the_same_file(path: Path) -> None:
    folder = path.parent / "link"
    folder.symlink_to(path.parent)
    one, two = (
        make_lock("machine", path=path),
        make_lock("machine", path=folder / path.name),
    )
    with one, pytest.raises(WouldDeadlock), two:
        pass


def test_fair_and_unfair_locks_exclude_each_other(path: Path) -> None:
    fair = make_lock("machine", path=path, fair=True)
    unfair = make_lock("machine", path=path)
    with fair:
        assert not unfair.try_acquire()
        assert not unfair.acquire(timeout=0.01)
    with unfair:
        assert not fair.try_acquire()
        assert not fair.acquire(timeout=0.01)
    at_rest(fair)


def test_a_lock_stays_held_without_its_object(path: Path) -> None:
    make_lock("machine", path=path).acquire()
    found = make_lock("machine", path=path)
    assert found.locked()
    found.release()
    with pytest.raises(LockNotHeldError, match="not held"):
        found.release()
    at_rest(found)


def test_a_thread_would_wait_for_itself(lock: MachineLock) -> None:
    with lock:
        with pytest.raises(WouldDeadlock, match="this thread holds it"), lock:
            pass
        assert not lock.acquire(timeout=0.001)
        assert not lock.acquire(blocking=False)
        with in_thread(lambda: with_(lock)) as waiting:
            until(lambda: waits(lock))
            lock.release()
            waiting.join(PATIENCE)
            lock.acquire()
    at_rest(lock)


def with_(lock: MachineLock) -> None:
    with lock:
        pass


def waits(lock: MachineLock) -> bool:
    return lock._mutex._gate.locked()


def test_who_enters_is_given_the_lock(backend: Backend, lock: MachineLock) -> None:
    async def main() -> None:
        async with lock as entered:
            assert entered is lock
        async with lock.hold(1) as entered:
            assert entered is lock

    with lock as entered:
        assert entered is lock
    run(backend, main)


def test_it_travels_by_path(path: Path) -> None:
    lock = make_lock("machine", name="label", path=path, fair=True)
    with lock:
        arrived = pickle.loads(pickle.dumps(lock))  # noqa: S301 - our own
        assert isinstance(arrived, MachineLock)
        assert (arrived.name, arrived.path) == ("label", str(path))
        assert arrived.locked()
        assert arrived._fair


def test_threads_and_tasks(backend: Backend, lock: MachineLock) -> None:
    section = Section()
    rounds = 100

    def by_thread(lock: MachineLock) -> None:
        for _ in range(rounds):
            with lock:
                section.update()

    async def by_task(lock: MachineLock) -> None:
        for _ in range(rounds):
            async with lock, anyio.create_task_group():
                with section:
                    await anyio.lowlevel.checkpoint()

    async def main() -> None:
        tasks = [partial(by_task, lock) for _ in range(5)]
        await all_done(*tasks, partial(by_task, other(lock)))

    with (
        in_thread(lambda: by_thread(lock)),
        in_thread(lambda: by_thread(lock)),
        in_thread(lambda: by_thread(other(lock))),
        in_thread(lambda: asyncio.run(by_task(lock))),
    ):
        run(backend, main)
    assert (section.count, section.overlaps) == (10 * rounds, 0)
    at_rest(lock)


# Two processes, or what is as two.


def test_a_waiter_sleeps_until_it_is_let_in(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks now and then, and is told: so it comes long before it would look."""
    stranger = other(lock)
    looks = 0
    take = LockFile.take

    def look(file: LockFile, data: bytes) -> bool:
        nonlocal looks
        looks += file is stranger._mutex.file
        return take(file, data)

    monkeypatch.setattr(LockFile, "take", look)
    lock.acquire()
    with in_thread(lambda: with_time(stranger)) as waiting:
        until(lambda: looks > 10)  # by now it looks every half second
        before = looks
        lock.release()
        waiting.join(PATIENCE)
        assert looks <= before + 3
    at_rest(lock)


def with_time(lock: MachineLock) -> None:
    with lock.hold(PATIENCE):
        pass


def test_waits_that_end_leave_nothing(backend: Backend, lock: MachineLock) -> None:
    """Hundreds that run out of time, and hundreds that are cancelled."""
    holder = other(lock)
    with holder:
        assert not lock.acquire(timeout=0.01)  # what is made once is there by now
        opened, threads = descriptors(lock), threading.active_count()

        async def give_up() -> None:
            with pytest.raises(LockTimeout):
                async with lock.hold(0.01):
                    pass

        async def main() -> None:
            await all_done(*[give_up] * MANY)
            async with anyio.create_task_group() as tasks:
                for _ in range(MANY):
                    tasks.start_soon(enter, lock)
                await queued(lock, MANY)
                tasks.cancel_scope.cancel()

        run(backend, main)
        for _ in range(20):
            assert not lock.acquire(timeout=0.001)
        until(lambda: not lock._bridge or not lock._bridge._helping)
        assert descriptors(lock) == opened
        assert threading.active_count() <= threads  # some of earlier tests may end
        assert watches() == 0
    at_rest(lock)


async def enter(lock: MachineLock) -> None:
    async with lock:
        pass


def test_a_task_is_let_in_by_another_process(backend: Backend, path: Path) -> None:
    lock = make_lock("machine", path=path)
    held, go, over = Signal(), Signal(), Signal()

    def hold() -> None:
        with make_lock("machine", path=path):
            held.set()
            go.wait()
        over.wait()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, lock)
            await queued(lock)
            assert who_holds(lock).pid == child.pid
            go.set()

    child = Child(hold)
    held.wait()
    run(backend, main)
    over.set()
    child.join()
    at_rest(lock)


def test_a_fork_while_somebody_waits(lock: MachineLock) -> None:
    """The wait is the parent's; the child waits for itself."""
    holder = other(lock)
    holder.acquire()
    with in_thread(lambda: with_time(lock)) as waiting:
        until(lambda: watches() == 1)
        came = Signal()

        def child() -> None:
            assert watches() == 0
            with lock.hold(PATIENCE):
                came.set()

        born = Child(child)
        holder.release()
        waiting.join(PATIENCE)
        came.wait()
        born.join()
    at_rest(lock)


def test_several_files_are_waited_for_at_once(tmp_path: Path) -> None:
    """There is one instance of inotify; whoever waits first reads for all."""
    locks = [make_lock("machine", path=tmp_path / str(number)) for number in range(8)]
    holders = [other(lock) for lock in locks]
    for holder in holders:
        holder.acquire()
    threads = [threading.Thread(target=with_time, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    until(lambda: watches() == len(locks))
    for number in (3, 0, 7, 1, 2, 6, 5, 4):
        holders[number].release()
        threads[number].join(PATIENCE)
        assert not threads[number].is_alive()
    for lock in locks:
        at_rest(lock)


def test_what_task_holds_it(backend: Backend, lock: MachineLock) -> None:
    async def main() -> None:
        async with lock:
            by = who_holds(lock).by
            assert by
            assert by != threading.current_thread().name

    run(backend, main)

    def hold() -> None:
        with lock:
            holder = who_holds(lock)
            assert (holder.pid, holder.by) == (os.getpid(), "the-thread")

    thread = threading.Thread(target=hold, name="the-thread")
    thread.start()
    thread.join()
    assert lock.holder() is None
