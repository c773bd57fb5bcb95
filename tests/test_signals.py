"""Signal handlers that raise: in the middle of anything, and all the time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock
from interruptions import (
    Interrupted,
    interrupt,
    interrupt_at,
    not_between_instructions,
    run_points,
    still_works,
    weather,
)
from staging import (
    PATIENCE,
    acquire,
    all_done,
    assert_at_rest,
    enter,
    helpers,
    in_thread,
    is_native,
    until,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anylock import Lock, LockKind

pytestmark = pytest.mark.usefixtures("_no_garbage_collection")

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


@contextlib.contextmanager
def held_by_a_task(lock: Lock) -> Generator[Callable[[], None]]:
    """Have a task elsewhere hold the lock, and one queue; yields what ends that."""
    holds, leave = threading.Event(), threading.Event()

    async def one() -> None:
        async with lock:
            holds.set()
            await asyncio.to_thread(leave.wait, PATIENCE)

    with in_thread(lambda: asyncio.run(all_done(one, one))):
        assert holds.wait(PATIENCE)
        until(lambda: waiting(lock) == 1)
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
    """Not only the C methods keep nothing locked behind an exception."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock(kind)
        context: Any = lock if timeout is None else lock.hold(timeout)
        with held_by_a_task(lock) as leave:
            assert not is_native(lock)
            leaving = threading.Timer(0.03, leave)  # when we wait for the lock
            leaving.start()
            try:
                with interrupt_at(point, interrupt, where), context:
                    sys.setprofile(None)
            except Interrupted:
                pass
            leave()
            leaving.join()
        still_works(lock)

    run_points(attempt, parks=False)


@bridged
@pytest.mark.timeout(method="thread")  # the other method needs the same timer
def test_storm_of_signals_over_the_native_with(kind: LockKind) -> None:
    """What a lock written in Python leaves locked within a few signals."""
    lock = make_lock(kind)
    for _ in range(50):
        weather(lock, 20)
        assert not lock.locked()
    assert_at_rest(lock)


@bridged
@not_between_instructions
@pytest.mark.usefixtures("_no_event_loop_here")
@pytest.mark.timeout(method="thread")
def test_storm_of_signals_over_the_careful_with(kind: LockKind) -> None:
    """The same while tasks of another thread use the lock without pause."""
    lock = make_lock(kind)
    over = threading.Event()
    rounds = 0

    async def one() -> None:
        nonlocal rounds
        while not over.is_set():
            async with lock:
                rounds += 1
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(one(), one())

    with in_thread(lambda: asyncio.run(main())):
        try:
            for _ in range(20):
                before = rounds
                weather(lock, 20)
                until(lambda: rounds > before + 2)  # noqa: B023 - called here only
        finally:
            over.set()
    assert_at_rest(lock)


def wait_for_the_signal() -> None:
    while True:
        pass


@bridged
@pytest.mark.parametrize("tasks", ["none", "one gave up", "one is queued"])
def test_handler_raises_just_when_the_lock_is_had(kind: LockKind, tasks: str) -> None:
    """The moment at which Python code loses a lock, hit on purpose.

    The thread that releases the lock sends the signal before the one that waits for
    it can run again.
    """
    lock = make_lock(kind)
    held, goes = threading.Event(), threading.Event()
    waits: list[Any] = []
    this_thread = threading.get_ident()

    def holder() -> None:
        acquire(lock)
        held.set()
        assert goes.wait(PATIENCE)
        usual = sys.getswitchinterval()
        sys.setswitchinterval(PATIENCE)  # nobody else runs until both are done
        lock.release()
        signal.pthread_kill(this_thread, signal.SIGUSR1)
        sys.setswitchinterval(usual)

    async def wait() -> None:
        waits.append(enter(lock))
        waits[0].send(None)
        if tasks == "one gave up":
            waits[0].close()

    def go() -> None:
        goes.set()
        with lock:
            wait_for_the_signal()  # should it not have been sent yet

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
    until(lambda: not lock.locked() and not helpers(lock))
    still_works(lock)
