"""Read-write locks of the kind "thread": signal handlers that raise, at every point."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_rwlock
from interruptions import (
    Interrupted,
    interrupt,
    interrupt_at,
    not_between_instructions,
    run_points,
)
from readers import assert_at_rest, passage_of, waiting
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from anylock import ThreadRWLock
    from readers import SideName

pytestmark = [
    pytest.mark.usefixtures("_no_garbage_collection"),
    not_between_instructions,
]

sides = pytest.mark.parametrize("side", ["read", "write"])


@contextlib.contextmanager
def held(lock: ThreadRWLock, side: Any) -> Generator[Callable[[], None]]:
    """Have a thread inside of a side; yields what lets it leave."""
    leave = threading.Event()

    def hold() -> None:
        with side:
            assert leave.wait(PATIENCE)

    with in_thread(hold):
        until(side.locked)
        try:
            yield leave.set
        finally:
            leave.set()
    assert not lock.write.locked()


@contextlib.contextmanager
def task_waits(lock: ThreadRWLock) -> Generator[None]:
    """Have a task elsewhere that waits to write; it has done so in the end."""
    wrote: list[bool] = []

    async def write() -> None:
        async with lock.write.hold(PATIENCE):
            wrote.append(True)

    with in_thread(lambda: asyncio.run(write())):
        until(lambda: waiting(lock))
        yield
    assert wrote


@sides
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_on_the_way_in(side: SideName, timeout: float | None) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_rwlock("thread")
        half: Any = getattr(lock, side)
        context = half if timeout is None else half.hold(timeout)
        interrupted = interrupt_at(point, interrupt, where)
        with contextlib.suppress(Interrupted), interrupted, context:
            sys.setprofile(None)
        assert_at_rest(lock)

    run_points(attempt, parks=False)


@pytest.mark.parametrize("of", ["try_acquire", "hold"])
@sides
def test_when_it_gives_up_on_the_way_in(side: SideName, of: str) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make_rwlock("thread")
        half: Any = getattr(lock, side)
        for holders in (lock.read, lock.write):
            if side == "read" and holders is lock.read:
                continue
            interrupted = interrupt_at(point, interrupt, where)
            with held(lock, holders), contextlib.suppress(Interrupted), interrupted:
                assert not half.acquire(of == "hold", 0.01 if of == "hold" else -1)
            assert_at_rest(lock)

    run_points(attempt, parks=False)


@sides
@pytest.mark.parametrize("holder", ["read", "write"])
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_when_it_has_to_wait(
    side: SideName, holder: SideName, timeout: float | None
) -> None:
    if side == holder == "read":
        pytest.skip("it need not wait")

    def attempt(point: int, where: list[str]) -> None:
        lock = make_rwlock("thread")
        half: Any = getattr(lock, side)
        context = half if timeout is None else half.hold(timeout)
        with held(lock, getattr(lock, holder)) as leave:
            leaving = threading.Timer(0.01, leave)
            leaving.start()
            interrupted = interrupt_at(point, interrupt, where)
            with contextlib.suppress(Interrupted), interrupted, context:
                sys.setprofile(None)
            leave()
            leaving.join()
        assert_at_rest(lock)

    run_points(attempt, parks=False)


@sides
@pytest.mark.parametrize("waits", [False, True])
def test_on_the_way_out(side: SideName, waits: bool) -> None:  # noqa: FBT001
    """It comes too early only if it raises before the first of our instructions."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make_rwlock("thread")
        half: Any = getattr(lock, side)
        half.acquire()
        with task_waits(lock) if waits else contextlib.nullcontext():
            try:
                with interrupt_at(point, interrupt, where):
                    half.__exit__(None, None, None)
            except Interrupted:
                if point == 1:
                    assert where[0].startswith("__exit__:")
                    half.release()
        assert_at_rest(lock)

    run_points(attempt, parks=False)


@sides
@pytest.mark.parametrize("error", [Interrupted, KeyError])
@pytest.mark.parametrize("whose", ["twice", "of another thread"])
def test_on_the_way_out_of_others(
    side: SideName, whose: str, error: type[Exception]
) -> None:
    """A `KeyError` could be taken for what tells that nobody is inside."""

    def handler() -> None:
        raise error

    def attempt(point: int, where: list[str]) -> None:
        lock = make_rwlock("thread")
        half: Any = getattr(lock, side)
        again = whose == "twice" and side == "read"
        for _ in range(1 + again):
            if whose == "twice":
                half.acquire()
            else:
                with in_thread(half.acquire):
                    pass
        try:
            with interrupt_at(point, handler, where):
                half.__exit__(None, None, None)
        except error:
            if point == 1:
                half.release()
        if again:
            assert len(passage_of(lock).readers) == 1
            half.release()
        assert_at_rest(lock)

    run_points(attempt, parks=False)


@sides
@pytest.mark.timeout(method="thread")  # the other method needs the same timer
def test_storm_of_signals(side: SideName) -> None:
    lock = make_rwlock("thread")
    half: Any = getattr(lock, side)
    strikes = 0
    armed = inside = False

    def strike(_number: int, _frame: FrameType | None) -> None:
        nonlocal armed, strikes
        if armed:
            armed = False
            strikes += 1
            raise Interrupted

    old = signal.signal(signal.SIGALRM, strike)
    tracer = sys.gettrace()
    sys.settrace(None)  # or coverage's own lock may stay locked
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while strikes < 500:
            with contextlib.suppress(Interrupted):
                armed = True
                while True:
                    inside = False
                    with half:
                        inside = True
            armed = False
            # Before the first instruction of the way out; see above.
            if inside and half.locked():
                half.release()
            assert not half.locked()
            assert not passage_of(lock).turnstile.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        sys.settrace(tracer)
    assert_at_rest(lock)
