"""Kind "machine": what is said to Windows and macOS, as far as others can see it.

Neither runs here. Stand-ins take the place of `msvcrt` and `select.kqueue`: they show
that the calls fit together, not that those systems do what their manuals say.
"""

from __future__ import annotations

import errno
import importlib
import os
import select
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockFileError
from anylock._machine import lockfile, record
from anylock._machine.lockfile import LockFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="there the real ones are used"
)
fcntl: Any = pytest.importorskip("fcntl")
NBLCK, UNLCK = 2, 0


class FakeMsvcrt(types.ModuleType):
    """Locks a byte at the position of the file, as `msvcrt.locking` does."""

    LK_NBLCK, LK_UNLCK = NBLCK, UNLCK

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.error: int | None = None
        self.places: set[tuple[int, int]] = set()

    def locking(self, descriptor: int, mode: int, length: int) -> None:
        self.places.add((os.lseek(descriptor, 0, os.SEEK_CUR), length))
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        try:
            flag = fcntl.LOCK_UN if mode == UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.flock(descriptor, flag)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None


@pytest.fixture
def msvcrt(monkeypatch: pytest.MonkeyPatch) -> FakeMsvcrt:
    fake = FakeMsvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    return fake


def imported(monkeypatch: pytest.MonkeyPatch, name: str, platform: str) -> Any:
    """Import a module as that platform would, for this test only."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        patch.setattr(os, "O_BINARY", 0, raising=False)
        patch.setattr(os, "O_NOINHERIT", os.O_CLOEXEC, raising=False)
        patch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, msvcrt: FakeMsvcrt) -> Iterator[Any]:
    """The calls of Windows, under every lock file."""
    del msvcrt
    name = "anylock._machine.windows"
    module = imported(monkeypatch, name, "win32")
    for call in ("identity_at", "read", "try_lock", "unlock", "write"):
        monkeypatch.setattr(lockfile, f"_{call}", getattr(module, call))
    monkeypatch.setattr(lockfile, "system", module)
    yield module
    del sys.modules[name]


@pytest.mark.usefixtures("windows")
def test_windows_excludes(tmp_path: Path, msvcrt: FakeMsvcrt) -> None:
    path = str(tmp_path / "the.lock")
    one, two = LockFile(path), LockFile(path)
    assert one.take(record.ANONYMOUS)
    assert not two.take(record.ANONYMOUS)
    assert two.locked()
    one.release()
    assert not two.locked()
    assert two.take(record.ANONYMOUS)
    assert not two.abandoned
    two.close()  # it dies inside
    assert one.take(record.ANONYMOUS)
    assert one.abandoned
    assert msvcrt.places == {(2**30, 1)}
    assert (tmp_path / "the.lock").read_bytes() == record.ANONYMOUS


def test_windows_unlocks_what_is_not_locked(
    tmp_path: Path, windows: Any, msvcrt: FakeMsvcrt
) -> None:
    descriptor = windows.open_file(str(tmp_path / "the.lock"))
    msvcrt.error = errno.EACCES
    windows.unlock(descriptor)
    msvcrt.error = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        windows.unlock(descriptor)
    with pytest.raises(OSError, match="Input/output"):
        windows.try_lock(descriptor)
    os.close(descriptor)


def test_windows_explains(tmp_path: Path, windows: Any) -> None:
    for name, number in (("no/file", errno.ENOENT), ("a\0b", errno.EINVAL)):
        with pytest.raises(LockFileError) as caught:
            windows.open_file(str(tmp_path / name))
        assert caught.value.errno == number
        assert windows.explained(caught.value, "elsewhere") is caught.value


class FakeKqueue:
    """Tells of one change, once it was asked to watch."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.changed = 0
        self.closed = False

    def control(
        self, changes: list[Any] | None, most: int, timeout: float | None = None
    ) -> list[str]:
        self.asked += changes or [timeout]
        found = ["changed"] * min(self.changed, most)
        self.changed -= len(found)
        return found

    def close(self) -> None:
        self.closed = True


def test_kqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeKqueue()

    def kevent(*of: int) -> tuple[int, ...]:
        return of

    monkeypatch.setattr(select, "kqueue", lambda: queue, raising=False)
    monkeypatch.setattr(select, "kevent", kevent, raising=False)
    flags = {
        "KQ_FILTER_VNODE": -4,
        "KQ_EV_ADD": 1,
        "KQ_EV_CLEAR": 32,
        "KQ_NOTE_DELETE": 1,
        "KQ_NOTE_WRITE": 2,
        "KQ_NOTE_RENAME": 32,
    }
    for flag, value in flags.items():
        monkeypatch.setattr(select, flag, value, raising=False)
    name = "anylock._machine.kqueue"
    watching = imported(monkeypatch, name, "darwin").KqueueWatch(7)
    del sys.modules[name]
    assert queue.asked == [(7, -4, 33, 35)]
    assert not watching.wait(0.5)
    assert queue.asked[1:] == [0.5]
    queue.changed = 1
    assert watching.wait(0.5)
    assert not watching.wait(0.5)
    watching.close()
    assert queue.closed
