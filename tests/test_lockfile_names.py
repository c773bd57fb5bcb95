"""Kind "machine": names, and the private folder where their lock files are."""

from __future__ import annotations

import os
import pickle
import sys
import unicodedata
from pathlib import Path

import pytest

from anylock import LockFileError, make_lock
from anylock._machine.names import LONGEST_NAME
from children import in_child
from lockfiles import usable

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="XDG_RUNTIME_DIR is of Linux"
)
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="it gives files away"
)
NOBODY = 65534
E_ACUTE = "Caf\u00e9"


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The runtime directory of this user, empty."""
    pytest.importorskip("platformdirs")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x",
            "x" * LONGEST_NAME,
            "\U0001f512" * LONGEST_NAME,
            "\ud800" * LONGEST_NAME,
        ),
        *("../../x", "/", "/etc/passwd", "..", ".", "~", "a\0b", "\n", " ", "-", "CON"),
        *("\ud83d\ude00", "\U0001f600", "\u202e", "\udcff", "%s", "{}", "*"),
    ],
    ids=ascii,
)
def test_any_name(runtime: Path, name: str) -> None:
    lock = make_lock("machine", name=name)
    path = Path(lock.path)
    assert path.parent == runtime / "anylock"
    assert path.name.isascii()
    with lock:
        holder = lock.holder()
        assert holder is not None
        assert holder.lock_name == lock.name == name
        assert make_lock("machine", name=name).locked()
        in_child(lambda: make_lock("machine", name=name).try_acquire() and 1 / 0)
    usable(lock)
    assert sorted(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("reports", "Reports"),
        *(
            (
                unicodedata.normalize("NFC", E_ACUTE),
                unicodedata.normalize("NFD", E_ACUTE),
            ),
        ),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud800", "?"),
        ("x", "x "),
        ("a/b", "a//b"),
        ("x", "x\0"),
    ],
    ids=ascii,
)
def test_names_that_differ_are_two_locks(one: str, two: str) -> None:
    with make_lock("machine", name=one), make_lock("machine", name=two).hold(0):
        pass


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1)], ids=len)
def test_names_that_are_no_names(runtime: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"1 to {LONGEST_NAME} characters"):
        make_lock("machine", name=name)
    assert not list(runtime.iterdir())


def test_neither_name_nor_path() -> None:
    with pytest.raises(TypeError, match="needs a name= or a path="):
        make_lock("machine")


@pytest.mark.parametrize("wrong", [b"x", 1])
def test_what_is_no_name_or_path(wrong: str) -> None:
    with pytest.raises(TypeError):
        make_lock("machine", name=wrong)
    with pytest.raises(TypeError):
        make_lock("machine", path=wrong)


def test_a_label_beside_a_path_is_no_name(tmp_path: Path) -> None:
    lock = make_lock("machine", name="", path=tmp_path / "the.lock")
    assert lock.path == str(tmp_path / "the.lock")
    usable(lock)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_folder_is_private(runtime: Path, mask: int) -> None:
    def child() -> None:
        os.umask(mask)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime / "user" / "0")
        usable(make_lock("machine", name="x"))

    in_child(child)
    for folder in (runtime / "user" / "0" / "anylock", runtime / "user" / "0"):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_enter(runtime: Path, mode: int) -> None:
    folder = runtime / "anylock"
    folder.mkdir()
    folder.chmod(mode)
    refused(folder, "others may go there; 'chmod 700' it")
    folder.chmod(0o700)
    usable(make_lock("machine", name="x"))


def place(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the folder be there, even if platformdirs in its wisdom would not say so."""

    def user_runtime_path(*_: object, **__: object) -> Path:
        return folder

    monkeypatch.setattr("platformdirs.user_runtime_path", user_runtime_path)


def refused(path: Path, says: str) -> None:
    with pytest.raises(LockFileError, match=says) as caught:
        make_lock("machine", name="x")
    assert caught.value.path == str(path)
    assert caught.value.errno


def test_a_link_to_a_folder(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (runtime / "anylock").symlink_to(tmp_path / "elsewhere")
    refused(runtime / "anylock", "not a folder of this user; remove it")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("dangling", [False, True])
def test_something_else_is_there(
    runtime: Path,
    dangling: bool,  # noqa: FBT001 - of a table
) -> None:
    planted = runtime / "anylock"
    if dangling:
        planted.symlink_to(runtime / "elsewhere")
    else:
        planted.write_bytes(b"precious")
    refused(planted, "not a folder; remove it")
    assert not (runtime / "elsewhere").exists()


@root_only
def test_a_folder_of_another_user(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    folder = runtime / "anylock"
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    refused(folder, "not a folder of this user; remove it")
    os.chown(folder, 0, 0)
    place(monkeypatch, folder)
    os.chown(runtime, NOBODY, NOBODY)
    refused(runtime, "belongs to another user")


@root_only
def test_a_link_of_another_user_on_the_way(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    """Its owner could turn it at any time."""
    (runtime / "real").mkdir(mode=0o700)
    link = runtime / "link"
    link.symlink_to(runtime / "real")
    place(monkeypatch, link / "anylock")
    lock = make_lock("machine", name="x")
    assert lock._mutex is pickle.loads(pickle.dumps(lock))._mutex  # noqa: S301 - our own
    usable(lock)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    refused(link, "belongs to another user")


@pytest.mark.parametrize(
    ("mode", "fine"),
    [(0o755, True), (0o1777, True), (0o777, False), (0o770, False), (0o707, False)],
)
def test_who_may_write_beside_the_folder(
    monkeypatch: pytest.MonkeyPatch,
    runtime: Path,
    mode: int,
    fine: bool,  # noqa: FBT001 - of a table
) -> None:
    """They could put another folder in its place, unless only its owner may move it."""
    place(monkeypatch, runtime / "anylock")
    runtime.chmod(mode)
    if fine:
        usable(make_lock("machine", name="x"))
    else:
        refused(runtime, "others may write there; 'chmod go-w' it")


def test_the_folder_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    (runtime / "file").write_bytes(b"")
    place(monkeypatch, runtime / "file" / "folder" / "anylock")
    refused(runtime / "file" / "folder" / "anylock", "not a folder")
    place(monkeypatch, runtime / "file" / "anylock")
    refused(runtime / "file", "not a folder; remove it")


def test_platformdirs_finds_no_safe_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise PermissionError("/tmp/runtime-0 is a symlink")  # noqa: S108 - a message

    monkeypatch.setattr("platformdirs.user_runtime_path", fail)
    with pytest.raises(LockFileError, match="runtime-0 is a symlink"):
        make_lock("machine", name="x")


def test_without_platformdirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(ImportError, match=r"pip install 'anylock\[machine\]', or give"):
        make_lock("machine", name="x")
    usable(make_lock("machine", path=tmp_path / "the.lock"))
    usable(make_lock("machine", path=tmp_path / "the.lock", name="label"))
