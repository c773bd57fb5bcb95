"""What a debug lock records: owner, waiters, counts, events; what lasts too long."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import (
    LockTimeout,
    debug,
    make_lock,
    make_semaphore,
)
from backends import Backend, run
from debugged import (
    all_joined,
    awaited,
    found,
    happened,
    watched,
)
from staging import PATIENCE, in_thread, until, until_in_task

if TYPE_CHECKING:
    from anylock import LockKind

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def debugged(kind: LockKind) -> Any:
    return make_lock(kind, name="cache", debug=True)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_the_owner_is_told_with_its_stack_and_label(debugged: Any) -> None:
    assert debugged.stats().owner is None

    def hold() -> None:
        with debug.label("refresh:42"), debugged:
            holds.set()
            leave.wait(PATIENCE)

    holds, leave = threading.Event(), threading.Event()
    with all_joined(hold):
        assert holds.wait(PATIENCE)
        stats = debugged.stats()
        leave.set()
    owner = stats.owner
    assert owner is not None
    assert (owner.kind, owner.name, owner.label) == ("thread", "hold", "refresh:42")
    assert str(owner) == "thread 'hold' [refresh:42]"
    assert owner.seconds >= 0
    frames = list(owner.stack)
    assert (frames[-1].filename, frames[-1].name) == (__file__, "hold")
    assert frames[-1].line == 'with debug.label("refresh:42"), debugged:'
    assert "in hold" in str(owner.stack)
    assert stats.holders == (owner,)
    assert debugged.stats().owner is None
    with pytest.raises(FrozenInstanceError):
        stats.acquisitions = 3


def test_a_task_is_told_by_its_name(debugged: Any, backend: Backend) -> None:
    async def main() -> None:
        async def hold() -> None:
            with debug.label("outer"), debug.label("inner"):
                async with debugged:
                    owners.append(debugged.stats().owner)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, name="the task")

    owners: list[debug.Who] = []
    run(backend, main)
    (owner,) = owners
    assert (owner.kind, owner.name, owner.label) == ("task", "the task", "inner")
    assert list(owner.stack)[-1].name == "hold"


def test_labels_end() -> None:
    label = debug.label("one")
    lock = make_lock("thread", debug=True)
    with label, label, debug.label("two"), label:
        pass
    with lock:
        owner = lock.stats().owner
        assert owner is not None
        assert owner.label is None


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_waiters_and_counts(debugged: Any) -> None:
    def wait() -> None:
        with debugged:
            pass

    debugged.acquire()
    with watched() as events, all_joined(wait, wait) as raised:
        until(lambda: awaited(debugged, 2))
        waiters = debugged.stats().waiters
        assert not debugged.try_acquire()
        debugged.release()
    assert not raised
    assert [str(waiter) for waiter in waiters] == ["thread 'wait'"] * 2
    assert list(waiters[0].stack)[-1].line == "with debugged:"
    stats = debugged.stats()
    assert stats.acquisitions == 3
    assert stats.contended == 2
    assert stats.timeouts == stats.cancellations == 0
    assert 0 < stats.max_wait <= stats.total_wait
    assert 0 < stats.max_hold <= stats.total_hold
    assert not stats.waiters
    what = happened(events, debugged)
    assert sorted(what) == sorted(["got", "released"] * 3 + ["waits"] * 2)[1:]
    assert what[:3] == ["waits", "waits", "released"]
    inside = 1
    for each in what:
        inside += {"got": 1, "released": -1}.get(each, 0)
        assert inside in {0, 1}
    assert all(event.seconds > 0 for event in events if event.what == "released")
    last = events[-1]
    assert last.lock is debugged.record
    assert str(last.actor) == "thread 'wait', which has ended"
    assert debug.Stack(last.stack).place.endswith("in wait")
    assert repr(last.lock).startswith(f"<record of {debugged.kind} Lock 'cache'")


def test_time_outs_are_counted(debugged: Any, backend: Backend) -> None:
    async def main() -> None:
        async with debugged:

            async def others() -> None:
                with pytest.raises(LockTimeout):
                    async with debugged.hold(0.001):
                        pass
                with pytest.raises(LockTimeout):
                    async with debugged.hold(0):
                        pass
                assert not debugged.try_acquire()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(others)

    with watched() as events:
        run(backend, main)
    stats = debugged.stats()
    assert (stats.timeouts, stats.contended, stats.acquisitions) == (1, 1, 1)
    assert happened(events) == ["got", "waits", "timed out", "released"]


def test_time_outs_of_threads_are_counted() -> None:
    lock = make_lock("thread", debug=True)
    with lock:

        def others() -> None:
            assert not lock.acquire(timeout=0.001)
            assert not lock.acquire(False)
            with pytest.raises(LockTimeout), lock.hold(0.001):
                pass

        with watched() as events, in_thread(others):
            pass
    assert lock.stats().timeouts == 2
    assert happened(events) == ["waits", "timed out"] * 2


def test_cancelled_waits_are_counted(debugged: Any, backend: Backend) -> None:
    async def main() -> None:
        async with debugged, anyio.create_task_group() as tasks:
            tasks.start_soon(debugged.__aenter__)
            await until_in_task(lambda: awaited(debugged))
            tasks.cancel_scope.cancel()
        assert debugged.try_acquire()
        debugged.release()

    with watched() as events:
        run(backend, main)
    assert debugged.stats().cancellations == 1
    assert happened(events)[:4] == ["got", "waits", "cancelled", "released"]
    assert not debugged.record.waits


def test_what_is_refused_is_told(backend: Backend) -> None:
    lock = make_lock("async", debug=True)

    async def main() -> None:
        async with lock:
            with pytest.raises(RuntimeError):
                await lock.acquire()

    with watched() as events:
        run(backend, main)
    assert happened(events) == ["got", "waits", "refused", "released"]
    assert lock.stats().contended == 1


def test_permits_of_several(kind: LockKind, backend: Backend) -> None:
    permits: Any = make_semaphore(kind, 2, name="permits", debug=True)

    async def main() -> None:
        async with permits, permits:
            assert len(permits.stats().holders) == 2
            assert not permits.try_acquire()
        permits.release(1)  # one more
        assert await anyio.to_thread.run_sync(bool) is False

    run(backend, main)
    stats = permits.stats()
    assert (stats.acquisitions, stats.holders) == (2, ())


def test_permits_that_threads_take_and_others_give_back() -> None:
    permits = make_semaphore("thread", 2, debug=True)
    with in_thread(permits.acquire):
        pass
    assert permits.acquire(timeout=1)
    assert len(permits.stats().holders) == 2
    permits.release(2)
    assert not permits.stats().holders
    assert not permits.record.handed


def test_counts_are_right_under_threads_and_tasks() -> None:
    lock = make_lock("thread", debug=True)
    permits = make_semaphore("thread", 3, debug=True)
    each = 200

    def thread() -> None:
        for _ in range(each):
            with lock, permits:
                pass

    async def task() -> None:
        for _ in range(each):
            async with permits:
                await asyncio.sleep(0)
            async with lock:
                await asyncio.sleep(0)

    async def tasks() -> None:
        await asyncio.gather(task(), task())

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with all_joined(thread, thread, lambda: asyncio.run(tasks())) as raised:
            pass
    finally:
        sys.setswitchinterval(before)
    assert not raised
    for stats in lock.stats(), permits.stats():
        assert stats.acquisitions == 4 * each
        assert not stats.holders
        assert not stats.waiters
    assert not debug.findings


# What lasts too long.


def test_a_loop_that_is_stopped() -> None:
    debug.settings.blocked_loop = 0.0
    lock = make_lock("thread", name="slow", debug=True)

    def hold() -> None:
        with lock:
            holds.set()
            until(lambda: awaited(lock))

    async def main() -> None:
        with lock:
            pass

    holds = threading.Event()
    with in_thread(hold):
        assert holds.wait(PATIENCE)
        asyncio.run(main())
    (finding,) = found("blocked loop")
    assert "stopped an event loop for" in finding.message
    assert "held when it began by thread" in finding.message
    assert "in hold" in finding.message
    debug.findings.clear()
    debug.settings.blocked_loop = None
    holds.clear()
    with in_thread(hold):
        assert holds.wait(PATIENCE)
        asyncio.run(main())
    assert not debug.findings


def test_a_warning_of_that_is_an_error() -> None:
    debug.settings.blocked_loop = 0.0
    debug.settings.warn = True
    lock = make_lock("thread", debug=True)

    def hold() -> None:
        with lock:
            holds.set()
            until(lambda: awaited(lock))

    async def main() -> None:
        with pytest.raises(debug.LoopBlockedWarning), lock:
            pass
        assert not lock.locked()

    holds = threading.Event()
    with in_thread(hold):
        assert holds.wait(PATIENCE)
        asyncio.run(main())
    assert not lock.record.holds


def test_a_lock_that_is_held_too_long(backend: Backend) -> None:
    lock = make_lock("thread", name="slow", debug=True)
    debug.settings.long_hold = PATIENCE
    with lock:
        pass
    assert not debug.findings
    debug.settings.long_hold = 0.0
    with lock:
        pass

    async def main() -> None:
        async with lock:
            pass

    run(backend, main)
    assert [each.kind for each in debug.findings] == ["long hold"] * 2
    assert "held 'slow' for" in debug.findings[0].message
    debug.settings.warn = True
    lock.acquire()
    with pytest.warns(debug.LongHoldWarning):
        lock.release()


# Who listens.


def test_an_error_of_a_listener_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []

    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    stop = debug.listen(fail, fail)
    debug.settings.long_hold = 0.0
    lock = make_lock("thread", debug=True)
    with lock:
        pass
    stop()
    with lock:
        pass
    assert [each.exc_type for each in raised] == [ZeroDivisionError] * 3
    assert not lock.locked()


def test_findings_can_be_listened_to() -> None:
    told: list[debug.Finding] = []
    debug.settings.long_hold = 0.0
    stop = debug.listen(findings=told.append)
    with make_lock("thread", debug=True):
        pass
    stop()
    assert told == list(debug.findings)


# Where it was made.


def test_the_site() -> None:
    lock = make_lock("thread", debug=True)
    site = lock.record.site
    assert (site.file, site.function) == (__file__, "test_the_site")
    assert site.module == __name__
    assert site.source == 'lock = make_lock("thread", debug=True)'
    assert str(lock.record) == f"Lock number {lock.record.number} of {site}"
    assert lock.record in debug.known()
    debug.settings.hidden = (__file__,)
    assert make_lock("thread", debug=True).record.site.file != __file__


def test_a_lock_that_is_gone_is_not_known() -> None:
    lock = make_lock("thread", debug=True)
    number = lock.record.number
    del lock
    assert number not in [record.number for record in debug.known()]
