"""Kind "machine": the queue of a fair lock, by itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from children import Child, Signal
from lockfiles import all_descriptors
from staging import PATIENCE, in_thread, until

if sys.platform != "linux":
    pytest.skip("it is about open file description locks", allow_module_level=True)

import fcntl

from anylock._machine import inotify, lockfile, queue
from anylock._machine.lockfile import ONCE
from anylock._machine.queue import OrderedQueue, Queue

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

DATA = b"+\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the.lock.queue"


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits never looks without being told."""
    monkeypatch.setattr(lockfile, "SHORTEST", 10 * PATIENCE)


def queue_at(path: Path) -> OrderedQueue:
    """Return a queue that shares nothing with others, as in another process."""
    return OrderedQueue(str(path))


def enter(waiting: Queue, deadline: float | None = None) -> bool:
    return waiting.wait_and_take(DATA, deadline)


def places(path: Path) -> list[int]:
    """Return where the places of all who wait begin."""
    found: list[int] = []
    asking = queue_at(path)
    descriptor = asking.open()

    def look(begin: int, end: int) -> None:
        if begin < end:
            asked = queue._FLOCK.pack(fcntl.F_WRLCK, 0, begin, end - begin, 0)
            told = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
            kind, _, place, length, _ = queue._FLOCK.unpack(told)
            if kind != fcntl.F_UNLCK:
                found.append(place)
                look(begin, place)
                look(place + length, end)

    look(0, 2**63 - 1)
    asking.close()
    return sorted(found)


def waiting(path: Path, number: int) -> None:
    until(lambda: len(places(path)) == number)


@contextmanager
def in_front(path: Path) -> Generator[OrderedQueue]:
    first = queue_at(path)
    assert first.take(DATA)
    try:
        yield first
    finally:
        first.close()


def at_rest(path: Path) -> None:
    """Check that nobody waits, and that it can be used."""
    assert not places(path)
    instance = inotify._the_instance
    assert instance is None or not any(instance._watches.values())
    with in_front(path) as first:
        assert not queue_at(path).take(DATA)
        first.release()
        assert queue_at(path).take(DATA)


# The order.


@pytest.mark.usefixtures("only_told")
def test_first_come_first_served(path: Path) -> None:
    order: list[int] = []

    def wait(number: int) -> None:
        mine = queue_at(path)
        assert enter(mine)
        order.append(number)
        mine.release()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(8)]
    with in_front(path) as first:
        for number, thread in enumerate(threads):
            thread.start()
            waiting(path, number + 2)
        assert not order
        first.release()
        for thread in threads:
            thread.join(PATIENCE)
    assert order == [*range(8)]
    at_rest(path)


@pytest.mark.usefixtures("only_told")
def test_first_come_first_served_across_processes(path: Path) -> None:
    read, write = os.pipe()

    def wait(number: int) -> None:
        mine = queue_at(path)
        assert enter(mine)
        os.write(write, bytes([number]))
        mine.release()

    with in_front(path) as first:
        children: list[Child] = []
        for number in range(5):
            children.append(Child(lambda number=number: wait(number)))  # type: ignore[misc]
            waiting(path, number + 2)
        first.release()
        for child in children:
            child.join()
    assert os.read(read, 10) == bytes(range(5))
    os.close(read)
    os.close(write)
    at_rest(path)


def test_who_does_not_wait_leaves_nothing(path: Path) -> None:
    mine = queue_at(path)
    assert mine.empty()
    with in_front(path) as first:
        assert first.empty()  # but for itself
        assert not mine.empty()
        for _ in range(3):
            assert not mine.take(DATA)
            assert not enter(mine, ONCE)
        assert len(places(path)) == 1
        first.release()
        assert mine.empty()
        assert enter(mine)
        mine.release()
        mine.release()
        mine.unlock()
    at_rest(path)


