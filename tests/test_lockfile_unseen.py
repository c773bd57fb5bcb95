"""Kind "machine": what else may happen on the ways in and out."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockFileError, WouldDeadlock, make_lock
from anylock._bridge.lock import LockBridge
from anylock._machine import inotify, lockfile, queue
from children import in_child
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from lockfiles import other, usable
from staging import PATIENCE, acquire, in_thread, queued, until

if TYPE_CHECKING:
    from pathlib import Path

    from anylock import MachineLock


@pytest.fixture
def lock(tmp_path: Path) -> MachineLock:
    return make_lock("machine", path=tmp_path / "the.lock")


async def enter(lock: MachineLock) -> None:
    async with lock:
        pass


def test_threads_are_careful_while_tasks_wait(lock: MachineLock) -> None:
    """In the thread that holds it, too: it would wait for itself."""
    lock.acquire()
    with in_thread(lambda: asyncio.run(enter(lock))):
        until(lambda: lock._bridge is not None and bool(lock._bridge._queue))
        assert not lock.acquire(blocking=False)
        assert not lock.acquire(timeout=0.001)
        with pytest.raises(WouldDeadlock, match="this thread holds it"):
            lock.acquire()
        lock.release()
    usable(lock)


def test_who_cannot_sign_does_not_hold_it(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task has the lock, and finds the disk full."""

    def write(_descriptor: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main() -> None:
        acquire(lock)
        task = asyncio.ensure_future(enter(lock))
        await queued(lock)
        original = lock._mutex.sign

        def sign_on_a_full_disk(by_thread: bool) -> None:  # noqa: FBT001
            with monkeypatch.context() as patch:
                patch.setattr(lockfile, "_write", write)
                original(by_thread)

        lock._mutex.sign = sign_on_a_full_disk  # type: ignore[method-assign]
        lock.release()
        with pytest.raises(LockFileError, match="make room"):
            await task

    asyncio.run(main())
    del lock._mutex.sign
    until(lambda: not lock.locked())  # the helper may be on its last lines
    usable(lock)


def test_a_thread_that_cannot_sign_does_not_hold_it(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a task, and finds the disk full."""
    mutex: Any = lock._mutex
    block = LockBridge.block_while
    blocks = threading.Event()

    def block_and_tell(bridge: LockBridge, *arguments: Any) -> bool:
        blocks.set()
        return block(bridge, *arguments)

    def sign(_: bool) -> None:  # noqa: FBT001
        raise LockFileError(lock.path, "make room", errno.ENOSPC)

    def wait() -> None:
        with pytest.raises(LockFileError, match="make room"):
            lock.acquire()

    async def main() -> None:
        async with lock:
            monkeypatch.setattr(LockBridge, "block_while", block_and_tell)
            mutex.sign = sign
            waiting.enter_context(in_thread(wait))
            assert blocks.wait(PATIENCE)

    with ExitStack() as waiting:
        asyncio.run(main())
    del mutex.sign
    usable(lock)


def test_a_wait_for_the_others_of_this_process_ends(tmp_path: Path) -> None:
    """And one in the queue of a fair lock."""
    lock = make_lock("machine", path=tmp_path / "the.lock", fair=True)
    mine: Any = lock._mutex._queue
    with lock, in_thread(lambda: time_out(lock)):
        pass
    stranger = queue.best(mine.path)
    assert stranger.take(b"+\n")
    time_out(lock)
    stranger.release()
    usable(lock)


def time_out(lock: MachineLock) -> None:
    assert not lock.acquire(timeout=0.001)


def test_a_child_has_a_queue_of_its_own(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "the.lock", fair=True)
    with lock:
        in_child(lambda: time_out(lock))
    in_child(lambda: lock.__enter__().__exit__(None, None, None))
    usable(lock)


def test_events_that_somebody_else_has_read(lock: MachineLock) -> None:
    lock.acquire()
    instance = inotify._instance()
    for _ in range(2):  # the first time there may be some left
        instance._tell()
    lock.release()
    assert not any(instance._watches.values())


def test_who_leads_lets_the_others_look(tmp_path: Path) -> None:
    """When it leaves one of them is to lead."""
    descriptors = [
        os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("one", "two")
    ]
    one, two = (inotify.InotifyWatch(descriptor) for descriptor in descriptors)
    os.write(descriptors[0], b"!")
    assert one.wait(PATIENCE)
    assert two._bell.acquire(False)
    assert not two.told
    for watch, descriptor in zip((one, two), descriptors, strict=True):
        watch.close()
        os.close(descriptor)


def test_a_file_that_cannot_be_read(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_descriptor: int, _length: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(lockfile, "_read", read)
    with pytest.raises(LockFileError, match="put/output error"):
        lock.holder()


def test_async_with_outside_of_any_event_loop(lock: MachineLock) -> None:
    """It need not wait, so it needs none."""
    entering = lock.__aenter__()
    with pytest.raises(StopIteration):
        entering.send(None)
    holder = lock.holder()
    assert holder is not None
    assert holder.by == threading.current_thread().name
    lock.release()


def test_whoever_watches_last_is_told_of_by_the_next_event(tmp_path: Path) -> None:
    """A signal handler kept it from being closed; it is gone all the same."""
    file = tmp_path / "file"
    file.write_text("")
    descriptor = os.open(file, os.O_RDWR)
    forgotten = inotify.InotifyWatch(descriptor)
    instance, number = forgotten._instance, forgotten.number
    del forgotten
    assert number in instance._watches
    os.write(descriptor, b"!")
    instance._tell()
    assert number not in instance._watches
    os.close(descriptor)


def test_the_end_of_a_process_with_a_lock_that_tasks_used(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import asyncio\n"
        "from anylock import make_lock\n"
        f"lock = make_lock('machine', path={str(tmp_path / 'lock')!r})\n"
        "async def main():\n"
        "    async with lock: pass\n"
        "asyncio.run(main())\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
    with make_lock("machine", path=tmp_path / "lock") as lock:
        assert not lock.abandoned


# Who has all the time there is: the system makes it wait, and lets it in.


def enter_and_leave(lock: MachineLock) -> None:
    with lock:
        pass


def test_who_has_all_the_time_there_is_looks_twice(
    lock: MachineLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the system that lets it in."""
    stranger = other(lock)
    found: list[bool] = []
    take = lockfile.LockFile.take

    def look(file: lockfile.LockFile, data: bytes) -> bool:
        found.append(take(file, data))
        return found[-1]

    lock.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(lockfile.LockFile, "take", look)
        with in_thread(lambda: enter_and_leave(stranger)):
            until(lambda: found)
            assert not any(inotify._instance()._watches.values())
            lock.release()
    assert found == [False, True]
    usable(lock)


def test_who_has_all_the_time_there_is_lives_with_a_new_file(
    lock: MachineLock,
) -> None:
    """While it waits the file is replaced, and that one is taken too."""
    stranger, holder = other(lock), other(lock)
    lock.acquire()
    with in_thread(lambda: enter_and_leave(stranger)) as waiting:
        until(lambda: stranger._mutex.file._opened)
        os.unlink(lock.path)  # noqa: PTH108 - that of the lock
        holder.acquire()
        lock.release()
        until(lambda: stranger._mutex.file._opened == 2)
        assert waiting.is_alive()
        holder.release()
    usable(lock)


def test_a_handler_raises_while_the_system_makes_it_wait(tmp_path: Path) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock("machine", path=tmp_path / str(point))
        stranger, over = other(lock), threading.Event()

        def let_in() -> None:
            until(lambda: over.is_set() or lock._mutex._gate.locked())
            stranger.release()

        with lock:  # what is done once is not what this is about
            pass
        stranger.acquire()
        with in_thread(let_in):
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                lock.acquire()
                lock.release()
            over.set()
        if lock._mutex.held:  # on its way out
            lock.release()
        assert other(lock).acquire(timeout=0)

    run_points(attempt, parks=False)
