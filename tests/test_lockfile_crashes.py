"""Kind "machine": holders and waiters that are killed or stopped at any moment."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from anylock import make_lock
from children import Child, Signal, in_child
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


def holding(path: Path, then: Callable[[], object] = signal.pause) -> Child:
    """Start a process that holds the lock, and does something then."""
    held = Signal()

    def hold() -> None:
        with make_lock("machine", path=path):
            held.set()
            then()

    child = Child(hold)
    held.wait()
    held.close()
    return child


def test_a_killed_holder_is_told_once(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    child = holding(tmp_path / "lock")
    assert lock.locked()
    assert not lock.try_acquire()
    child.kill()
    assert not lock.locked()
    assert lock.holder() is None
    with lock.hold(PATIENCE):
        assert lock.abandoned
    assert not lock.abandoned
    with lock:
        assert not lock.abandoned


def test_who_leaves_by_an_error_is_not_told(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    with pytest.raises(KeyError), lock:
        raise KeyError
    with lock:
        assert not lock.abandoned


def test_a_waiter_is_woken_by_the_death_of_the_holder(tmp_path: Path) -> None:
    child = holding(tmp_path / "lock")
    waits, came = Signal(), Signal()

    def wait() -> None:
        lock = make_lock("machine", path=tmp_path / "lock")
        waits.set()
        with lock:
            came.set()
            assert lock.abandoned

    waiter = Child(wait)
    waits.wait()
    child.kill()
    came.wait()
    waiter.join()


def test_the_killed_holder_has_a_living_child(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    born, grandchild, over = Signal(), Signal(), Signal()

    def fork_and_wait() -> None:
        if os.fork() == 0:
            grandchild.set()
            over.wait()
            os._exit(0)
        born.set()
        signal.pause()

    child = holding(path, fork_and_wait)
    born.wait()
    grandchild.wait()
    os.kill(child.pid, signal.SIGKILL)
    with make_lock("machine", path=path).hold(PATIENCE) as lock:
        assert lock.abandoned
    over.set()
    child.kill()


def test_a_stopped_holder_still_holds_it(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    go = Signal()
    child = holding(tmp_path / "lock", go.wait)
    os.kill(child.pid, signal.SIGSTOP)
    try:
        assert not lock.acquire(timeout=0.05)
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == child.pid
    finally:
        os.kill(child.pid, signal.SIGCONT)
    go.set()
    with lock.hold(PATIENCE):
        assert not lock.abandoned
    child.join()


def test_a_killed_waiter_leaves_nothing(tmp_path: Path) -> None:
    waits = Signal()

    def wait() -> None:
        lock = make_lock("machine", path=tmp_path / "lock")
        waits.set()
        lock.acquire()

    with make_lock("machine", path=tmp_path / "lock") as lock:
        waiter = Child(wait)
        waits.wait()
        waiter.kill()
    assert lock.try_acquire()
    assert not lock.abandoned
    lock.release()


def test_a_child_has_nothing_of_what_its_parent_holds(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")

    def child() -> None:
        assert lock.locked()
        assert not lock.try_acquire()
        assert not lock.abandoned
        with pytest.raises(RuntimeError, match="not held"):
            lock.release()
        assert lock.locked()

    with lock:
        in_child(child)
        assert lock.locked()
        in_child(lambda: lock.__exit__(None, None, None))  # leaves what it was in
        assert lock.locked()
    in_child(lambda: still_works(tmp_path / "lock"))
    still_works(tmp_path / "lock")


def still_works(path: Path) -> None:
    lock = make_lock("machine", path=path)
    with lock.hold(PATIENCE):
        assert not lock.abandoned
    assert not lock.locked()
