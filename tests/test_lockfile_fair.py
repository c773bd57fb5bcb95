"""Kind "machine": fair locks, whose waiters queue up across processes."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockTimeout, MachineLock, make_lock
from anylock._machine import inotify
from anylock._machine.mutex import FileMutex
from backends import run
from children import Child
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, helpers, in_thread, queued, until

if sys.platform != "linux":
    pytest.skip("it is about the order of arrival", allow_module_level=True)

from test_lockfile_queue import places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends import Backend


@pytest.fixture
def lock(tmp_path: Path) -> MachineLock:
    return make_lock("machine", path=tmp_path / "the.lock", fair=True)


def other(lock: MachineLock) -> MachineLock:
    """Return a lock on the same path that shares nothing else, as another process."""
    made = MachineLock(lock.name, path=lock.path, fair=True)
    made._mutex = FileMutex(lock.path, lock.name, fair=True)
    return made


def line_of(lock: MachineLock) -> Any:
    return lock._mutex._queue


def waiting(lock: MachineLock, number: int) -> None:
    """Wait until so many are in the queue."""
    until(lambda: len(places(line_of(lock).path)) == number)


def at_rest(lock: MachineLock) -> None:
    """Check that nobody waits or holds it, and that it can be had."""
    until(lambda: not (helpers(lock) or lock.locked()))
    assert not places(line_of(lock).path)
    instance = inotify._the_instance
    assert instance is None or not any(instance._watches.values())
    for found in (lock, other(lock)):
        assert found.try_acquire()
        assert not found.abandoned
        found.release()


class Order:
    """Who came in, in that order, from any process."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def enter(self, lock: MachineLock, number: int) -> None:
        with lock.hold(PATIENCE):
            os.write(self._write, bytes([number]))

    def read(self) -> list[int]:
        os.close(self._write)
        found = [*os.read(self._read, 100)]
        os.close(self._read)
        return found


def test_first_come_first_served(lock: MachineLock) -> None:
    """By turns a process and a thread."""
    order = Order()
    children: list[Child] = []
    threads: list[threading.Thread] = []

    def come(number: int) -> None:
        order.enter(other(lock), number)

    with lock:
        for number in range(8):
            if number % 2:
                children.append(Child(lambda number=number: come(number)))  # type: ignore[misc]
            else:
                threads.append(threading.Thread(target=come, args=(number,)))
                threads[-1].start()
            waiting(lock, number + 1)
    for child in children:
        child.join()
    for thread in threads:
        thread.join(PATIENCE)
    assert order.read() == [*range(8)]
    at_rest(lock)


def test_who_comes_back_at_once_is_behind_those_who_wait(lock: MachineLock) -> None:
    order = Order()
    lock.acquire()
    child = Child(lambda: order.enter(lock, 1))
    waiting(lock, 1)
    lock.release()
    order.enter(lock, 2)
    child.join()
    assert order.read() == [1, 2]
    at_rest(lock)


def test_who_does_not_wait_overtakes_nobody(lock: MachineLock) -> None:
    """It is free, and somebody is about to take it."""
    front = line_of(other(lock))
    front._queue_up()
    assert not lock.try_acquire()
    assert not lock.acquire(timeout=0.001)
    assert not lock.locked()
    front.release()
    at_rest(lock)


def give_up(lock: MachineLock) -> None:
    with pytest.raises(LockTimeout), lock.hold(0.001):
        pass


@pytest.mark.parametrize("place", [0, 1])
def test_a_wait_that_is_over_holds_nobody_up(lock: MachineLock, place: int) -> None:
    """In front of the others, and between them."""
    order = Order()
    with lock:
        children: list[Child] = []
        for number in range(3):
            if number == place:
                give_up(other(lock))
            else:
                children.append(Child(lambda: order.enter(lock, 7)))
            waiting(lock, len(children))
    for child in children:
        child.join()
    assert order.read() == [7, 7]
    at_rest(lock)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_who_is_killed_or_stopped_holds_nobody_up(
    lock: MachineLock, number: signal.Signals, place: int
) -> None:
    order = Order()
    victim: Child | None = None
    children: list[Child] = []
    with lock:
        for come in range(3):
            child = Child(lambda come=come: order.enter(lock, come))  # type: ignore[misc]
            if come == place:
                victim = child
            else:
                children.append(child)
            waiting(lock, come + 1)
        assert victim is not None
        os.kill(victim.pid, number)
        if number == signal.SIGKILL:
            waiting(lock, 2)
    for child in children:
        child.join()
    victim.kill()
    assert order.read() == [come for come in range(3) if come != place]
    at_rest(lock)


def test_cancelled_tasks_hold_nobody_up(backend: Backend, lock: MachineLock) -> None:
    order = Order()
    mine = other(lock)

    async def enter() -> None:
        async with mine:
            raise AssertionError

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(enter)
            await queued(mine, 5)
            waiting(lock, 1)
            children.append(Child(lambda: order.enter(lock, 1)))
            waiting(lock, 2)
            tasks.cancel_scope.cancel()

    children: list[Child] = []
    with lock:
        run(backend, main)
    children[0].join()
    assert order.read() == [1]
    until(lambda: not helpers(mine))
    at_rest(lock)


@pytest.mark.filterwarnings("ignore:unclosed file")  # it may raise out of open()
@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="a handler may raise after all is done"
)
def test_a_handler_raises_amid_the_queue(tmp_path: Path) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock("machine", path=tmp_path / str(point), fair=True)
        front = line_of(other(lock))
        front._queue_up()
        with suppress(Interrupted), interrupt_at(point, interrupt, where):
            lock.acquire(timeout=0.001)
        assert len(places(front.path)) == 1
        front.release()
        at_rest(lock)

    run_points(attempt, parks=False)


def test_nobody_is_left_behind(lock: MachineLock) -> None:
    """Processes that wait, give up, try, and come again."""
    rounds = 200

    def hammer(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - a seed, to get the same again
        ways: list[Callable[[], bool]] = [
            lock.acquire,
            lambda: lock.acquire(timeout=PATIENCE),
            lambda: lock.acquire(timeout=chance.random() / 1000),
            lock.try_acquire,
        ]
        for _ in range(rounds):
            if chance.choice(ways)():
                assert not lock.abandoned
                lock.release()

    children = [Child(lambda seed=seed: hammer(seed)) for seed in range(4)]  # type: ignore[misc]
    for child in children:
        child.join()
    at_rest(lock)


def test_a_fork_while_somebody_waits(lock: MachineLock) -> None:
    """The place is the parent's; the child queues up for itself."""
    order = Order()
    holder = other(lock)
    holder.acquire()
    with in_thread(lambda: order.enter(lock, 1)):
        waiting(lock, 1)
        child = Child(lambda: order.enter(lock, 2))
        waiting(lock, 2)
        holder.release()
    child.join()
    assert order.read() == [1, 2]
    at_rest(lock)
