"""Read-write locks: who excludes whom, and the surface of both sides."""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import (
    Lock,
    LockNotHeldError,
    LockTimeout,
    RWLock,
    make_rwlock,
    synchronized,
)
from anylock.testing import check_lock
from backends import Backend, run
from readers import KINDS, RWKind, crew_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from readers import SideName

WHO = ("thread", "asyncio", "trio")
SIDES: tuple[SideName, ...] = ("read", "write")

kinds = pytest.mark.parametrize("kind", KINDS)
sides = pytest.mark.parametrize("side", SIDES)


# Who excludes whom.


@kinds
@pytest.mark.parametrize(("first", "second"), [*itertools.product(WHO, WHO)])
@pytest.mark.parametrize(("one", "other"), [*itertools.product(SIDES, SIDES)])
def test_only_readers_are_inside_together(
    kind: RWKind, first: str, second: str, one: SideName, other: SideName
) -> None:
    with crew_of(kind) as crew:
        holder, comer = crew.actor(first), crew.actor(second)
        crew.enter(holder, one)
        if one == other == "read":
            for way in ("with", "try", "hold", 0.0, 60.0):
                crew.enter(comer, other, way)
            crew.leave(holder, one)
            assert crew.lock.read.locked()
            return
        assert crew.try_to(comer, other, "try") == "refused"
        assert crew.try_to(comer, other, 0.0) == "refused"
        assert crew.try_to(comer, other, 0.01) == "refused"
        crew.wait(comer, other)
        crew.leave(holder, one)
        crew.got(comer)


@kinds
def test_many_read_at_the_same_time(kind: RWKind) -> None:
    with crew_of(kind) as crew:
        actors = [crew.thread(f"T{number}") for number in range(4)]
        tasks = [crew.task(f"A{number}") for number in range(4)]
        for actor in (*actors, *tasks):
            crew.enter(actor, "read")
        assert crew.most == 8
        assert crew.try_to(tasks[0], "write") == "refused"


@kinds
def test_who_reads_enters_again(kind: RWKind) -> None:
    """Also while somebody waits to write; or else both would wait for ever."""
    with crew_of(kind) as crew:
        task, thread, writer = crew.task("A"), crew.thread("T"), crew.task("W")
        for actor in (task, thread):
            crew.enter(actor, "read")
        crew.wait(writer, "write")
        for actor in (task, thread):
            for way in ("with", "try", 0.0):
                crew.enter(actor, "read", way)
        for actor in (task, thread) * 4:
            assert writer.busy
            crew.leave(actor, "read")
        crew.got(writer)


@kinds
@pytest.mark.parametrize("reader", WHO)
def test_who_comes_to_read_waits_behind_who_waits_to_write(
    kind: RWKind, reader: str
) -> None:
    with crew_of(kind) as crew:
        holder, writer = crew.task("R1"), crew.task("W")
        comer = crew.actor(reader)
        crew.enter(holder, "read")
        crew.wait(writer, "write")
        assert crew.try_to(comer, "read") == "refused"
        assert crew.try_to(comer, "read", 0.01) == "refused"
        crew.wait(comer, "read")
        assert not crew.lock.write.locked()
        crew.leave(holder, "read")
        crew.got(writer)
        crew.leave(writer, "write")
        crew.got(comer)
        assert crew.order == ["R1", "W", comer.label]


@kinds
def test_somebody_else_releases(kind: RWKind) -> None:
    with crew_of(kind) as crew:
        task, thread = crew.task("A"), crew.thread("T")
        for one, other in ((task, thread), (thread, task)):
            for side in SIDES:
                lock = getattr(crew.lock, side)
                crew.enter(one, side)
                crew.inside[one].clear()
                assert crew.do(other, lock.release) == "None"
                assert not lock.locked()
                assert crew.do(other, lock.release) == "not held"


# The surface.


@kinds
@sides
def test_both_sides_are_locks(kind: RWKind, side: SideName) -> None:
    lock: RWLock = make_rwlock(kind, name="table")
    assert type(lock) is getattr(anylock, f"{kind.capitalize()}RWLock")
    whatever: object = lock
    assert isinstance(whatever, RWLock)
    half: Any = getattr(lock, side)
    assert isinstance(half, Lock)
    assert half is getattr(lock, side)
    for each in (lock, half):
        assert (each.kind, each.name) == (kind, "table")
        assert "'table'" in repr(each)
        assert weakref.ref(each)() is each
    assert f"anylock.{kind.capitalize()}RWLock.{side} object" in repr(half)
    assert " name" not in repr(make_rwlock(kind))


