"""Semaphores under signal handlers that raise, and under everything at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from interruptions import (
    Interrupted,
    interrupt,
    interrupt_at,
    not_between_instructions,
    run_points,
    weather,
)
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
from staging import PATIENCE, all_done, in_thread, until
from stress import Stress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anylock import LockKind
    from permits import BridgedSemaphore

pytestmark = pytest.mark.usefixtures("_no_garbage_collection")


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


class SemaphoreStress(Stress):
    """Of whom as many are inside as there are permits."""

    # Not by `with`: of several loops, each may hold what the others wait for.
    beside_tasks = ("hold", "try")

    def __init__(self, semaphore: BridgedSemaphore, seed: int, seconds: float) -> None:
        super().__init__(semaphore, seed, seconds)
        self.room = Room(semaphore)

    def inside(self, how: str) -> None:
        super().inside(how)
        self.room.stand(0)

    async def stay(self, how: str) -> None:
        self.ways.add(how)
        await self.room.stay(0, wait=self.random.random() < 0.3)

    def release(self) -> None:
        leave(self.lock)


@bridged
@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("value", [1, 3])
def test_everything_at_once(kind: LockKind, value: int) -> None:
    semaphore = make(kind, value)
    before = threading.active_count()
    stress = SemaphoreStress(semaphore, value, 0.4)
    stress.run()
    assert stress.room.most <= value
    assert len(stress.room.entered) > 50
    settled(semaphore, value)
    still_works(semaphore, value)
    assert threading.active_count() <= before
