"""Loops that end, stop, follow one another, or run side by side.

The numbers are those of the list "what must never happen" in the design.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import make_lock
from backends import ASYNCIO, EAGER, TRIO, UVLOOP, Backend, require
from staging import (
    PATIENCE,
    Section,
    acquire,
    assert_at_rest,
    enter,
    granted,
    in_thread,
    queued,
    until,
    use,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def new_loop(backend: Backend) -> asyncio.AbstractEventLoop:
    require(backend)
    if backend is UVLOOP:
        import uvloop

        return uvloop.new_event_loop()
    make: Callable[[], asyncio.AbstractEventLoop]
    make = backend.options.get("loop_factory", asyncio.new_event_loop)
    return make()


@pytest.fixture(params=[ASYNCIO, EAGER, UVLOOP], ids=str)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop of asyncio that is paused until the test runs it."""
    loop = new_loop(request.param)
    # Tasks that are pending when their loop is closed are what these tests are about.
    loop.set_exception_handler(lambda _loop, _context: None)
    yield loop
    loop.close()


async def once_around() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Waits:
    """Tasks of a loop that wait for a lock, and what they found."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        lock: Lock,
        number: int,
        others: int = 0,
    ) -> None:
        self.section = Section()
        self.tasks = [loop.create_task(self.one(lock)) for _ in range(number)]
        loop.run_until_complete(once_around())
        assert waiting(lock) == number + others

    async def one(self, lock: Lock) -> None:
        async with lock:
            with self.section:
                await asyncio.sleep(0)


def held(lock: Lock, loop: asyncio.AbstractEventLoop) -> None:
    if lock.kind == "async":
        loop.run_until_complete(enter(lock))  # in another task than those that wait
    else:
        acquire(lock)


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("releaser", ["task", "thread"])
def test_loop_closed_with_waiters_queued(
    loop: asyncio.AbstractEventLoop, kind: LockKind, releaser: str, *, cancelled: bool
) -> None:
    """Line 4: the waiters of a closed loop are gone, even while tasks still exist."""
    lock = make_lock(kind)
    held(lock, loop)
    waits = Waits(loop, lock, 2)
    if cancelled:
        waits.tasks[0].cancel()  # it never gets to know
    loop.close()
    if releaser == "task" or kind == "async":
        lock.release()
    else:
        with in_thread(lock.release):
            pass
    assert_at_rest(lock)
    asyncio.run(enter(lock))
    lock.release()
    assert waits.section.count == 0


@bridged
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("next_one", ["thread", "task"])
def test_loop_closed_with_a_waiter_granted(
    loop: asyncio.AbstractEventLoop, kind: LockKind, next_one: str, *, kept: bool
) -> None:
    """Line 4 for a loop that is closed between the grant and the resumption."""
    lock = make_lock(kind)
    acquire(lock)
    waits = Waits(loop, lock, 1)
    lock.release()
    until(lambda: granted(lock))
    loop.close()
    tasks = waits.tasks if kept else []
    del waits
    gc.collect()

    def drop() -> None:
        tasks.clear()
        gc.collect()
        assert lock.locked(), "the task that was gone has released it"

    async def in_task() -> None:
        async with lock.hold(2.0):
            drop()

    def in_a_thread() -> None:
        with lock.hold(2.0):
            drop()

    with in_thread(
        in_a_thread if next_one == "thread" else lambda: asyncio.run(in_task())
    ):
        pass
    assert_at_rest(lock)


def test_async_lock_after_a_loop_closed_with_a_waiter_granted(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Lines 4 and 6: a loop that is gone uses the lock no more."""
    lock = make_lock("async")
    held(lock, loop)
    waits = Waits(loop, lock, 2)
    lock.release()
    loop.close()

    async def in_task() -> None:
        async with lock.hold(2.0):
            pass

    asyncio.run(in_task())
    assert_at_rest(lock)
    del waits


@bridged
def test_trio_run_over_with_a_waiter_queued(trio: Any, kind: LockKind) -> None:
    """Line 4 for trio, where only a coroutine driven by hand can be left so."""
    lock = make_lock(kind)
    acquire(lock)
    entering = enter(lock)

    async def main() -> None:
        entering.send(None)
        assert waiting(lock) == 1

    trio.run(main)
    lock.release()
    assert_at_rest(lock)
    entering.close()
    assert_at_rest(lock)


