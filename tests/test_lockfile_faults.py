"""Kind "machine": what may become of a lock file, and what the system may lack."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from anylock import LockFileError, MachineLock, make_lock
from anylock._machine import changes, lockfile
from children import Child, Signal, in_child
from lockfiles import other, refused, usable
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anylock._machine.changes import Watch

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock"


@pytest.fixture
def lock(path: Path) -> MachineLock:
    return make_lock("machine", path=path)


# What becomes of it.


def gone(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"")
    new.replace(path)


def moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


whatever_changes = pytest.mark.parametrize("change", [gone, replaced, moved])


@whatever_changes
def test_the_file_changes_while_idle(
    lock: MachineLock, path: Path, change: Callable[[Path], None]
) -> None:
    with lock:
        pass
    change(path)
    with other(lock):
        assert lock.locked()
        assert not lock.try_acquire()
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    usable(lock)


@whatever_changes
def test_the_file_changes_between_open_and_lock(
    monkeypatch: pytest.MonkeyPatch,
    lock: MachineLock,
    path: Path,
    change: Callable[[Path], None],
) -> None:
    try_lock: Callable[[int], bool] = lockfile._try_lock
    once = [change]

    def changed(descriptor: int) -> bool:
        if once:
            once.pop()(path)
        return try_lock(descriptor)

    monkeypatch.setattr(lockfile, "_try_lock", changed)
    with lock:
        assert not once
        assert other(lock).locked()
        assert not other(lock).try_acquire()
    usable(lock)


@whatever_changes
def test_the_file_changes_while_it_is_held_and_waited_for(
    lock: MachineLock, path: Path, change: Callable[[Path], None]
) -> None:
    """Who waits moves on to the new file; those after it exclude each other."""
    waiter, came, go = other(lock), Signal(), Signal()

    def wait() -> None:
        with waiter:
            came.set()
            go.wait()

    lock.acquire()
    with in_thread(wait):
        until(lambda: waiter._mutex._gate.locked() and waiter._mutex.file._opened)
        change(path)
        lock.release()
        came.wait()
        assert lock.locked()
        assert not lock.try_acquire()
        assert not other(lock).try_acquire()
        go.set()
    came.close()
    go.close()
    usable(lock)


def test_who_moves_on_is_told_of_the_new_file(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock, path: Path
) -> None:
    waiter, holder = other(lock), other(lock)
    watched: list[int] = []

    def watch(descriptor: int) -> Watch:
        watched.append(os.fstat(descriptor).st_ino)
        return changes.watch(descriptor)

    monkeypatch.setattr(lockfile, "watch", watch)
    lock.acquire()
    with in_thread(lambda: usable_once(waiter)):
        until(lambda: watched)
        replaced(path)
        holder.acquire()
        lock.release()
        until(lambda: len(watched) > 1)
        holder.release()
    assert watched[1] == path.stat().st_ino != watched[0]
    usable(lock)


def test_the_folder_goes_while_somebody_waits(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lock = make_lock("machine", path=folder / "the.lock")
    waiter = other(lock)

    def wait() -> None:
        with pytest.raises(LockFileError, match="create that first"):
            waiter.acquire()

    lock.acquire()
    with in_thread(wait):
        until(lambda: waiter._mutex._gate.locked() and waiter._mutex.file._opened)
        (folder / "the.lock").unlink()
        folder.rmdir()
        lock.release()
    folder.mkdir()
    usable(waiter)
    usable(lock)


def test_a_shell_cuts_the_file_off(lock: MachineLock, path: Path) -> None:
    """As `> lock` does; it is held all the same."""
    lock.acquire()
    stranger = other(lock)
    with in_thread(lambda: usable_once(stranger)):
        until(lambda: stranger._mutex.file._opened)
        path.write_bytes(b"")
        assert other(lock).locked()
        assert not other(lock).try_acquire()
        assert lock.holder() is None
        lock.release()
    usable(lock)


def usable_once(lock: MachineLock) -> None:
    with lock.hold(PATIENCE):
        assert not lock.abandoned


def test_somebody_writes_into_the_file(lock: MachineLock, path: Path) -> None:
    """It is held all the same; the next one is told what is wrong."""
    with lock:
        path.write_bytes(b"precious")
        assert lock.holder() is None
        with pytest.raises(LockFileError, match="not a lock file"):
            other(lock).locked()
        assert not other(lock).try_acquire()
    refused(lock, errno.EEXIST, "not a lock file; name one")
    path.write_bytes(b"")
    usable(lock)


def test_asking_does_not_upset_who_leaves(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock
) -> None:
    """The holder leaves while another process asks; nobody died."""
    stranger = other(lock)
    try_lock: Callable[[int], bool] = lockfile._try_lock
    lock.acquire()

    def left(descriptor: int) -> bool:
        monkeypatch.setattr(lockfile, "_try_lock", try_lock)
        lock.release()
        return try_lock(descriptor)

    monkeypatch.setattr(lockfile, "_try_lock", left)
    assert not stranger.locked()
    with lock:
        assert not lock.abandoned


def test_asking_does_not_upset_who_comes(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock, path: Path
) -> None:
    """One died; another process asks, and just then somebody comes and goes."""
    path.write_bytes(b"+\n")
    stranger = other(lock)
    unlock = lockfile._unlock

    def then_comes(descriptor: int) -> None:
        monkeypatch.setattr(lockfile, "_unlock", unlock)
        unlock(descriptor)
        with lock:
            assert lock.abandoned

    monkeypatch.setattr(lockfile, "_unlock", then_comes)
    assert not stranger.locked()
    with lock:
        assert not lock.abandoned


# What the system lacks.


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EROFS, "read-only; choose another place"),
        (errno.EACCES, "may not write there; choose another place"),
        (errno.EMFILE, "too many files open; close some"),
        (errno.ENFILE, "too many files open; close some"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_the_file_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock, number: int, says: str
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        refused(lock, number, says)
    usable(lock)


def test_really_too_many_files(lock: MachineLock) -> None:
    import resource

    def child() -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        for attempt in (lock.acquire, lock.try_acquire, lock.locked, lock.holder):
            with pytest.raises(LockFileError, match="close some"):
                attempt()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        usable(lock)

    in_child(child)
    usable(lock)


@pytest.mark.parametrize("step", ["_write", "_read", "_try_lock"])
@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full; make room"),
        (errno.EDQUOT, "used up; make room"),
        (errno.ENOLCK, "locks no files; choose another place"),
        (errno.EBADF, "Bad file descriptor"),
    ],
)
@pytest.mark.parametrize("died", [False, True])
def test_the_file_cannot_be_used(  # noqa: PLR0913, PLR0917 - three are of a table
    monkeypatch: pytest.MonkeyPatch,
    lock: MachineLock,
    path: Path,
    step: str,
    number: int,
    says: str,
    died: bool,  # noqa: FBT001 - likewise
) -> None:
    path.write_bytes(b"+\n" if died else b"-\n")

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(lockfile, step, fail)
        refused(lock, number, says, always=died or step == "_read")
    with other(lock).hold(PATIENCE):  # the mark is still what it was
        assert lock.locked()
    usable(lock)


def test_the_disk_is_full_at_the_end(
    monkeypatch: pytest.MonkeyPatch, lock: MachineLock
) -> None:
    """It is let go of; the next one is told, for want of knowing better."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lock.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(lockfile, "_write", fail)
        with pytest.raises(LockFileError, match="make room"):
            lock.release()
    with other(lock).hold(PATIENCE):
        pass
    usable(lock)


def test_the_descriptor_is_closed_behind_its_back(lock: MachineLock) -> None:
    """As by a program that closes all of them; the next try opens the file anew."""
    with lock:
        pass
    os.close(lock._mutex.file._descriptor)
    with pytest.raises(LockFileError, match="Bad file descriptor"):
        lock.acquire()
    usable(lock)


def test_a_killed_holder_of_a_file_that_is_gone(lock: MachineLock, path: Path) -> None:
    held = Signal()

    def child() -> None:
        lock.acquire()
        held.set()
        held_for_ever = Signal()
        held_for_ever.wait()

    born = Child(child)
    held.wait()
    path.unlink()
    with in_thread(lambda: usable(other(lock))):
        pass
    born.kill()
    held.close()
    usable(lock)
