"""What is no deadlock, or may not last, is not refused."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

from anylock import (
    debug,
    make_lock,
    make_rlock,
    make_rwlock,
    make_semaphore,
)
from backends import Backend, run
from debugged import all_joined, awaited, found, locks, take_both
from staging import PATIENCE, in_thread, until, until_in_task

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def test_a_wait_with_a_limit_is_reported_and_not_refused() -> None:
    one, other = locks(2)
    barrier = threading.Barrier(2)
    results: list[str] = []

    def patient() -> None:
        results.append(take_both(one, other, lambda: barrier.wait(PATIENCE)))

    def impatient() -> None:
        with other:
            barrier.wait(PATIENCE)
            until(lambda: awaited(other))
            assert not one.acquire(timeout=0.05)
            assert not one.acquire(timeout=0.01)  # reported once

    with all_joined(patient, impatient) as raised:
        pass
    assert not raised
    assert results == ["got"]
    (near,) = found("near deadlock")
    assert "a wait in it has a limit" in near.message
    assert set(near.locks) == {"'lock-0'", "'lock-1'"}
    assert not found("deadlock")


@pytest.mark.parametrize("limit", ["fail_after", "cancel", "timeout", "wait_for"])
def test_a_task_that_is_to_be_cancelled(limit: str, backend: Backend) -> None:
    """Whatever limits the wait of a task: who closes the cycle waits for its end."""
    one, other = locks(2)
    native = backend.library == "asyncio" and hasattr(asyncio, "timeout")
    if limit in {"timeout", "wait_for"} and not native:
        pytest.skip("of asyncio, since Python 3.11")

    async def wait() -> None:
        if limit == "fail_after":
            with anyio.move_on_after(0.1):
                await one.__aenter__()
        elif limit == "timeout":
            timeout: Any = vars(asyncio)["timeout"]
            with suppress(TimeoutError):
                async with timeout(0.1):
                    await one.__aenter__()
                    raise AssertionError("it was not over")
        elif limit == "wait_for":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(one.__aenter__(), 0.1)
        else:
            await one.__aenter__()

    async def main() -> None:
        async def hold_and_wait() -> None:
            async with other:
                await wait()

        async with one, anyio.create_task_group() as tasks:
            tasks.start_soon(hold_and_wait)
            await until_in_task(lambda: awaited(one))
            if limit == "cancel":
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await other.__aenter__()
            else:
                await other.__aenter__()
            await other.__aexit__(None, None, None)

    run(backend, main)
    assert not found("deadlock")
    if limit != "wait_for":  # up to Python 3.11 that waits in another task
        assert len(found("near deadlock")) == 1


def test_a_holder_that_releases_amid_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cycle was never there as a whole."""
    from anylock.debug import _graph
    from anylock.debug._actors import this_thread

    one, other = locks(2)
    released = threading.Event()
    waits_of: Any = _graph._waits_of

    def walk(actor: Any) -> Any:
        found = list(waits_of(actor))
        if actor is this_thread.actor and found:
            one.release()  # as if by a third party, in the middle of the walk
            released.set()
        return iter(found)

    def waits() -> None:
        with other:
            holds.wait(PATIENCE)
            one.acquire()

    def closes() -> None:
        one.acquire()
        holds.set()
        until(lambda: awaited(one))
        with other:
            pass

    holds = threading.Event()
    monkeypatch.setattr(_graph, "_waits_of", walk)
    with all_joined(waits, closes) as raised:
        pass
    assert released.is_set()
    assert not raised
    assert not found("deadlock", "near deadlock")
    one.release()


def test_what_one_acquires_another_may_release() -> None:
    """Who calls `acquire` need not be who releases: it is told, but not refused."""
    (lock,) = locks(1)

    def release() -> None:
        until(lambda: awaited(lock))
        lock.release()

    lock.acquire()
    with in_thread(release):
        lock.acquire()  # would be a deadlock, if it were ours to release
    (near,) = found("near deadlock")
    assert (
        "unless somebody releases what another has taken by acquire()" in near.message
    )
    assert lock.record.handed
    with in_thread(release):
        lock.acquire()
    assert len(debug.findings) == 1
    lock.release()
    assert lock.stats().owner is None