@bridged
def test_hand_off_from_loop_to_loop_that_closes(kind: LockKind) -> None:
    """Line 4: a task leaves, and hands the lock over the heads of the gone."""
    lock = make_lock(kind)
    loop = new_loop(ASYNCIO)
    loop.set_exception_handler(lambda _loop, _context: None)
    entered: list[str] = []

    async def one(name: str) -> None:
        async with lock:
            entered.append(name)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            async with lock:
                with in_thread(lambda: gone.append(Waits(loop, lock, 2))):
                    pass
                tasks.start_soon(one, "next")
                await queued(lock, 3)
                loop.close()
            assert entered == []

    gone: list[Waits] = []
    asyncio.run(main())
    assert entered == ["next"]
    assert_at_rest(lock)


@bridged
def test_loop_that_moves_to_another_thread(
    loop: asyncio.AbstractEventLoop, kind: LockKind
) -> None:
    """A task is woken in the thread where its loop runs now, not where it queued."""
    lock = make_lock(kind)
    stays = new_loop(ASYNCIO)
    acquire(lock)
    first, then = Waits(stays, lock, 1), Waits(loop, lock, 1, others=1)
    lock.release()
    until(lambda: granted(lock))
    runs = threading.Event()
    loop.call_soon(loop.call_later, 0.0, runs.set)
    with in_thread(lambda: loop.run_until_complete(then.tasks[0])):
        assert runs.wait(PATIENCE)
        stays.run_until_complete(first.tasks[0])  # and hands it on
        stays.close()
        try:
            until(then.tasks[0].done)
        finally:
            loop.call_soon_threadsafe(lambda: None)  # wakes the loop if nobody did
    assert_at_rest(lock)


PROGRAMS = {
    "asyncio.run": """
        import asyncio
        async def main():
            tasks = [asyncio.ensure_future(one()) for _ in range(3)]
            await all_wait(3, asyncio.sleep)
        asyncio.run(main())
        """,
    "trio.run": """
        import trio
        async def main():
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(one)
                await all_wait(3, trio.sleep)
                nursery.cancel_scope.cancel()
        trio.run(main)
        """,
    "loop in a daemon thread": """
        import asyncio, threading
        async def main():
            tasks = [asyncio.ensure_future(one()) for _ in range(2)]
            await all_wait(2, asyncio.sleep)
            ready.set()
            await asyncio.gather(*tasks)
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        ready.wait()
        """,
    "loop never closed": """
        import asyncio
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        tasks = [loop.create_task(one()) for _ in range(3)]
        loop.run_until_complete(all_wait(3, asyncio.sleep))
        """,
    "granted at the end": """
        import asyncio
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        tasks = [loop.create_task(one()) for _ in range(3)]
        loop.run_until_complete(all_wait(3, asyncio.sleep))
        lock.release()
        """,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_end_with_waiters_queued(program: str, kind: LockKind) -> None:
    """Line 12: the interpreter ends at once and without a word."""
    if program == "trio.run":
        require(TRIO)
    head = f"""
        from anylock import make_lock
        lock = make_lock({kind!r})
        assert lock.try_acquire()
        async def one():
            async with lock:
                await __import__("anyio").sleep(0)
        def waiting():
            if lock.kind == "async":
                return len(lock._waiters or ())
            bridge = lock._bridge
            # The helper is at the lock as soon as it has the turnstile.
            return len(bridge._queue) if bridge and bridge._turnstile.locked() else 0
        async def all_wait(number, sleep):
            while waiting() < number:
                await sleep(0)
        """
    source = dedent(head) + dedent(PROGRAMS[program])
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@bridged
def test_a_paused_loop_does_not_stop_its_own_thread(
    loop: asyncio.AbstractEventLoop, kind: LockKind
) -> None:
    """Line 13 between two runs of a loop: nobody can run its tasks but we."""
    lock = make_lock(kind)
    acquire(lock)
    waits = Waits(loop, lock, 2)
    lock.release()
    until(lambda: granted(lock))
    use(lock)
    assert waits.section.count == 0
    loop.run_until_complete(asyncio.wait_for(asyncio.gather(*waits.tasks), PATIENCE))
    assert waits.section.count == 2
    assert_at_rest(lock)
