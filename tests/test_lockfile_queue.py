"""Kind "machine": the queue of a fair lock, by itself."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockFileError, make_lock
from children import Child, Signal, in_child
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from lockfiles import all_descriptors
from staging import PATIENCE, in_thread, until

if sys.platform != "linux":
    pytest.skip("it is about open file description locks", allow_module_level=True)

import fcntl

from anylock._machine import changes, inotify, lockfile, posix, queue
from anylock._machine.lockfile import ONCE
from anylock._machine.queue import OrderedQueue, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
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


@pytest.mark.filterwarnings("ignore:unclosed file")  # it may raise out of open()
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
        "coming": (lambda: enter(mine), 0),
        "waiting": (lambda: enter(mine), 1),
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


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unseen(_: int) -> bool:
        return True

    monkeypatch.setattr(changes, "changes_unseen", unseen)


@pytest.mark.usefixtures("network")
def test_on_a_network(path: Path) -> None:
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
    assert not places(path)
    mine.unlock()
    assert first.take(DATA)
    first.release()
    assert mine.empty()
    in_child(mine.close)
