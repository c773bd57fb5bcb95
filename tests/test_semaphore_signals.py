"""Semaphores under signal handlers that raise, and under everything at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, WouldDeadlock
from anylock._parking import ThreadMarker, this_thread
from backends import BACKENDS, Backend, run
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from permits import (
    Room,
    acquire,
    at_rest,
    bridged,
    enter,
    is_native,
    leave,
    make,
    settled,
    still_works,
    waiting,
)
from staging import PATIENCE, all_done, in_thread, until, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import FrameType

    from anylock import LockKind
    from permits import BridgedSemaphore

pytestmark = pytest.mark.usefixtures("_no_garbage_collection")

# Up to 3.10 a handler may also run between any two instructions.
not_between_instructions = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="docs/locks.md promises it from 3.11 on"
)


@contextlib.contextmanager
def held_by_tasks(semaphore: BridgedSemaphore) -> Generator[Callable[[], None]]:
    """Have two tasks elsewhere inside, and one queued; yields what ends that."""
    leave = threading.Event()

    async def one() -> None:
        async with semaphore:
            await asyncio.to_thread(leave.wait, PATIENCE)

    with in_thread(lambda: asyncio.run(all_done(one, one, one))):
        until(lambda: waiting(semaphore) == 1)
        try:
            yield leave.set
        finally:
            leave.set()


@bridged
@not_between_instructions
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_handler_raises_at_every_point_of_a_careful_with(
    kind: LockKind, timeout: float | None
) -> None:
    if timeout and kind == "thread" and sys.version_info < (3, 13):
        pytest.skip("it waits among the tasks there, as a thread of an event loop does")

    def attempt(point: int, where: list[str]) -> None:
        semaphore = make(kind, 2, bounded=False)
        context: Any = semaphore if timeout is None else semaphore.hold(timeout)
        with held_by_tasks(semaphore) as end:
            assert not is_native(semaphore)
            ending = threading.Timer(0.02, end)  # when we wait
            ending.start()
            try:
                with interrupt_at(point, interrupt, where), context:
                    sys.setprofile(None)
            except Interrupted:
                pass
            end()
            ending.join()
        still_works(semaphore, 2)

    run_points(attempt, parks=False)


@bridged
@not_between_instructions
def test_handler_raises_at_every_point_of_a_hold(kind: LockKind) -> None:
    """While no task has ever used it."""
    if kind == "process":
        pytest.skip("`acquire` of the process kinds can lose one, as that of locks")

    def attempt(point: int, where: list[str]) -> None:
        semaphore = make(kind, 2, bounded=False)
        hold = semaphore.hold(60.0)
        try:
            with interrupt_at(point, interrupt, where), hold:
                sys.setprofile(None)
        except Interrupted:
            pass
        at_rest(semaphore, 2)

    run_points(attempt, parks=False)


@pytest.fixture
def _no_event_loop_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the event loops that earlier tests ran in this thread."""
    monkeypatch.setattr(this_thread, "marker", ThreadMarker())


def weather(semaphore: BridgedSemaphore, number: int) -> None:
    """Enter and leave by `with` until so many signals have raised in the middle."""
    strikes = 0
    armed = False

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
        while strikes < number:
            with contextlib.suppress(Interrupted):
                armed = True
                while True:
                    with semaphore:
                        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        sys.settrace(tracer)


@bridged
@pytest.mark.timeout(method="thread")  # the other method needs the same timer
@pytest.mark.parametrize("value", [1, 3])
def test_storm_of_signals_over_the_native_with(kind: LockKind, value: int) -> None:
    semaphore = make(kind, value, bounded=False)
    for _ in range(25):
        weather(semaphore, 20)
        assert semaphore.value == value
    still_works(semaphore, value)


@bridged
@not_between_instructions
@pytest.mark.usefixtures("_no_event_loop_here")
@pytest.mark.timeout(method="thread")
def test_storm_of_signals_over_the_careful_with(kind: LockKind) -> None:
    """The same while tasks of another thread use it without pause."""
    semaphore = make(kind, 2, bounded=False)
    over = threading.Event()
    rounds = 0

    async def one() -> None:
        nonlocal rounds
        while not over.is_set():
            async with semaphore:
                rounds += 1
                await asyncio.sleep(0)

    with in_thread(lambda: asyncio.run(all_done(one, one, one))):
        try:
            for _ in range(20):
                before = rounds
                weather(semaphore, 20)
                until(lambda: rounds > before + 2)  # noqa: B023 - called here only
        finally:
            over.set()
    still_works(semaphore, 2)