def test_who_tries_while_somebody_comes(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    """It found nobody, and yet is not in front when it has a place."""
    mine, earlier = queue_at(path), queue_at(path)
    original = OrderedQueue._queue_up

    def late(late_one: OrderedQueue) -> None:
        monkeypatch.undo()
        assert earlier.take(DATA)
        original(late_one)

    monkeypatch.setattr(OrderedQueue, "_queue_up", late)
    assert not mine.take(DATA)
    assert len(places(path)) == 1
    earlier.release()
    at_rest(path)


def test_two_come_in_the_same_tick(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    tick = 1 << queue._TICK_BITS
    times = iter([7 * tick, 7 * tick + 1, 7 * tick + 2, 8 * tick])
    monkeypatch.setattr(queue, "monotonic_ns", lambda: next(times))
    first, second = queue_at(path), queue_at(path)
    first._queue_up()
    second._queue_up()
    assert places(path) == [7 << queue._PID_BITS, 8 << queue._PID_BITS]
    assert first.take(DATA)
    assert not second.take(DATA)
    first.release()
    assert second.take(DATA)


def test_a_place_has_room_for_any_process_and_any_time() -> None:
    with open("/proc/sys/kernel/pid_max", "rb") as file:  # noqa: PTH123
        assert int(file.read()) <= 1 << queue._PID_BITS
    year = 365 * 24 * 3600 * 10**9
    assert (9 * year >> queue._TICK_BITS << queue._PID_BITS) < 1 << 63


def test_nobody_is_between_two_places_without_a_gap(path: Path) -> None:
    with in_front(path) as first:
        behind = queue_at(path)
        behind._queue_up()
        assert first._nobody_in(first._place, first._place)


@pytest.mark.parametrize("times", [(1, 2), (2, 1)])
def test_who_runs_is_seen_beside_who_is_stopped(
    monkeypatch: pytest.MonkeyPatch, path: Path, times: tuple[int, int]
) -> None:
    """Whichever of them comes first, and whichever the system tells of first."""
    ticks = iter([*times, 3])
    monkeypatch.setattr(queue, "monotonic_ns", lambda: next(ticks) << queue._TICK_BITS)
    before = [queue_at(path), queue_at(path)]
    for each in before:
        each._queue_up()
    last = queue_at(path)
    last._queue_up()
    states: Iterator[bool] = iter(())

    def is_stopped(_: int) -> bool:
        return next(states)

    monkeypatch.setattr(queue, "_is_stopped", is_stopped)
    for others, first in (([True, False], False), ([True, True], True)):
        states = iter(others)
        assert last.take(DATA) == first


# Who leaves.


@pytest.mark.usefixtures("only_told")
@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_who_waits_no_longer_is_passed(path: Path, leaver: int) -> None:
    """Its time is over: in front of all, in the middle, at the end."""
    go = [threading.Event() for _ in range(3)]
    order: list[int] = []

    def wait(number: int) -> None:
        mine = queue_at(path)
        mine._queue_up()
        go[number].wait(PATIENCE)
        if number == leaver:
            mine.unlock()
            return
        assert super(OrderedQueue, mine).wait_and_take(DATA, None)
        order.append(number)
        mine.release()

    with in_front(path) as first:
        threads = [threading.Thread(target=wait, args=(n,)) for n in range(3)]
        for number, thread in enumerate(threads):
            thread.start()
            waiting(path, number + 2)
        for number in {0, 1, 2} - {leaver}:
            go[number].set()
        first.release()
        go[leaver].set()
        for thread in threads:
            thread.join(PATIENCE)
    assert order == sorted({0, 1, 2} - {leaver})
    at_rest(path)


def test_the_time_is_over(path: Path) -> None:
    with in_front(path):
        before = all_descriptors()
        mine = queue_at(path)
        for _ in range(20):
            assert not enter(mine, monotonic() + 0.001)
            assert len(places(path)) == 1
        mine.close()
        assert len(all_descriptors()) == len(before)
    at_rest(path)


@pytest.mark.parametrize("killed", [0, 1])
def test_the_dead_are_passed(path: Path, killed: int) -> None:
    """The first of all, and one in the middle; nobody waits for long."""
    born: list[Child] = []
    entered, go = Signal(), Signal()

    def wait() -> None:
        mine = queue_at(path)
        assert enter(mine)
        entered.set()
        go.wait()

    for number in range(2):
        born.append(Child(wait))
        waiting(path, number + 1)
    last = queue_at(path)
    with in_thread(lambda: enter(last)):
        waiting(path, 3)
        born[killed].kill()
        entered.wait()
        waiting(path, 2)
        born[1 - killed].kill()
    assert len(places(path)) == 1
    last.release()
    at_rest(path)


def test_who_is_stopped_is_passed_over(path: Path) -> None:
    """Whoever is stopped keeps its place; those who run go on."""
    never = Signal()

    def wait() -> None:
        mine = queue_at(path)
        enter(mine)
        never.wait()

    first = Child(wait)
    waiting(path, 1)
    second = Child(wait)
    waiting(path, 2)
    running, third = queue_at(path), queue_at(path)
    with in_thread(lambda: enter(running)):
        waiting(path, 3)
        os.kill(second.pid, signal.SIGSTOP)
        os.kill(first.pid, signal.SIGSTOP)
    assert not third.take(DATA)
    running.release()
    assert len(places(path)) == 2
    with in_thread(lambda: enter(third)):
        pass
    os.kill(first.pid, signal.SIGCONT)
    # Whoever runs again is in front again.
    until(lambda: not third.take(DATA))
    third.release()
    first.kill()
    second.kill()
    at_rest(path)


def test_who_is_gone_is_not_stopped() -> None:
    assert not queue._is_stopped(0)
    assert not queue._is_stopped(os.getpid())
