"""Kind "machine": where nobody tells of a change, who waits looks again and again."""

from __future__ import annotations

import errno
import os
import sys
import threading
from time import sleep
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock import LockTimeout, MachineLock, make_lock
from backends import run
from children import Child, Signal, in_child
from lockfiles import all_descriptors, other, usable
from staging import PATIENCE, all_done, helpers, in_thread, queued, until

if sys.platform != "linux":
    pytest.skip("it is about inotify", allow_module_level=True)

from anylock._machine import changes, inotify, polling
from anylock._machine.polling import Polling

if TYPE_CHECKING:
    from pathlib import Path

    from backends import Backend


@pytest.fixture
def lock(tmp_path: Path) -> MachineLock:
    return make_lock("machine", path=tmp_path / "the.lock")


@pytest.fixture(params=["instances", "watches", "network"])
def blind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nobody is told of changes: there are no means, or another machine makes them."""
    lacking: str = request.param

    def no_instance() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def no_watch(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def unseen(_: int) -> bool:
        return True

    if lacking == "instances":
        monkeypatch.setattr(inotify, "_instance", no_instance)
    elif lacking == "watches":
        monkeypatch.setattr(inotify._Inotify, "add", no_watch)
    else:
        monkeypatch.setattr(changes, "changes_unseen", unseen)
    return lacking


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each sleep between two looks was to be."""
    found: list[float] = []

    def counted(seconds: float) -> None:
        found.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(polling, "sleep", counted)
    return found


@pytest.mark.usefixtures("blind")
def test_who_waits_looks_again(lock: MachineLock, slept: list[float]) -> None:
    lock.acquire()
    with in_thread(lambda: usable_once(other(lock))):
        until(lambda: len(slept) > 8)
        lock.release()
    assert slept[0] == pytest.approx(0.001)
    assert max(slept) == polling.LONGEST
    usable(lock)


def usable_once(lock: MachineLock) -> None:
    with lock.hold(PATIENCE):
        pass


@pytest.mark.usefixtures("blind")
def test_who_waits_gives_up(lock: MachineLock, slept: list[float]) -> None:
    """It never means to sleep longer than there is time."""
    stranger = other(lock)
    with lock:
        assert not stranger.acquire(timeout=0.03)
        assert not stranger.try_acquire()
        assert 0 < sum(slept) <= 0.03
        before = all_descriptors()
        for _ in range(20):
            assert not stranger.acquire(timeout=0.001)
        assert len(all_descriptors()) == len(before)
    usable(lock)


@pytest.mark.usefixtures("blind")
def test_tasks(backend: Backend, lock: MachineLock) -> None:
    stranger = other(lock)
    entered: list[str] = []

    async def enter() -> None:
        async with stranger:
            entered.append("waited")

    async def give_up() -> None:
        with pytest.raises(LockTimeout):
            async with stranger.hold(0.01):
                pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(enter)
            await queued(stranger, 5)
            tasks.cancel_scope.cancel()
        await all_done(*[give_up] * 5)
        assert not entered
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await queued(stranger)
            lock.release()

    lock.acquire()
    run(backend, main)
    assert entered == ["waited"]
    # The thread that waited for the tasks may still have it, to find nobody waiting.
    until(lambda: not (helpers(stranger) or stranger.locked()))
    usable(lock)


@pytest.mark.usefixtures("blind")
def test_the_holder_is_killed(lock: MachineLock, slept: list[float]) -> None:
    held, never = Signal(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            never.wait()

    child = Child(hold)
    held.wait()

    def wait() -> None:
        with lock.hold(PATIENCE):
            assert lock.abandoned

    with in_thread(wait):
        until(lambda: slept)
        child.kill()
    held.close()
    usable(lock)


def test_it_is_told_again_when_that_is_possible(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock
) -> None:
    def unseen(_: int) -> bool:
        return True

    descriptor = lock._mutex.file.open()
    with monkeypatch.context() as patch:
        patch.setattr(changes, "changes_unseen", unseen)
        assert isinstance(changes.watch(descriptor), Polling)
    watching = changes.watch(descriptor)
    assert not isinstance(watching, Polling)
    watching.close()


def test_there_is_no_descriptor_for_a_watch(lock: MachineLock) -> None:
    """For real: the lock file is the last that this process may open."""
    import resource

    with other(lock) as holder:

        def child() -> None:
            assert inotify._the_instance is None
            descriptor = lock._mutex.file.open()
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(descriptor)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            watching = changes.watch(descriptor)
            assert isinstance(watching, Polling)
            assert not lock.acquire(timeout=0.01)
            assert inotify._the_instance is None
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert not lock.acquire(timeout=0.01)
            assert inotify._the_instance is not None

        in_child(child)
        assert holder.locked()
    usable(lock)


@pytest.mark.parametrize(("magic", "unseen"), [(0x9FA0, True), (0x6969, False)])
def test_what_file_system_it_is(
    monkeypatch: pytest.MonkeyPatch,
    magic: int,
    unseen: bool,  # noqa: FBT001 - of a table
) -> None:
    """By that of /proc, 0x9FA0, as there is no network file system here."""
    monkeypatch.setattr(changes, "_NETWORK", {magic: "taken for one"})
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123 - its descriptor counts
        assert changes.changes_unseen(file.fileno()) == unseen


def test_what_file_system_nobody_knows() -> None:
    assert not changes.changes_unseen(-1)


def test_who_has_all_the_time_there_is_looks_again(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock, slept: list[float]
) -> None:
    """The system makes nobody wait for a file on another machine."""

    def unseen(_: int) -> bool:
        return True

    def enter() -> None:
        with other(lock):
            pass

    assert not changes.block(10**6)  # no such descriptor
    monkeypatch.setattr(changes, "changes_unseen", unseen)
    lock.acquire()
    with in_thread(enter):
        until(lambda: slept)
        lock.release()
    usable(lock)
