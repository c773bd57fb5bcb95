"""In a forked child nobody waits, and what is held is what the locks inside say."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import (
    LockTimeout,
    debug,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from anylock.debug import _records, _ways
from anylock.debug._actors import this_thread
from children import Child, Signal, in_child
from debugged import all_joined, awaited, lock_of
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["debug_fixtures"]
pytestmark = [
    pytest.mark.usefixtures("quiet"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="of POSIX"),
]


def test_what_another_thread_holds_stays_held_and_is_told_so() -> None:
    lock = make_lock("thread", debug=True)
    leave = threading.Event()

    def hold() -> None:
        with lock:
            leave.wait(PATIENCE)

    def wait() -> None:
        until(lambda: lock.record.holds)
        with lock:
            pass

    def look() -> None:
        stats = lock.stats()
        assert stats.owner is not None
        assert stats.owner.name == "hold"
        owner = lock.record.owner
        assert owner is not None
        assert owner.actor.ended
        assert not stats.waiters
        assert not lock.try_acquire()
        assert all(wait.blocks is None for wait in _records.blocking)

    with all_joined(hold, wait) as raised:
        until(lambda: awaited(lock))
        in_child(look)
        leave.set()
    assert not raised


def test_who_forks_in_a_handler_amid_its_own_wait() -> None:
    """It waits on, in the child too."""
    lock = make_lock("thread", debug=True)

    def look() -> None:
        assert len(lock.stats().waiters) == 1
        assert this_thread.actor.wait is not None

    def wait() -> bool:
        in_child(look)
        return lock._plain.acquire()  # type: ignore[no-any-return]

    _ways.enter(lock.record, wait, (), lock.release, attempt=lambda _: False)
    assert lock.stats().waiters == ()
    lock.release()


def test_what_is_reset_after_fork_is_nobodys() -> None:
    lock = make_lock("thread", reset_after_fork=True, debug=True)
    permits = make_semaphore("thread", 1, reset_after_fork=True, debug=True)
    again = make_lock("thread", debug=True)
    condition = make_condition("thread", make_lock("thread", debug=True))

    def look() -> None:
        assert not lock.stats().holders
        assert not permits.stats().holders
        assert again.stats().holders
        again._at_fork_reinit()
        condition._at_fork_reinit()
        assert again.record not in {hold.record for hold in this_thread.actor.holds}
        for each in (lock, permits, again, condition):
            with each:
                pass

    with lock, permits, again, condition:
        in_child(look)
        assert lock.stats().holders


@pytest.mark.parametrize("kind", ["process", "machine"])
def test_what_is_between_processes_is_the_parents(kind: Any, tmp_path: Path) -> None:
    options: Any = {"path": tmp_path / "lock"} if kind == "machine" else {}
    lock = lock_of(kind, **options)

    def look() -> None:
        owner = lock.stats().owner
        assert owner is not None
        assert owner.kind == "process"
        assert not lock.record.holds
        assert not lock.try_acquire()

    with lock:
        in_child(look)
        owner = lock.stats().owner
        assert owner is not None
        assert owner.kind == "thread"
    assert lock.stats().owner is None


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_a_process_lock_whose_holder_was_killed(make: Any) -> None:
    """It stays locked for ever; whose it was is known."""
    lock = lock_of("process", make)
    pids: list[int] = []
    ready = Signal()

    def hold() -> None:
        lock.acquire()
        ready.set()
        os.kill(os.getpid(), signal.SIGSTOP)

    child = Child(hold)
    pids.append(child.pid)
    ready.wait()
    owner = lock.stats().owner
    assert owner.name == f"thread 'MainThread' of process {pids[0]}"
    child.kill()
    ready.close()
    assert lock.stats().owner.name.endswith(", which has ended")
    with pytest.raises(LockTimeout), lock.hold(0.001):
        pass


def test_a_process_lock_of_which_nothing_is_known() -> None:
    lock = lock_of("process")
    assert lock._plain.acquire()
    assert str(lock.stats().owner) == "process 'another process'"
    lock.release()
    assert lock.stats().owner is None


def test_a_holder_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = lock_of("process")

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    with lock:
        monkeypatch.setattr(os, "kill", refuse)
        assert "ended" not in lock.record.board.read().name


def test_who_forks_amid_our_own_bookkeeping_of_another_thread() -> None:
    """The mutex that a missing thread holds is not that of the child."""
    lock = make_lock("thread", debug=True)
    stuck, leave = threading.Event(), threading.Event()

    def be_stuck() -> None:
        with _records.mutex:
            stuck.set()
            leave.wait(PATIENCE)

    def use() -> None:
        with lock:
            with in_thread(lambda: lock.acquire(timeout=0.001)):
                pass
            debug.forget()

    with in_thread(be_stuck):
        assert stuck.wait(PATIENCE)
        in_child(use)
        leave.set()