@bridged
@pytest.mark.parametrize("tasks", ["none", "one gave up", "one is queued"])
def test_handler_raises_just_when_a_permit_is_had(kind: LockKind, tasks: str) -> None:
    """The thread that gives it back sends the signal before we can run again."""
    semaphore = make(kind, 1, bounded=False)
    held, goes = threading.Event(), threading.Event()
    waits: list[Any] = []
    ident = threading.get_ident()

    def holder() -> None:
        acquire(semaphore)
        held.set()
        assert goes.wait(PATIENCE)
        usual = sys.getswitchinterval()
        sys.setswitchinterval(PATIENCE)  # nobody else runs until both are done
        leave(semaphore)
        signal.pthread_kill(ident, signal.SIGUSR1)
        sys.setswitchinterval(usual)

    async def wait() -> None:
        waits.append(enter(semaphore))
        waits[0].send(None)
        if tasks == "one gave up":
            waits[0].close()

    def go() -> None:
        goes.set()
        with semaphore:
            until(lambda: False)  # should it not have been sent yet

    old = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with in_thread(holder):
            assert held.wait(PATIENCE)
            if tasks != "none":
                asyncio.run(wait())
            with pytest.raises(Interrupted):
                go()
    finally:
        signal.signal(signal.SIGUSR1, old)
    for entering in waits:
        entering.close()
    still_works(semaphore, 1)


# Everything at once


class Stress:
    """Threads, and tasks of several loops, that do everything at once, at random."""

    def __init__(self, semaphore: BridgedSemaphore, seed: int, seconds: float) -> None:
        self.semaphore = semaphore
        self.random = random.Random(seed)  # noqa: S311 - no secrets here
        self.room = Room(semaphore)
        self.ends = monotonic() + seconds
        self.ways: set[str] = set()

    @property
    def over(self) -> bool:
        wanted = {"with", "hold", "async with", "async hold"}
        late = monotonic() - self.ends
        return late > 0 and (late > PATIENCE / 2 or self.ways >= wanted)

    def inside(self, how: str) -> None:
        self.ways.add(how)
        self.room.stand(0)

    def moment(self) -> float:
        return self.random.choice([0.0, 1e-6, 1e-3, 0.1])

    def in_thread(self, *ways: str) -> None:
        how = self.random.choice(ways or ["with", "hold", "try"])
        try:
            if how == "with":
                with self.semaphore:
                    self.inside(how)
            elif how == "hold":
                with self.semaphore.hold(self.moment()):
                    self.inside(how)
            elif self.semaphore.try_acquire():
                self.inside(how)
                leave(self.semaphore)
        except (LockTimeout, WouldDeadlock):
            pass

    async def in_task(self) -> None:
        how = self.random.choice(["async with", "async hold", "cancelled"])
        patience = self.moment() if how == "cancelled" else None
        timeout = self.moment() if how == "async hold" else None
        semaphore = self.semaphore
        try:
            with anyio.move_on_after(patience):
                async with semaphore if timeout is None else semaphore.hold(timeout):
                    self.ways.add(how)
                    await self.room.stay(0, wait=self.random.random() < 0.3)
        except LockTimeout:
            pass
        await checkpoint()

    def thread(self) -> None:
        while not self.over:
            self.in_thread()

    async def task(self) -> None:
        while not self.over:
            await self.in_task()
            # Not by `with`: of several loops, each may hold what the others wait for.
            if self.random.random() < 0.1:
                self.in_thread("hold", "try")

    def loop_after_loop(self, backend: Backend) -> None:
        """Event loops that end in the middle, with their tasks cancelled."""

        async def main() -> None:
            with anyio.move_on_after(self.random.random() / 10):
                await all_done(*[self.task] * 4)

        while not self.over:
            run(backend, main)

    def abandoned_loops(self) -> None:
        """Event loops that are closed in the middle, with their tasks forgotten.

        The tasks never wait inside, so that they cannot be lost there.
        """

        async def one() -> None:
            while True:
                async with self.semaphore:
                    self.inside("abandoned")
                await asyncio.sleep(0)

        while not self.over:
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda _loop, _context: None)
            tasks = [loop.create_task(one()) for _ in range(3)]
            loop.run_until_complete(asyncio.sleep(self.random.random() / 100))
            loop.close()
            del tasks, loop


@pytest.fixture(params=[None, 1e-6], ids=["usual switches", "many switches"])
def _switches(request: pytest.FixtureRequest) -> Iterator[None]:
    usual = sys.getswitchinterval()
    if request.param is not None:
        sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(usual)


@bridged
@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("value", [1, 3])
def test_everything_at_once(kind: LockKind, value: int) -> None:
    semaphore = make(kind, value)
    before = threading.active_count()
    stress = Stress(semaphore, value, 0.4)
    work: list[Callable[[], None]] = [stress.thread, stress.thread]
    work += [stress.abandoned_loops]
    work += [partial(stress.loop_after_loop, b) for b in BACKENDS if usable(b)]
    with ExitStack() as threads:
        for one in work:
            threads.enter_context(in_thread(one))
    assert stress.room.most <= value
    assert len(stress.room.entered) > 50
    assert stress.ways > {"with", "hold", "async with", "async hold"}
    settled(semaphore, value)
    still_works(semaphore, value)
    assert threading.active_count() <= before