def test_a_pool_that_acquires_for_tasks() -> None:
    """Its threads wait for locks that they have acquired for others."""
    one, other = locks(2)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def task(first: Any, then: Any) -> None:
            for lock in (first, then):
                await loop.run_in_executor(pool, lock.acquire)
                await asyncio.sleep(0)
                lock.release()

        with ThreadPoolExecutor(2) as pool:
            await asyncio.gather(*(task(one, other) for _ in range(10)))

    asyncio.run(main())
    assert not found("deadlock")


def test_it_is_known_who_holds_a_re_entrant_lock() -> None:
    """However it was acquired, nobody else can release it."""
    one = make_rlock("thread", name="lock-0", debug=True)
    other = make_rlock("thread", name="lock-1", debug=True)
    barrier = threading.Barrier(2)
    results: list[str] = []

    def take(first: Any, then: Any) -> None:
        first.acquire()
        barrier.wait(PATIENCE)
        results.append(take_both(make_lock("thread"), then, lambda: None))
        first.release()

    with all_joined(partial(take, one, other), partial(take, other, one)) as raised:
        pass
    assert not raised
    assert sorted(result == "got" for result in results) == [False, True]


def test_a_semaphore_makes_no_claim() -> None:
    permits = make_semaphore("thread", 1, debug=True)
    with permits:

        def release() -> None:
            until(lambda: awaited(permits))
            permits.release()

        with in_thread(release):
            permits.acquire()
    assert not found("deadlock", "near deadlock")


def test_who_enters_again_does_not_wait() -> None:
    lock = make_rlock("thread", debug=True)
    with lock, lock:
        assert lock.record.owner is not None
        assert lock.record.owner.depth == 2
    assert lock.stats().acquisitions == 1
    assert not lock.locked()


def test_a_cycle_through_a_writer_and_readers() -> None:
    """A writer waits for all readers: one of them in a cycle is enough."""
    rwlock = make_rwlock("thread", debug=True)
    (lock,) = locks(1)
    refused: list[str] = []
    reads = threading.Event()

    def reader() -> None:
        with rwlock.read:
            reads.set()
            until(lambda: awaited(rwlock.write))
            refused.append(take_both(make_lock("thread"), lock, lambda: None))

    def harmless_reader() -> None:
        with rwlock.read:
            until(lambda: refused)

    def writer() -> None:
        with lock:
            assert reads.wait(PATIENCE)
            with rwlock.write:
                pass

    with all_joined(reader, harmless_reader, writer) as raised:
        pass
    assert not raised
    assert "waits for RWLock.write" in refused[0]


def test_waits_that_may_close_cycles_can_be_let_be() -> None:
    debug.settings.deadlocks = "warn"
    lock: Any = make_lock("thread", debug=True)

    def release() -> None:
        until(lambda: awaited(lock))
        lock.release()

    lock.__enter__()
    with in_thread(release), lock:
        assert found("deadlock")[0].message.startswith("this is a deadlock\n")
    lock.__enter__()
    debug.findings.clear()
    debug.settings.deadlocks = "off"
    lock.record.handed = False
    with in_thread(release), lock:
        pass
    assert not debug.findings


def test_a_limit_of_who_did_not_seem_to_have_to_wait() -> None:
    """Somebody may take a lock that looks free before it is tried."""
    one, other = locks(2)

    async def main() -> None:
        async def hold_and_wait() -> None:
            async with other:
                with anyio.move_on_after(0.1):
                    await one.__aenter__()

        async with one, anyio.create_task_group() as tasks:
            one.record.busy = bool
            tasks.start_soon(hold_and_wait)
            await until_in_task(lambda: awaited(one))
            async with other:
                pass

    asyncio.run(main())
    assert not found("deadlock")
    assert len(found("near deadlock")) == 1
