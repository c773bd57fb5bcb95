"""Kind "machine": holders and waiters that are killed or stopped at any moment."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from anylock import make_lock
from children import Child, Signal, in_child
from staging import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")

CONTENDERS = 4
KILLS = 1000 if os.environ.get("ANYLOCK_HUNT") else 150


class Shared:
    """Numbers that all processes see, whatever becomes of one."""

    def __init__(self, *names: str) -> None:
        self._memory = mmap.mmap(-1, 8 * len(names))
        self._places = {name: 8 * place for place, name in enumerate(names)}

    def __getitem__(self, name: str) -> int:
        found: int = struct.unpack_from("q", self._memory, self._places[name])[0]
        return found

    def __setitem__(self, name: str, value: int) -> None:
        struct.pack_into("q", self._memory, self._places[name], value)


class Record:
    """A number in a file, written in two halves; torn if who writes it dies."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self.write(0)

    def read(self) -> tuple[int, int]:
        first, second = struct.unpack("qq", os.pread(self._file, 16, 0))
        return first, second

    def write(self, number: int) -> None:
        half = struct.pack("q", number)
        os.pwrite(self._file, half, 0)
        os.pwrite(self._file, half, 8)

    def close(self) -> None:
        os.close(self._file)


@pytest.mark.parametrize("fair", [False, True])
def test_killed_at_random(
    tmp_path: Path,
    fair: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Contenders are killed anywhere, inside and outside.

    Whoever was killed between two lines of this test may have been counted inside by
    the lock and not yet, or not any more, by the test.
    """
    record = Record(tmp_path / "record")
    acknowledged = [f"done by {number}" for number in range(CONTENDERS)]
    shared = Shared("inside", "told", "wrong", *acknowledged)
    chance = random.Random(5)  # noqa: S311 - a seed, to get the same again

    def contend(number: int) -> None:
        lock = make_lock("machine", path=tmp_path / "lock", fair=fair)
        while True:
            with lock:
                died_inside = shared["inside"]
                first, second = record.read()
                if died_inside or first != second:
                    shared["wrong"] |= not lock.abandoned
                shared["told"] += lock.abandoned
                shared["inside"] = os.getpid()
                record.write(first + 1)
                shared["wrong"] |= 2 * (shared["inside"] != os.getpid())
                shared["inside"] = 0
            shared[acknowledged[number]] += 1

    def start(number: int) -> Child:
        return Child(lambda: contend(number))

    def all_go_on() -> None:
        before = [shared[done] for done in acknowledged]
        for done, then in zip(acknowledged, before, strict=True):
            until(lambda: shared[done] > then + 1)  # noqa: B023 - called here only

    with ExitStack() as stack:
        stack.callback(record.close)
        contenders = [start(number) for number in range(CONTENDERS)]

        @stack.callback
        def kill_all() -> None:
            for child in contenders:
                child.kill()

        for _ in range(KILLS):
            number = chance.randrange(CONTENDERS)
            time.sleep(chance.random() * 0.003)  # any moment is the point here
            contenders[number].kill()
            contenders[number] = start(number)
            assert not shared["wrong"]
        all_go_on()
        told = shared["told"]
        assert KILLS / 20 < told <= KILLS
        all_go_on()
        assert shared["told"] == told  # of a death, once
        kill_all()
        assert not shared["wrong"]
        with make_lock("machine", path=tmp_path / "lock"):
            done_in_all = sum(shared[done] for done in acknowledged)
            assert done_in_all <= record.read()[0] <= done_in_all + KILLS + CONTENDERS


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
