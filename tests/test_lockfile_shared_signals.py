"""Kind "machine": signal handlers that raise on the ways into a read-write lock."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from anylock import MachineLock, make_lock
from anylock._machine import inotify
from anylock._machine.rwlock import MachineReadLock, MachineRWLock
from backends import run
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, in_thread, until
from test_lockfile_shared import hold, idle, stranger_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends import Backend

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="a handler may raise after all is done"
)


@pytest.fixture(autouse=True)
def _finalizers_come_later() -> Iterator[None]:
    """Or a handler would raise amid those of other tests."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def nothing_left(rw: MachineRWLock, other: MachineRWLock) -> None:
    instance = inotify._the_instance
    if instance is not None:
        assert not any(instance._watches.values())
        assert not instance._leading.locked()
    until(lambda: idle(rw))
    entrance = rw.read._mutex
    assert not entrance.readers
    assert not entrance._gate.locked()
    assert entrance._others.empty()
    for found in (other, rw):
        assert found.write.acquire(timeout=0)
        found.write.release()
        assert found.read.acquire(timeout=0)
        found.read.release()
        assert not found.read.locked()


class Somebody:
    """In the place of the queue as others see it: somebody waits, until it is over."""

    over = False

    def empty(self) -> bool:
        return self.over


def with_somebody_waiting(rw: MachineRWLock) -> Somebody:
    somebody = Somebody()
    rw.read._mutex._others = cast("Any", somebody)
    return somebody


@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize("state", ["free", "taken", "waited for"])
def test_a_handler_raises_at_every_point_of_the_way_in(
    tmp_path: Path, side: str, state: str
) -> None:
    taken = state == "taken"

    def attempt(point: int, where: list[str]) -> None:
        rw = MachineRWLock(path=tmp_path / str(point))
        other = stranger_to(rw)
        lock = rw.read if side == "read" else rw.write
        with lock:  # what is done once is not what this is about
            pass
        somebody = None
        if taken:
            other.write.acquire()
        elif state == "waited for":
            somebody = with_somebody_waiting(rw)
        got = False
        with suppress(Interrupted), interrupt_at(point, interrupt, where):
            got = lock.acquire(timeout=PATIENCE if somebody else 0.001)
        if somebody:
            somebody.over = True
        if got:
            lock.release()
        if taken:
            other.write.release()
        nothing_left(rw, other)

    run_points(attempt, parks=False)


def test_a_handler_raises_on_the_way_in_again(tmp_path: Path) -> None:
    """Who reads still does, and no more often than before."""

    def attempt(point: int, where: list[str]) -> None:
        rw = MachineRWLock(path=tmp_path / str(point))
        with rw.read:
            got = False
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                got = rw.read.acquire()
            if got:
                rw.read.release()
            assert not stranger_to(rw).write.try_acquire()
        nothing_left(rw, stranger_to(rw))

    run_points(attempt, parks=False)


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_handler_raises_when_it_comes_in_at_last(tmp_path: Path, side: str) -> None:
    """The writer that it waited for leaves amid."""

    def attempt(point: int, where: list[str]) -> None:
        rw = MachineRWLock(path=tmp_path / str(point))
        other = stranger_to(rw)
        lock = rw.read if side == "read" else rw.write
        with lock:
            pass
        other.write.acquire()
        over = threading.Event()
        got = False
        with in_thread(lambda: leave_when_waited_for(rw, other, over)):
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                got = lock.acquire(timeout=PATIENCE)
            over.set()
            if got:
                lock.release()
        nothing_left(rw, other)

    run_points(attempt, parks=False)


def leave_when_waited_for(
    rw: MachineRWLock, other: MachineRWLock, over: threading.Event
) -> None:
    until(lambda: over.is_set() or not rw.read._mutex._others.empty())
    other.write.release()


@pytest.mark.parametrize("side", ["read", "write", "plain"])
def test_a_handler_raises_beside_tasks(tmp_path: Path, side: str) -> None:
    """What the helper thread or a task has got is signed for; or nobody has it."""
    kept: list[object] = []  # or their finalizers would be interrupted, too

    def attempt(point: int, where: list[str]) -> None:
        rw = MachineRWLock(path=tmp_path / str(point))
        other = stranger_to(rw)
        plain = make_lock("machine", path=rw.path)
        locks: dict[str, MachineLock | MachineReadLock] = {
            "read": rw.read,
            "write": rw.write,
            "plain": plain,
        }
        lock = locks[side]
        kept.append((lock, rw, other))
        hold(lock)
        other.write.acquire()
        got = False
        comes = threading.Event()

        async def enter() -> None:
            async with lock:
                pass

        def leave() -> None:
            assert comes.wait(PATIENCE)
            other.write.release()

        with in_thread(lambda: asyncio.run(enter())), in_thread(leave):
            until(lambda: busy(lock))
            with suppress(Interrupted), interrupt_at(point, interrupt, where):
                comes.set()
                got = lock.acquire(timeout=PATIENCE)
            if got:
                lock.release()
        until(lambda: not busy(lock))
        nothing_left(rw, other)

    run_points(attempt, parks=False)


def busy(lock: MachineLock | MachineReadLock) -> bool:
    bridge = lock._bridge
    return bridge is not None and (bridge._helping or bridge.busy)


def test_a_handler_raises_before_who_came_in_is_noted(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread or in a task; the entrance is free again."""
    rw = MachineRWLock(path=tmp_path / "the.lock")
    somebody = with_somebody_waiting(rw)
    monkeypatch.setattr(rw.read._mutex, "read", interrupt)

    async def main() -> None:
        with pytest.raises(Interrupted):
            async with rw.read:
                pass

    run(backend, main)
    with pytest.raises(Interrupted):
        rw.read.acquire()
    somebody.over = True
    nothing_left(rw, stranger_to(rw))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="it needs signals")
def test_a_handler_raises_while_others_of_the_process_wait(tmp_path: Path) -> None:
    rw = MachineRWLock(path=tmp_path / "the.lock")
    other = stranger_to(rw)
    other.write.acquire()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with in_thread(lambda: hold(rw.read)):
            until(rw.read._mutex._gate.locked)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted):
                rw.read.acquire()
            other.write.release()
    finally:
        signal.signal(signal.SIGALRM, before)
    nothing_left(rw, other)
