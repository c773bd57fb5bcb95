"""Kind "machine": what may be at the path of a lock file before it is one."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from anylock import LockFileError, MachineLock, make_lock
from anylock._machine import record
from anylock._machine.mutex import FileMutex
from lockfiles import refused, usable
from staging import PATIENCE, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX")

root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="it gives files away"
)
NOBODY = 65534
ODD_PID = (
    b"+"
    + json.dumps(
        {"pid": "\0", "started": 1, "host": record._host(), "by": "", "lock": None}
    ).encode()
)
RECORD = b'+{"pid": 1}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock"


@pytest.fixture
def lock(path: Path) -> MachineLock:
    return make_lock("machine", path=path)


def a_link(path: Path) -> Path:
    target = path.with_name("target")
    target.write_bytes(b"precious")
    path.symlink_to(target)
    return target


def a_hard_link(path: Path) -> Path:
    target = path.with_name("target")
    target.write_bytes(RECORD)
    os.link(target, path)
    return target


def a_foreign_file(path: Path) -> Path:
    path.write_bytes(RECORD)
    os.chown(path, NOBODY, NOBODY)
    return path


def a_data_file(path: Path) -> Path:
    path.write_bytes(b"- a list, not a lock\n")
    return path


@pytest.mark.parametrize(
    ("plant", "number", "says"),
    [
        (a_link, errno.ELOOP, "symbolic link; name the file"),
        (a_hard_link, errno.EMLINK, "several hard links; name a file"),
        (a_data_file, errno.EEXIST, "not a lock file; name one"),
        pytest.param(
            *(a_foreign_file, errno.EPERM, "another user; choose"), marks=root_only
        ),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(
    lock: MachineLock,
    path: Path,
    plant: Callable[[Path], Path],
    number: int,
    says: str,
) -> None:
    target = plant(path)
    before = target.read_bytes(), target.stat()
    refused(lock, number, says)
    assert lock_holder(lock) is None
    found = target.read_bytes(), target.stat()
    assert found[0] == before[0]
    assert found[1].st_mtime_ns == before[1].st_mtime_ns
    assert found[1].st_mode == before[1].st_mode
    path.unlink()
    usable(lock)


def lock_holder(lock: MachineLock) -> object:
    try:
        return lock.holder()
    except LockFileError:
        return None


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("target"))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind(str(path))


@pytest.mark.parametrize(
    ("plant", "number", "says"),
    [
        (a_dangling_link, errno.ELOOP, "symbolic link; name the file"),
        (a_socket, errno.ENXIO, "a socket; name a file"),
        (os.mkfifo, errno.EINVAL, "not a plain file; name one"),
        (os.mkdir, errno.EISDIR, "a directory; name a file"),
    ],
)
def test_what_is_no_file_is_refused(
    lock: MachineLock,
    path: Path,
    plant: Callable[[Path], None],
    number: int,
    says: str,
) -> None:
    plant(path)
    refused(lock, number, says)
    assert not path.with_name("target").exists()
    path.rename(path.with_name("gone"))
    usable(lock)


def test_a_device_is_refused() -> None:
    refused(make_lock("machine", path="/dev/null"), errno.EINVAL, "not a plain file")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_path_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    lock = make_lock("machine", path=tmp_path / name)
    with pytest.raises(LockFileError, match="name a file") as caught:
        lock.acquire()
    assert caught.value.errno == errno.EINVAL
    assert not lock._mutex._gate.locked()


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / ("x" * 300))
    refused(lock, errno.ENAMETOOLONG, "choose a shorter one")


def test_the_folder_is_missing_at_first(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    lock = make_lock("machine", path=folder / "the.lock")
    refused(lock, errno.ENOENT, "create that first")
    folder.write_bytes(b"")
    refused(lock, errno.ENOTDIR, "not a folder")
    folder.unlink()
    folder.mkdir()
    usable(lock)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"-", b"-\n", b'-{"pid": 1}\n' + b"x" * 10_000),
        *(RECORD, b"+", b"+\n", b"+{" + b"x" * 10_000, b"+{\xff\n"),
        *(b'+{"":' * 2000, b'+{"pid": 1}\n', b"+{}\n", b'+{"":' + b"[" * 4000, ODD_PID),
    ],
)
def test_a_record_that_makes_no_sense(
    lock: MachineLock, path: Path, data: bytes
) -> None:
    path.write_bytes(data)
    assert lock.holder() is None
    assert not lock.locked()
    with lock.hold(PATIENCE):
        assert lock.abandoned == (data[:1] == record.HELD)
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    usable(lock)


def test_a_record_of_long_names(path: Path) -> None:
    long = "\U0001f512\ud800" * 1000
    lock = make_lock("machine", path=path, name=long)

    def hold() -> None:
        threading.current_thread().name = "\U0001f512" * 1000
        with lock:
            holder = lock.holder()
            assert holder is not None
            assert holder.lock_name is not None
            assert long.startswith(holder.lock_name)
            assert set(holder.by) == {"\U0001f512"}
            assert path.stat().st_size < record.LENGTH

    with in_thread(hold):
        pass
    usable(lock)


def test_a_shorter_record_over_a_longer_one(path: Path) -> None:
    with make_lock("machine", path=path, name="x" * 200):
        pass
    lock = make_lock("machine", path=path.parent / "." / path.name, name="y")
    lock._mutex = FileMutex(str(path), "y", fair=False)
    with lock:
        holder = lock.holder()
        assert holder is not None
        assert holder.lock_name == "y"
