"""Debug locks keep every contract of those that are inside of them."""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import make_condition, make_lock, make_rlock, make_rwlock, make_semaphore
from anylock.testing import check_condition, check_lock, check_rlock, check_semaphore
from backends import ASYNCIO, TRIO, Backend, run
from debugged import lock_of
from staging import in_thread, usable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anylock import LockKind

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")

backends = [each.anyio_backend for each in (ASYNCIO, TRIO) if usable(each)]

FACTORIES: dict[str, Callable[..., Any]] = {
    "lock": make_lock,
    "rlock": make_rlock,
    "semaphore": make_semaphore,
    "condition": make_condition,
}
CHECKS: dict[str, Callable[..., None]] = {
    "lock": check_lock,
    "rlock": check_rlock,
    "semaphore": check_semaphore,
    "condition": check_condition,
}
members = pytest.mark.parametrize("member", FACTORIES)


@members
def test_the_family(member: str, kind: LockKind) -> None:
    make = partial(FACTORIES[member], kind, debug=True)
    CHECKS[member](make, backends=backends)


def test_machine_locks(tmp_path: Path) -> None:
    made = 0

    def make() -> Any:
        nonlocal made
        made += 1
        return make_lock("machine", path=tmp_path / f"{made}.lock", debug=True)

    check_lock(make, backends=backends)


@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize("rw_kind", ["async", "machine", "thread"])
def test_sides(rw_kind: Any, side: str, tmp_path: Path) -> None:
    made = 0

    def make() -> Any:
        nonlocal made
        made += 1
        options: Any = {}
        if rw_kind == "machine":
            options["path"] = tmp_path / f"{made}.lock"
        return lock_of(rw_kind, make_rwlock, **options)

    if side == "write":
        check_lock(lambda: make().write, backends=backends)
        return
    rwlock = make()

    async def main() -> None:
        async with rwlock.read:
            async with rwlock.read:
                assert len(rwlock.read.stats().holders) == 2
            assert not rwlock.write.try_acquire()
        assert rwlock.read.stats().acquisitions == 2

    run(ASYNCIO, main)
    assert not rwlock.read.locked()


def test_processes_share_them(start_method: str) -> None:
    context: Any = multiprocessing.get_context(start_method)
    lock = make_lock("process", context=context, debug=True)
    with lock:
        child = context.Process(target=try_in_child, args=(lock, os.getpid()))
        child.start()
        child.join()
    assert child.exitcode == 3
    child = context.Process(target=try_in_child, args=(lock, os.getpid()))
    child.start()
    child.join()
    assert child.exitcode == 4
    assert lock.stats().acquisitions == 1


def try_in_child(lock: Any, parent: int) -> None:
    assert type(lock).__name__ == "DebugProcessLock"
    assert lock.record.site.file == __file__
    taken = lock.try_acquire()
    owner = lock.stats().owner
    if taken:
        assert owner.kind == "thread"
        raise SystemExit(4)
    assert owner.kind == "process"
    assert owner.name == f"thread 'MainThread' of process {parent}"
    assert owner.seconds > 0
    raise SystemExit(3)


NORMAL = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "RWLock")


@pytest.mark.parametrize("member", NORMAL)
@pytest.mark.parametrize("any_kind", ["async", "machine", "process", "thread"])
def test_they_are_of_the_classes_that_they_stand_for(
    member: str, any_kind: Any, tmp_path: Path
) -> None:
    normal = getattr(anylock, f"{any_kind.capitalize()}{member}", None)
    if normal is None:
        pytest.skip("there is none")
    options: Any = {"path": tmp_path / "lock"} if any_kind == "machine" else {}
    factory = getattr(anylock, f"make_{member.removeprefix('Bounded').lower()}")
    if member == "BoundedSemaphore":
        options["bounded"] = True
    made = factory(any_kind, debug=True, **options)
    assert isinstance(made, normal)
    assert type(made) is not normal
    assert type(factory(any_kind, debug=False, **options)) is normal
    assert made.kind == any_kind


def test_the_standard_library_takes_them() -> None:
    import asyncio
    import threading

    makers: tuple[Any, ...] = (make_lock, make_rlock)
    for make in makers:
        condition = threading.Condition(make("thread", debug=True))
        with condition:
            assert not condition.wait(0.001)
            condition.notify()
        between = multiprocessing.Condition(make("process", debug=True))
        with between:
            assert not between.wait(0.001)
            between.notify()
    value = multiprocessing.Value("i", lock=make_rlock("process", debug=True))
    with value.get_lock():
        value.value += 1

    async def main() -> None:
        lock: Any = make_lock("async", debug=True)
        condition = asyncio.Condition(lock)
        async with condition:
            condition.notify()

    asyncio.run(main())


def test_a_user_may_make_a_class_of_one() -> None:
    from anylock.debug._thread import DebugThreadLock

    class Named(DebugThreadLock):
        def describe(self) -> str:
            return f"my {self.name}"

    lock = Named("own")
    with lock:
        assert lock.locked()
        assert lock.stats().owner is not None
    assert lock.describe() == "my own"


def test_old_names_of_threading() -> None:
    lock = make_lock("thread", debug=True)
    assert lock.acquire_lock()
    assert lock.locked_lock()
    lock.release_lock()
    assert lock.stats().acquisitions == 1
    assert repr(lock).startswith("<debug <unlocked anylock.ThreadLock object")


def test_errors_are_those_of_the_lock_inside() -> None:
    lock = make_lock("thread", debug=True)
    odd: list[tuple[Any, Any]] = [(True, -2), (False, 1), ("x", "y")]
    for blocking, timeout in odd:
        with pytest.raises((TypeError, ValueError)):
            lock.acquire(blocking, timeout)
    assert not lock.record.waits
    for each in (
        lock,
        make_rlock("thread", debug=True),
        make_lock("process", debug=True),
    ):
        with pytest.raises((RuntimeError, ValueError)):
            each.release()
    rlock = make_rlock("thread", debug=True)
    with rlock:

        def release() -> None:
            with pytest.raises(RuntimeError):
                rlock.release()

        with in_thread(release):
            pass
        with rlock:
            with in_thread(release):
                pass
            assert rlock.record.owner is not None
            assert rlock.record.owner.depth == 2
    assert not rlock.record.holds
    permits: Any = make_semaphore("thread", 1, bounded=True, debug=True)
    with permits:
        with pytest.raises(ValueError, match="1 permit:"):
            permits.release(2)
        assert len(permits.stats().holders) == 1
        with pytest.raises(TypeError):
            permits.release("x")
    assert not permits.stats().holders


def test_backends_are_there(backend: Backend) -> None:
    """As above, in the ways that asyncio and trio have of their own."""
    lock = make_lock("async", debug=True)

    async def main() -> None:
        assert await lock.acquire()
        assert not await lock.acquire(timeout=0.001)
        assert not await lock.acquire(blocking=False)
        lock.release()

    run(backend, main)
    assert lock.stats().timeouts == 1
