"""Kind "machine": the rules that every kind keeps, on files; and what makes one."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import (
    Lock,
    LockNotHeldError,
    MachineLock,
    make_lock,
    make_rlock,
    make_semaphore,
)
from anylock.testing import check_lock
from backends import ASYNCIO, TRIO, require, run
from children import Child
from staging import PATIENCE, all_done, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends import Backend


def factory(folder: Path, *, fair: bool = False) -> Callable[[], MachineLock]:
    numbers = itertools.count()

    def make() -> MachineLock:
        return make_lock("machine", path=folder / f"{next(numbers)}.lock", fair=fair)

    return make


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_it_keeps_the_contract(
    tmp_path: Path,
    library: str,
    fair: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    if library == "trio":
        require(TRIO)
    check_lock(factory(tmp_path, fair=fair), backends=[library], deadlocks=True)


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_it_keeps_the_contract_between_processes(
    tmp_path: Path,
    start_method: str,
    library: str,
    fair: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    if library == "trio":
        require(TRIO)
    context = multiprocessing.get_context(start_method)
    check_lock(factory(tmp_path, fair=fair), backends=[library], context=context)


def test_what_it_is(tmp_path: Path) -> None:
    lock = make_lock("machine", path=tmp_path / "lock", name="reports")
    assert isinstance(lock, Lock)
    assert (lock.kind, lock.name, lock.path) == (
        "machine",
        "reports",
        str(tmp_path / "lock"),
    )
    assert repr(lock).startswith("<not held here anylock.MachineLock object name='rep")
    with lock:
        assert repr(lock).startswith(
            "<locked anylock.MachineLock object name='reports'"
        )
        holder = lock.holder()
        assert holder is not None
        assert holder.lock_name == "reports"


def test_processes_that_know_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They meet by the name alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    program = (
        "from anylock import make_lock\n"
        "lock = make_lock('machine', name='reports')\n"
        "print(lock.try_acquire(), lock.holder().pid)\n"
    )

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        return done.stdout.split()

    with make_lock("machine", name="reports") as lock:
        holder = lock.holder()
        assert holder is not None
        assert run() == ["False", str(holder.pid)]
    assert run()[0] == "True"
    with lock:
        assert lock.abandoned  # it ended without a release


# How it travels.


def look(lock: MachineLock) -> tuple[object, ...]:
    """Say what a process finds that it was handed the lock in."""
    with pytest.raises(LockNotHeldError):
        lock.release()
    holder = lock.holder()
    return (
        *(lock.name, lock.path, lock._fair, lock.locked(), lock.try_acquire()),
        *(lock.abandoned, None if holder is None else holder.pid),
    )


def pass_on(locks: Any, found: Any) -> None:
    found.put(look(locks.get()))


def hold(lock: MachineLock) -> int:
    with lock.hold(PATIENCE):
        holder = lock.holder()
    assert holder is not None
    return holder.pid


def test_it_travels_by_path_and_unlocked(tmp_path: Path, start_method: str) -> None:
    context: Any = multiprocessing.get_context(start_method)
    fair, plain = (
        make_lock("machine", path=tmp_path / f"{fair}", name="reports", fair=fair)
        for fair in (True, False)
    )
    locks = context.SimpleQueue()
    found = context.SimpleQueue()
    pid = os.getpid()

    def expected(lock: MachineLock, *, held: bool) -> tuple[object, ...]:
        has = lock is fair
        return "reports", lock.path, has, held, not held, False, pid if held else None

    with context.Pool(1) as pool, fair, plain:
        assert pool.map(look, [fair, plain]) == [
            expected(fair, held=True),
            expected(plain, held=True),
        ]
        process = context.Process(target=pass_on, args=(locks, found))
        process.start()
        locks.put(plain)
        assert found.get() == expected(plain, held=True)
        process.join()
        copy = pickle.loads(pickle.dumps(fair))  # noqa: S301 - our own
        assert copy.locked()
        assert copy._mutex is fair._mutex
        fair.release()
        assert pool.apply(hold, (fair,)) != pid
        assert pool.apply_async(hold, (fair,)).get() != pid
        fair.acquire()
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert executor.submit(hold, plain).result() != pid
    for lock in (fair, plain):
        with lock:
            assert not lock.abandoned


# Many at once.


class Counter:
    """A number in a file, which nothing but a lock protects."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"0")

    def read(self) -> int:
        return int(self.path.read_bytes())

    def write(self, number: int) -> None:
        self.path.write_bytes(b"%d" % number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("backend", [ASYNCIO, TRIO], ids=str)
def test_two_processes_of_tasks_and_threads(
    tmp_path: Path,
    backend: Backend,
    fair: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Twenty tasks and two threads in each, on one name."""
    require(backend)
    counter = Counter(tmp_path / "counter")
    rounds = 10

    def make() -> MachineLock:
        return make_lock("machine", path=tmp_path / "lock", fair=fair)

    def by_thread() -> None:
        lock = make()
        for _ in range(rounds):
            with lock:
                counter.write(counter.read() + 1)

    async def by_task() -> None:
        lock = make()
        for _ in range(rounds):
            async with lock:
                seen = counter.read()
                await anyio.lowlevel.checkpoint()
                counter.write(seen + 1)

    def process() -> None:
        with in_thread(by_thread), in_thread(by_thread):
            run(backend, lambda: all_done(*[by_task] * 20))

    processes = [Child(process), Child(process)]
    for child in processes:
        child.join()
    assert counter.read() == 2 * 22 * rounds
    with make().hold(0) as lock:
        assert not lock.abandoned


@pytest.mark.parametrize("make", [make_rlock, make_semaphore])
def test_there_are_locks_only(make: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="'async', 'process', 'thread', not 'machine'"):
        make("machine", name="reports")


@pytest.mark.parametrize("timeout", [-2, float("nan")])
def test_time_outs_that_are_none(tmp_path: Path, timeout: float) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    with pytest.raises(ValueError, match="timeout value"):
        lock.acquire(timeout=timeout)
    with pytest.raises(ValueError, match="non-blocking"):
        lock.acquire(blocking=False, timeout=1)
    with pytest.raises(OverflowError, match="too large"):
        lock.acquire(timeout=1e300)
    assert not lock.locked()
