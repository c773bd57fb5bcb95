"""Kind "machine": what may happen to the queue of a fair lock, and to its file."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockFileError, make_lock
from children import Child, Signal, in_child
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from lockfiles import all_descriptors
from staging import in_thread, until

if sys.platform != "linux":
    pytest.skip("it is about open file description locks", allow_module_level=True)

import fcntl

from anylock._machine import changes, posix
from anylock._machine.lockfile import ONCE
from anylock._machine.queue import Queue
from test_lockfile_queue import (
    DATA,
    at_rest,
    enter,
    in_front,
    places,
    queue_at,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock.queue"


# Forks and signals.


def test_a_child_does_not_keep_the_place_of_its_parent(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "the.lock", fair=True)
    file = tmp_path / "the.lock.queue"
    mine: Any = lock._mutex._queue
    born, over = Signal(), Signal()

    def child() -> None:
        assert len(places(file)) == 1
        born.set()
        over.wait()

    mine._queue_up()
    living = Child(child)
    born.wait()
    mine.close()  # as when the parent dies
    at_rest(file)
    over.set()
    living.join()


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="a handler may raise where nobody is told"
)
@pytest.mark.filterwarnings("ignore:unclosed file")  # it may raise out of open()
@pytest.mark.usefixtures("_no_garbage_collection")
def test_a_handler_raises_at_every_point(tmp_path: Path) -> None:
    def attempt(point: int, where: list[str]) -> None:
        path = tmp_path / str(point)
        mine = queue_at(path)
        with in_front(path) as first:
            assert not mine.take(DATA)
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                enter(mine, monotonic() + 0.001)
            mine.unlock()  # as who waits for the lock does then
            assert len(places(path)) == 1
            first.release()
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                assert mine.take(DATA)
                mine.release()
            mine.unlock()
            assert not places(path)

    run_points(attempt, parks=False)


# The file.


def test_the_file_goes_or_is_replaced(path: Path) -> None:
    """Who comes then meets those who come after it."""
    mine = queue_at(path)
    assert mine.take(DATA)
    mine.release()
    for replacement in (None, path.with_name("new")):
        if replacement is None:
            path.unlink()
        else:
            replacement.write_bytes(b"")
            replacement.replace(path)
        assert mine.take(DATA)
        assert not queue_at(path).take(DATA)
        mine.release()
    at_rest(path)


def test_planted(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path.symlink_to(target)
    attempts: list[Callable[[Queue], object]] = [
        Queue.empty,
        lambda mine: mine.take(DATA),
        enter,
    ]
    for attempt in attempts:
        with pytest.raises(LockFileError, match="symbolic link"):
            attempt(queue_at(path))
    path.unlink()
    path.write_bytes(b"precious")
    for attempt in attempts[1:]:
        with pytest.raises(LockFileError, match="not a lock file"):
            attempt(queue_at(path))
    assert path.read_bytes() == target.read_bytes() == b"precious"
    path.unlink()
    at_rest(path)


@pytest.mark.parametrize("while_", ["asking", "coming", "waiting", "leaving"])
def test_the_system_refuses(
    monkeypatch: pytest.MonkeyPatch, path: Path, while_: str
) -> None:
    before = all_descriptors()
    mine = queue_at(path)
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "asking": (mine.empty, 0),
        "coming": (lambda: enter(mine), 1),
        "waiting": (lambda: enter(mine), 2),
        "leaving": (mine.release, 0),
    }
    call, fine = calls[while_]
    if while_ == "leaving":
        assert mine.take(DATA)
    original: Callable[..., Any] = fcntl.fcntl
    left = [fine]

    def fail(*args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "fcntl", fail)
        with pytest.raises(LockFileError, match="locks no files"):
            call()
    assert len(all_descriptors()) == len(before)
    at_rest(path)


def test_the_disk_is_full(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Nobody is told; those who wait look again by themselves."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with in_front(path) as first:
        mine = queue_at(path)
        with in_thread(lambda: enter(mine)), monkeypatch.context() as patch:
            waiting(path, 2)
            patch.setattr(posix, "write", fail)
            first.release()
        mine.release()
    at_rest(path)


# Where there is no order to be had.


@pytest.fixture(params=["network", "system"])
def unordered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def unseen(_: int) -> bool:
        return True

    def fail(*_: object) -> bytes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    if request.param == "network":
        monkeypatch.setattr(changes, "changes_unseen", unseen)
    else:
        monkeypatch.setattr(fcntl, "fcntl", fail)


@pytest.mark.usefixtures("unordered")
def test_without_an_order(path: Path) -> None:
    """It is locked as a whole, by who is in front."""
    mine, first = queue_at(path), queue_at(path)
    assert mine.empty()
    assert first.take(DATA)
    assert not mine.empty()
    assert not mine.take(DATA)
    assert not enter(mine, ONCE)
    assert not enter(mine, monotonic() + 0.001)
    with in_thread(lambda: enter(mine)):
        until(lambda: mine._opened)
        first.release()
    assert not first.empty()
    mine.unlock()
    assert first.take(DATA)
    first.release()
    assert mine.empty()
    in_child(mine.close)
