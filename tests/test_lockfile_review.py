"""Kind "machine": the place of who waits for tasks, and handlers amid a way in."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from anylock import MachineLock, _blocking
from anylock._bridge import queue as bridge_queue
from anylock._inside import Inside
from anylock._machine import inotify, lockfile
from anylock._machine.bridge import MachineBridge
from anylock._machine.lockfile import LockFile
from anylock._machine.rwlock import MachineReadLock, MachineRWLock
from backends import ASYNCIO, run
from conditions import signalled_once
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, bridge_of, helpers, in_thread, until, until_in_task
from test_lockfile_shared import at_rest, enter, hold, stranger_to
from test_lockfile_shared_signals import with_somebody_waiting

if sys.platform != "linux":
    pytest.skip("it is about the order of arrival", allow_module_level=True)

from anylock._machine.queue import OrderedQueue
from test_lockfile_queue import places, queue_at

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from backends import Backend

SIDES = ["fair", "write", "read"]
OnFile = MachineLock | MachineReadLock


@pytest.fixture
def rw(tmp_path: Path) -> MachineRWLock:
    return MachineRWLock(path=tmp_path / "the.lock")


def side_of(rw: MachineRWLock, side: str) -> OnFile:
    locks: dict[str, OnFile] = {
        "lock": MachineLock(path=rw.path),
        "fair": MachineLock(path=rw.path, fair=True),
        "write": rw.write,
        "read": rw.read,
    }
    return locks[side]


# Handlers that raise what the system raises, too.


class Alarm(TimeoutError):  # noqa: N818 - nothing went wrong
    """An `OSError`, as those are that `flock` raises."""


def blocks(lock: OnFile) -> bool:
    """Say whether the kernel keeps somebody waiting for the file."""
    number = f":{Path(lock.path).stat().st_ino} "
    with Path("/proc/locks").open() as locks:
        return any("->" in line and number in line for line in locks)


def leads() -> bool:
    """Say whether somebody waits to be told of a file."""
    instance = inotify._the_instance
    return instance is not None and instance._leading.locked()


@pytest.mark.parametrize("side", ["lock", *SIDES])
def test_a_handler_raises_an_oserror_while_the_file_is_waited_for(
    rw: MachineRWLock, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    lock, holder = side_of(rw, side), stranger_to(rw).write
    out = threading.Event()
    # Who waits to be told does nothing else: what it asks the system for now and then
    # is not what this is about.
    monkeypatch.setattr(lockfile, "SHORTEST", 10 * PATIENCE)

    def ring() -> None:
        raise Alarm

    holder.acquire()
    with signalled_once(ring) as send_it:

        def send() -> None:
            until(lambda: leads() if side == "read" else blocks(lock))
            send_it()
            if not out.wait(PATIENCE):
                holder.release()

        with in_thread(send, 2 * PATIENCE):
            with pytest.raises(Alarm), lock:
                pass
            out.set()
    assert holder._mutex.held
    assert not lock._mutex._gate.locked()
    holder.release()
    assert not lock.locked()
    at_rest(rw)


# The helper thread of those who wait.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[MachineBridge]:
    """Each time that a helper asked whether somebody waits, which it does often."""
    found: list[MachineBridge] = []
    real = MachineBridge._awaited

    def awaited(self: MachineBridge) -> bool:
        found.append(self)
        return real(self)

    monkeypatch.setattr(MachineBridge, "_awaited", awaited)
    for module in (_blocking, lockfile, bridge_queue):
        monkeypatch.setattr(module, "SLICE", 0.001)
    return found


def line_of(lock: OnFile) -> OrderedQueue:
    return cast("OrderedQueue", lock._mutex._queue)


@contextmanager
def kept_from(
    rw: MachineRWLock, lock: OnFile, where: str
) -> Generator[Callable[[], None]]:
    """Have who comes wait there; yields how to end it.

    Another process holds the file. That one may be waited for by a third, which is in
    front in the queue, or by another thread of this process, which has the gate.
    """
    holder, front = stranger_to(rw).write, queue_at(Path(line_of(lock).path))
    with ExitStack() as stack:
        holder.acquire()
        if where == "gate":
            stack.enter_context(in_thread(partial(hold, lock)))
        stack.callback(holder.release)
        if where == "gate":
            until(lambda: places(Path(line_of(lock).path)))
        if where == "queue":
            front._queue_up()
            stack.callback(front.release)
        yield stack.close


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("where", ["queue", "file"])
@pytest.mark.parametrize("side", SIDES)
def test_the_helper_keeps_its_place(
    backend: Backend,
    rw: MachineRWLock,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    where: str,
) -> None:
    lock = side_of(rw, side)
    seen: list[int] = []
    line = line_of(lock)
    in_front, take = OrderedQueue._in_front, LockFile.take

    def look(self: OrderedQueue) -> bool:
        if self is line:
            seen.append(self._place)
        return in_front(self)

    def look_at_the_file(self: LockFile, data: bytes) -> bool:
        if self.path == lock.path and line._place >= 0:
            seen.append(line._place)
        return take(self, data)

    if where == "queue":
        monkeypatch.setattr(OrderedQueue, "_in_front", look)
    else:
        monkeypatch.setattr(LockFile, "take", look_at_the_file)

    async def main() -> None:
        with kept_from(rw, lock, where) as let_go:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(enter, lock)
                await until_in_task(lambda: len(seen) > 30)
                assert len({*seen[10:30]}) == 1
                let_go()

    run(backend, main)
    until(lambda: not helpers(lock))
    at_rest(rw)


@pytest.mark.parametrize("where", ["gate", "queue", "file"])
@pytest.mark.parametrize("side", SIDES)
def test_a_cancelled_task_calls_its_helper_back(
    backend: Backend,
    rw: MachineRWLock,
    asked: list[MachineBridge],
    side: str,
    where: str,
) -> None:
    """Who holds it, and who waits before it, are still there then."""
    lock = side_of(rw, side)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, lock)
            await until_in_task(lambda: len(asked) > 20)
            tasks.cancel_scope.cancel()

    with kept_from(rw, lock, where):
        before = places(Path(line_of(lock).path))
        run(backend, main)
        until(lambda: not helpers(lock))
        assert lock._mutex._gate.locked() == (where == "gate")
        assert places(Path(line_of(lock).path)) == before
        assert len(before) == (where != "file")
    run(backend, enter, lock)
    at_rest(rw)


@pytest.mark.parametrize("where", ["gate", "queue", "file"])
@pytest.mark.parametrize("side", SIDES)
def test_the_helper_gets_through(
    backend: Backend,
    rw: MachineRWLock,
    asked: list[MachineBridge],
    side: str,
    where: str,
) -> None:
    lock = side_of(rw, side)

    async def main() -> None:
        with kept_from(rw, lock, where) as let_go:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(enter, lock)
                await until_in_task(lambda: len(asked) > 20)
                await anyio.to_thread.run_sync(let_go)

    run(backend, main)
    until(lambda: not helpers(lock))
    at_rest(rw)


@pytest.mark.parametrize("where", ["gate", "queue", "file"])
@pytest.mark.parametrize("side", SIDES)
def test_the_helper_ends_before_the_process_does(
    rw: MachineRWLock, asked: list[MachineBridge], side: str, where: str
) -> None:
    """Though the task still waits."""
    lock = side_of(rw, side)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, lock)
            await until_in_task(lambda: len(asked) > 20)
            bridge_of(cast("Any", lock)).retire()
            assert not helpers(lock)
            tasks.cancel_scope.cancel()

    with kept_from(rw, lock, where):
        run(ASYNCIO, main)
    at_rest(rw)


# Handlers that read amid a way in to read.


@pytest.mark.parametrize("state", ["new", "free", "waited for"])
def test_a_handler_reads_at_every_point_of_the_way_in(
    tmp_path: Path, state: str
) -> None:
    """What was found to be free stays locked, though the handler leaves.

    Or does not get in, as somebody waits: then the way in is another.
    """

    def attempt(point: int, where: list[str]) -> None:
        rw = MachineRWLock(path=tmp_path / str(point))
        if state != "new":
            with rw.read:
                pass
        somebody = with_somebody_waiting(rw)
        somebody.over = state != "waited for"

        def handle() -> None:
            if rw.read.try_acquire():
                rw.read.release()

        with interrupt_at(point, handle, where):
            assert rw.read.acquire(timeout=PATIENCE)
        assert not stranger_to(rw).write.try_acquire()
        rw.read.release()
        somebody.over = True
        at_rest(rw)

    run_points(attempt, parks=False)


def test_handlers_read_amid_one_another(
    rw: MachineRWLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them between the lock on the file and its being counted."""
    left = 3

    def next_key(self: Any, actor: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            with rw.read:
                assert not stranger_to(rw).write.try_acquire()
            assert not stranger_to(rw).write.try_acquire()
        return real(self, actor)

    real: Any = Inside.next_key  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    monkeypatch.setattr(Inside, "next_key", next_key)
    with rw.read:
        assert not left
        assert not stranger_to(rw).write.try_acquire()
    at_rest(rw)


@pytest.mark.parametrize("ends", ["is too late", "raises"])
def test_a_handler_reads_and_it_does_not_get_in(rw: MachineRWLock, ends: str) -> None:
    """Nobody is inside then, and so the file is free."""
    entrance = rw.read._mutex

    def empty() -> bool:
        somebody.over = True
        entrance._others = cast("Any", somebody)
        with rw.read:
            pass
        assert not stranger_to(rw).write.try_acquire()
        if ends == "raises":
            raise Interrupted
        return False

    others, somebody = entrance._others, with_somebody_waiting(rw)
    entrance._others = cast("Any", SimpleNamespace(empty=empty))
    with suppress(Interrupted):
        assert not rw.read.try_acquire()
    entrance._others = others
    at_rest(rw)


def test_a_handler_raises_before_anything_is_done(rw: MachineRWLock) -> None:
    entrance = rw.read._mutex
    changing = entrance._changing

    class Entered:
        def __enter__(self) -> None:
            entrance._changing = changing
            interrupt()

        def __exit__(self, *_exc_info: object) -> None:
            pytest.fail("it was not entered")

    entrance._changing = cast("Any", Entered())
    with pytest.raises(Interrupted):
        rw.read.try_acquire()
    at_rest(rw)
