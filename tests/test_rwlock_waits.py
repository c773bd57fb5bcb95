"""Read-write locks: who waits, gives up, and whose event loop is closed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import (
    LockTimeout,
    WouldDeadlock,
    WrongEventLoop,
    _rwlock,
    make_rwlock,
)
from anylock._rwlock import Passage
from anylock._thread import passage
from backends import Backend, run
from readers import KINDS, RWKind, assert_at_rest, crew_of, passage_of, waiting
from staging import (
    PATIENCE,
    all_done,
    enter,
    until,
    until_in_task,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors import HowToCancel
    from readers import SideName

kinds = pytest.mark.parametrize("kind", KINDS)


# A writer that gives up lets those behind it in: aiorwlock 1.5.1, sglang#31657 and
# AsyncEx#134 forgot them.


@kinds
@pytest.mark.parametrize("behind", ["thread", "asyncio", "trio"])
@pytest.mark.parametrize("how", ["scope", "task"])
def test_a_cancelled_writer_lets_readers_in(
    kind: RWKind, behind: str, how: HowToCancel
) -> None:
    with crew_of(kind) as crew:
        holder, writer = crew.task("R"), crew.task("W")
        first, second = crew.actor(behind), crew.task("R3")
        crew.enter(holder, "read")
        crew.wait(writer, "write")
        crew.wait(first, "read")
        crew.wait(second, "read")
        crew.cancel(writer, how)
        crew.got(first, second)
        assert crew.most == 3


@kinds
@pytest.mark.parametrize("writer", ["thread", "asyncio", "trio"])
def test_a_writer_whose_time_is_over_does(
    kind: RWKind, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    for module in (_rwlock, passage):
        monkeypatch.setattr(module, "monotonic", lambda: now)
    with crew_of(kind) as crew:
        holder, gives_up, behind = crew.task("R"), crew.actor(writer), crew.task("R2")
        crew.enter(holder, "read")
        crew.wait(gives_up, "write", 0.01)  # and again, as long as the clock stands
        crew.wait(behind, "read")
        now += 0.01
        assert crew.end(gives_up) == "refused"
        crew.got(behind)


@kinds
@pytest.mark.parametrize("side", ["read", "write"])
def test_who_gives_up_behind_a_writer(kind: RWKind, side: SideName) -> None:
    with crew_of(kind) as crew:
        holder, cancelled, late, last = (crew.task(label) for label in "WCLR")
        crew.enter(holder, "write")
        crew.wait(cancelled, side)
        crew.wait(late, side, 0.2)
        crew.wait(last, "read")
        crew.cancel(cancelled)
        assert crew.end(late) == "refused"
        crew.leave(holder, "write")
        crew.got(last)


@pytest.mark.parametrize("who", ["async", "thread", "a thread"])
def test_a_time_out_is_for_both_stages(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waiting for a turn takes is not there to wait for the readers."""
    now = 1000.0
    left: list[float | None] = []

    def seconds(deadline: float | None) -> float | None:
        left.append(_rwlock.left(deadline))
        return left[-1]

    for module in (_rwlock, passage):
        monkeypatch.setattr(module, "monotonic", lambda: now)
    monkeypatch.setattr(passage, "left", seconds)
    drained = Passage._drained

    async def record(self: Passage, deadline: float | None) -> bool | None:
        left.append(_rwlock.left(deadline))
        return await drained(self, deadline)

    monkeypatch.setattr(Passage, "_drained", record)
    with crew_of("async" if who == "async" else "thread") as crew:
        writer, reader = crew.task("W"), crew.task("R")
        late = crew.thread("L") if who == "a thread" else crew.task("L")
        crew.enter(writer, "write")
        crew.wait(late, "write", 60.0)
        now += 40
        # Or else it could not come before who waits already.
        passage_of(crew.lock).readers.add(reader, None)
        crew.leave(writer, "write")
        until(lambda: passage_of(crew.lock).arriving)
        assert left[-1] == 20
        assert crew.do(reader, crew.lock.read.release) == "None"
        crew.got(late)


@kinds
def test_a_zero_time_out_never_waits(kind: RWKind, backend: Backend) -> None:
    lock = make_rwlock(kind)

    async def other(side: Any) -> None:
        with pytest.raises(LockTimeout):
            async with side.hold(0):
                pass

    async def main() -> None:
        async with lock.read:
            await all_done(lambda: other(lock.write))
        async with lock.write:
            await all_done(lambda: other(lock.write), lambda: other(lock.read))
        async with lock.read.hold(0):
            pass
        async with lock.write.hold(0):
            pass

    run(backend, main)
    assert_at_rest(lock)


@kinds
def test_wait_for(kind: RWKind) -> None:
    """Up to Python 3.11 it waits in another task."""
    lock = make_rwlock(kind)

    async def main() -> None:
        await asyncio.ensure_future(enter(lock.read))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(enter(lock.write), 0.01)
        await asyncio.wait_for(enter(lock.read), PATIENCE)
        lock.read.release()
        lock.read.release()
        await asyncio.ensure_future(enter(lock.write))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(enter(lock.read), 0.01)
        lock.write.release()
        await asyncio.wait_for(enter(lock.read), PATIENCE)
        lock.read.release()

    asyncio.run(main())
    assert_at_rest(lock)