@kinds
def test_reprs_tell_who_is_inside(kind: RWKind) -> None:
    lock: RWLock = make_rwlock(kind)
    assert "unlocked" in repr(lock)
    lock.read.try_acquire()
    assert "read by 1" in repr(lock)
    assert "unlocked" not in repr(lock.read)
    assert "unlocked" in repr(lock.write)
    lock.read.release()
    lock.write.try_acquire()
    assert "unlocked" not in repr(lock) + repr(lock.write)
    assert "unlocked" in repr(lock.read)
    lock.write.release()


@kinds
@pytest.mark.parametrize("what", ["lock", "read", "write"])
def test_they_do_not_travel(kind: RWKind, what: str) -> None:
    lock = make_rwlock(kind)
    travels = lock if what == "lock" else getattr(lock, what)
    for attempt in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match=r"cannot pickle.*make_rwlock\('machine'\)"):
            attempt(travels)


@kinds
@sides
def test_a_side_outlives_the_lock(kind: RWKind, side: SideName) -> None:
    half = getattr(make_rwlock(kind), side)
    gc.collect()
    assert half.try_acquire()
    half.release()


@kinds
def test_a_lock_that_nobody_uses_goes_without_the_collector(kind: RWKind) -> None:
    gc.disable()
    try:
        reference = weakref.ref(make_rwlock(kind))
        assert reference() is None
    finally:
        gc.enable()


@kinds
@sides
def test_over_release(kind: RWKind, side: SideName) -> None:
    lock = make_rwlock(kind, name="table")
    half, other = getattr(lock, side), lock.read if side == "write" else lock.write
    for _ in range(2):
        with pytest.raises(LockNotHeldError, match="'table' is not held"):
            half.release()
        assert other.try_acquire()
        with pytest.raises(LockNotHeldError):
            half.release()
        assert other.locked()
        other.release()
        assert half.try_acquire()
        half.release()


@sides
def test_acquire_as_that_of_threading(side: SideName) -> None:
    half = getattr(make_rwlock("thread"), side)
    other = getattr(make_rwlock("thread"), side)
    assert half.acquire() is True
    half.release()
    assert half.acquire(False) is True
    half.release()
    assert half.acquire(True, 1) is True
    half.release()
    inner = threading.Lock()
    odd: list[tuple[Any, Any]] = [(False, 1), (True, -2), (True, 1e30), (True, "1")]
    for arguments in odd:
        with pytest.raises((ValueError, TypeError, OverflowError)) as theirs:
            inner.acquire(*arguments)
        with pytest.raises(theirs.type):
            other.acquire(*arguments)
    assert not other.locked()


@sides
def test_acquire_as_that_of_asyncio(side: SideName, backend: Backend) -> None:
    lock = make_rwlock("async")
    half, other = getattr(lock, side), getattr(make_rwlock("async"), side)

    async def main() -> None:
        assert await half.acquire() is True
        half.release()
        assert await half.acquire(timeout=1) is True
        half.release()
        assert lock.write.try_acquire()
        assert await half.acquire(blocking=False) is False
        assert await half.acquire(timeout=0.001) is False
        lock.write.release()
        assert await other.acquire(blocking=False) is True
        with pytest.raises(ValueError, match="does not wait"):
            await half.acquire(blocking=False, timeout=1)

    run(backend, main)


@kinds
@sides
def test_holds_and_decorators(kind: RWKind, side: SideName, backend: Backend) -> None:
    lock = make_rwlock(kind)
    half = getattr(lock, side)

    @synchronized(half)
    async def decorated() -> bool:
        locked: bool = half.locked()
        return locked

    async def main() -> None:
        async with half.hold(1) as held:
            assert held is half
            with pytest.raises(LockTimeout):
                async with lock.write.hold(0.001):
                    pass
        assert await decorated()
        assert not half.locked()

    run(backend, main)


# The conformance suite, over the side that excludes.


def writers(kind: RWKind, **options: Any) -> Callable[[], Lock]:
    factory: Any = make_rwlock
    return lambda: factory(kind, name="table", **options).write


@kinds
def test_the_write_side_keeps_the_contract(kind: RWKind, backend: Backend) -> None:
    check_lock(writers(kind), backends=[backend.anyio_backend])


@pytest.mark.usefixtures("trio")
def test_so_it_does_with_options() -> None:
    check_lock(writers("async", fast_acquire=True), backends=["asyncio", "trio"])
    check_lock(writers("thread", reset_after_fork=True), backends=["asyncio", "trio"])
