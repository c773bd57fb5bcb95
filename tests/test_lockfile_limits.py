"""Kind "machine": what the system lacks for real, if root took it away.

What the others check with errors that are raised on purpose.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from anylock import LockFileError, make_lock
from children import Child, Signal, in_child
from lockfiles import all_descriptors, refused, usable
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform != "linux" or os.geteuid() != 0:
    pytest.skip("it needs root on Linux", allow_module_level=True)

from anylock._machine import inotify

_libc = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACE, PRIVATE = 0x00020000, 0x44000
SOMEBODY = 54321
"""A user who has nothing else: some limits are by user."""


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def mount_small_disk(folder: Path) -> None:
    """Mount one of four pages, for this process alone."""
    checked(_libc.unshare(NEW_NAMESPACE))
    checked(_libc.mount(b"none", b"/", None, PRIVATE, None))
    target = str(folder).encode()
    checked(_libc.mount(b"none", target, b"tmpfs", 0, b"size=16k"))


def fill(folder: Path) -> Path:
    file = folder / "full"
    with file.open("wb", buffering=0) as filling:
        exhausted(lambda: filling.write(b"x" * 4096), errno.ENOSPC)
    return file


def exhausted(take: Callable[[], object], number: int) -> None:
    """Take something until there is no more."""
    try:
        while True:
            take()
    except OSError as error:
        assert error.errno == number  # noqa: PT017 - it comes sooner or later


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        in_child(lambda: mount_small_disk(folder))
    except AssertionError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    return folder


def test_the_disk_is_full(disk: Path) -> None:
    lock = make_lock("machine", path=disk / "the.lock")

    def child() -> None:
        mount_small_disk(disk)
        full = fill(disk)
        refused(lock, errno.ENOSPC, "the disk is full; make room", always=False)
        full.unlink()
        usable(lock)
        fill(disk)  # the lock has its page already, and needs no other
        usable(lock)

    in_child(child)


def test_the_disk_is_full_for_a_fair_lock(disk: Path) -> None:
    lock = make_lock("machine", path=disk / "the.lock", fair=True)

    def child() -> None:
        mount_small_disk(disk)
        full = fill(disk)
        for _ in range(3):
            with pytest.raises(LockFileError, match="make room"):
                lock.acquire()
            assert not lock._mutex.held
        full.unlink()
        with lock:
            fill(disk)
            assert not lock.abandoned
            assert not make_lock("machine", path=lock.path).try_acquire()
        with lock.hold(PATIENCE):
            assert not lock.abandoned

    in_child(child)


@pytest.fixture
def of_somebody() -> Iterator[Path]:
    """A folder of that user, in one where others may go.

    Not in `tmp_path`: every pytest that starts closes the folder of all of those.
    """
    with TemporaryDirectory() as temporary, ExitStack() as before:
        outer = Path(temporary)
        for folder in (outer, *outer.parents):
            mode = folder.stat().st_mode
            if not mode & 0o001:
                before.callback(folder.chmod, mode)
                folder.chmod(mode | 0o011)
        found = outer / "somebody"
        found.mkdir()
        os.chown(found, SOMEBODY, SOMEBODY)
        yield found


def become_somebody() -> None:
    os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
    os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)


def test_a_folder_in_which_nobody_may_write(of_somebody: Path) -> None:
    lock = make_lock("machine", path=of_somebody / "the.lock")

    def child() -> None:
        become_somebody()
        of_somebody.chmod(0o500)
        refused(lock, errno.EACCES, "may not write there; choose another place")
        of_somebody.chmod(0o700)
        usable(lock)
        of_somebody.chmod(0o500)  # the file is there now
        usable(lock)

    in_child(child)


def test_a_file_that_nobody_may_write(of_somebody: Path) -> None:
    lock = make_lock("machine", path=of_somebody / "the.lock")

    def child() -> None:
        become_somebody()
        (of_somebody / "the.lock").touch(0o400)
        refused(lock, errno.EACCES, "may not write there; choose another place")
        (of_somebody / "the.lock").chmod(0o600)
        usable(lock)

    in_child(child)


def test_no_instance_of_inotify_is_left(of_somebody: Path) -> None:
    """Who waits polls; the lock excludes all the same, and is had in the end."""
    path = of_somebody / "the.lock"
    held, go = Signal(), Signal()

    def hold() -> None:
        become_somebody()
        with make_lock("machine", path=path):
            held.set()
            go.wait()

    def wait() -> None:
        become_somebody()
        exhausted(lambda: checked(_libc.inotify_init()), errno.EMFILE)
        before = len(all_descriptors())
        lock = make_lock("machine", path=path)
        assert not lock.try_acquire()
        assert not lock.acquire(timeout=0.02)
        assert inotify._the_instance is None
        assert len(all_descriptors()) == before + 1
        go.set()
        with lock.hold(PATIENCE):
            assert not lock.abandoned

    holder = Child(hold)
    held.wait()
    in_child(wait)
    holder.join()
    held.close()
    go.close()