@kinds
@pytest.mark.parametrize("side", ["read", "write"])
def test_cancelled_before_and_amid_everything(
    kind: RWKind, side: SideName, backend: Backend
) -> None:
    """After any number of steps of the loop, with whatever has been granted by then."""
    lock = make_rwlock(kind)
    half = lock.read if side == "read" else lock.write
    entered: list[int] = []

    async def one(steps: int) -> None:
        held = threading.Event() if kind == "thread" else None
        scope = anyio.CancelScope()

        async def victim() -> None:
            with scope:
                async with half:
                    entered.append(steps)

        async def holder(other: Any) -> None:
            async with other:
                if held:
                    held.set()
                for _ in range(4):
                    await checkpoint()

        async def canceller() -> None:
            for _ in range(steps):
                await checkpoint()
            scope.cancel()

        await all_done(
            lambda: holder(lock.read), lambda: holder(lock.write), victim, canceller
        )
        assert_at_rest(lock)

    async def main() -> None:
        for steps in range(20):
            await one(steps)

    run(backend, main)
    assert entered
    assert_at_rest(lock)


@kinds
@pytest.mark.parametrize("seconds", [None, 60.0])
def test_cancelled_and_woken_at_once(kind: RWKind, seconds: float | None) -> None:
    lock = make_rwlock(kind)

    async def main() -> None:
        for cancel_first in (True, False):
            await enter(lock.read)
            writer = asyncio.ensure_future(enter(lock.write, seconds))
            reader = asyncio.ensure_future(enter(lock.read))
            await until_in_task(lambda: waiting(lock) == 2)
            if cancel_first:
                writer.cancel()
            lock.read.release()
            writer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writer
            await reader
            lock.read.release()

    asyncio.run(main())
    assert_at_rest(lock)


# Deadlocks told.


@kinds
def test_a_task_that_waits_for_itself(kind: RWKind, backend: Backend) -> None:
    lock = make_rwlock(kind, name="table")

    async def refused(side: Any, match: str) -> None:
        with pytest.raises(WouldDeadlock, match=match):
            async with side:
                pass
        assert not side.try_acquire()
        with pytest.raises(LockTimeout):
            async with side.hold(0.001):
                pass

    async def main() -> None:
        async with lock.read:
            await refused(lock.write, "'table' would never end: this task .* to read")
        async with lock.write:
            for side in (lock.read, lock.write):
                await refused(side, "'table' would never end: this task .* to write")

    run(backend, main)
    assert_at_rest(lock)


def test_a_thread_that_waits_for_itself() -> None:
    lock = make_rwlock("thread", name="table")

    def refused(side: Any, match: str) -> None:
        with pytest.raises(WouldDeadlock, match=match), side:
            pass
        assert not side.try_acquire()
        assert not side.acquire(timeout=0.001)

    with lock.read:
        refused(lock.write, "this thread .* to read")
    with lock.write:
        refused(lock.read, "this thread .* to write")
        refused(lock.write, "this thread .* to write; release it first")
    assert_at_rest(lock)


def test_the_event_loop_of_an_async_lock_is_not_stopped(backend: Backend) -> None:
    lock = make_rwlock("async")

    async def main() -> None:
        for side in (lock.read, lock.write):
            with pytest.raises(WouldDeadlock, match="an event loop runs"), side:
                pass

    run(backend, main)
    for side in (lock.read, lock.write):
        with pytest.raises(WrongEventLoop, match=r"make_rwlock\('thread'\)"), side:
            pass
    assert_at_rest(lock)


# How many there may be.


@kinds
def test_a_thousand_wait(kind: RWKind, backend: Backend) -> None:
    """900 readers, and a writer between every nine of them."""
    lock = make_rwlock(kind)
    state = {"reading": 0, "most": 0, "writing": 0, "writes": 0, "reads": 0}

    async def read() -> None:
        async with lock.read:
            state["reading"] += 1
            state["most"] = max(state["most"], state["reading"])
            assert not state["writing"]
            await checkpoint()
            state["reads"] += 1
            state["reading"] -= 1

    async def write() -> None:
        async with lock.write:
            state["writing"] += 1
            assert state["writing"] == 1
            assert not state["reading"]
            await checkpoint()
            state["writes"] += 1
            state["writing"] -= 1

    async def main() -> None:
        crowd: list[Callable[[], Any]] = [*[read] * 9, write] * 100
        async with lock.write:
            async with anyio.create_task_group() as tasks:
                for one in crowd:
                    tasks.start_soon(one)
                await until_in_task(lambda: waiting(lock) == 1000)
                tasks.cancel_scope.deadline = anyio.current_time() + 2 * PATIENCE
                lock.write.release()
            await enter(lock.write)

    run(backend, main)
    assert state["reads"] == 900
    assert state["writes"] == 100
    assert state["most"] > 1
    assert_at_rest(lock)


@kinds
def test_nothing_is_left_of_many_reads(kind: RWKind) -> None:
    """Nobody has to be told that a reader left while no writer waits."""
    lock = make_rwlock(kind)

    async def main() -> None:
        for _ in range(10_000):
            async with lock.read:
                pass

    asyncio.run(main())
    assert not passage_of(lock).arriving
    assert not passage_of(lock).readers
    assert waiting(lock) == 0
    assert_at_rest(lock)
