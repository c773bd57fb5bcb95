"""Kind "machine": holders and waiters that are killed or stopped at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from anylock import LockTimeout, make_lock
from backends import run
from children import Child, Signal, in_child
from staging import PATIENCE, queued, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends import Backend

LOCKS = Path("/proc/locks")

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


def test_a_stopped_holder_still_holds_it(tmp_path: Path, backend: Backend) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    go = Signal()
    child = holding(tmp_path / "lock", go.wait)
    os.kill(child.pid, signal.SIGSTOP)

    async def give_up() -> None:
        with pytest.raises(LockTimeout):
            async with lock.hold(0.05):
                pass

    try:
        assert not lock.acquire(timeout=0.05)
        run(backend, give_up)
        holder = lock.holder()
        assert holder is not None
        assert holder.pid == child.pid
    finally:
        os.kill(child.pid, signal.SIGCONT)
    go.set()
    with lock.hold(PATIENCE):
        assert not lock.abandoned
    child.join()


def waits(child: Child) -> bool:
    """Say whether a process watches files, or is blocked by the lock of one."""
    found = [f"{' '.join(LOCKS.read_text().split())} "]
    for entry in Path(f"/proc/{child.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(entry.readlink()))
    blocked = f" -> FLOCK ADVISORY WRITE {child.pid} "
    return any("inotify" in one or blocked in one for one in found)


@pytest.mark.skipif(not LOCKS.exists(), reason="nobody tells who waits")
@pytest.mark.parametrize("by_task", [False, True])
@pytest.mark.parametrize("fair", [False, True])
def test_a_killed_waiter_leaves_nothing(
    tmp_path: Path,
    fair: bool,  # noqa: FBT001 - a parameter of the test
    by_task: bool,  # noqa: FBT001
) -> None:
    """Nor does it keep out who waits behind it."""
    lock = make_lock("machine", path=tmp_path / "lock", fair=fair)

    async def enter() -> None:
        async with lock:
            pass

    def wait() -> None:
        if by_task:
            asyncio.run(enter())
        else:
            lock.acquire()

    def wait_behind() -> None:
        with lock.hold(PATIENCE):
            assert not lock.abandoned

    with lock:
        waiter = Child(wait)
        until(lambda: waits(waiter))
        behind = Child(wait_behind)
        until(lambda: waits(behind))
        waiter.kill()
    behind.join()
    still_works(tmp_path / "lock")


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


def test_a_child_of_a_task_that_holds_it(tmp_path: Path, backend: Backend) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")

    def child() -> None:
        assert lock.locked()
        assert not lock.try_acquire()
        with pytest.raises(RuntimeError, match="not held"):
            lock.release()
        assert not lock.acquire(timeout=0.01)

    async def main() -> None:
        async with lock:
            in_child(child)
            assert lock.locked()
        in_child(lambda: still_works(tmp_path / "lock"))

    run(backend, main)
    still_works(tmp_path / "lock")


def test_a_child_of_a_process_whose_task_waits(
    tmp_path: Path, backend: Backend
) -> None:
    """The wait is the parent's; both come in, one after the other."""
    lock = make_lock("machine", path=tmp_path / "lock")
    go = Signal()
    holder = holding(tmp_path / "lock", go.wait)

    async def enter() -> None:
        async with lock:
            assert not lock.abandoned

    async def main() -> None:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(enter)
                await queued(lock)
                born = Child(lambda: still_works(tmp_path / "lock"))
                go.set()
                # It may wait for what was granted to our task.
                await anyio.to_thread.run_sync(born.join)

    run(backend, main)
    holder.join()
    go.close()
    still_works(tmp_path / "lock")


def still_works(path: Path) -> None:
    lock = make_lock("machine", path=path)
    with lock.hold(PATIENCE):
        assert not lock.abandoned
    assert not lock.locked()
