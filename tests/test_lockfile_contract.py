"""Kind "machine": the rules that every kind keeps, on files; and what makes one."""

from __future__ import annotations

import itertools
import multiprocessing
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anylock import Lock, MachineLock, make_lock, make_rlock, make_semaphore
from anylock.testing import check_lock
from backends import TRIO, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_it_keeps_the_contract_between_processes(
    tmp_path: Path, start_method: str
) -> None:
    context = multiprocessing.get_context(start_method)
    check_lock(factory(tmp_path), backends=["asyncio"], context=context)


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
