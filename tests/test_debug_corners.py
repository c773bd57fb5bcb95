"""Debug locks where little is known, or much happens at once."""

from __future__ import annotations

import _thread
import asyncio
import multiprocessing
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import (
    ThreadLock,
    debug,
    make_condition,
    make_lock,
    make_rlock,
    make_rwlock,
)
from anylock.debug import _ways
from anylock.debug._actors import Actor, here, this_thread
from backends import Backend, run
from debugged import all_joined, awaited, condition_of, lock_of, watched
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


# Actors.


def test_a_thread_that_threading_does_not_know() -> None:
    lock = make_lock("thread", debug=True)
    holds = threading.Event()

    def hold() -> None:
        lock.acquire()
        holds.set()

    ident = _thread.start_new_thread(hold, ())
    assert holds.wait(PATIENCE)
    owner = lock.stats().owner
    assert owner is not None
    assert owner.name == f"thread {ident}"
    assert lock.record.owner is not None
    actor = lock.record.owner.actor
    assert not actor.ended
    assert repr(actor) == f"<thread {owner.name!r} #{actor.number}>"
    lock.release()


def test_a_thread_that_threading_knows_only_later() -> None:
    actor = Actor("thread", None)
    assert actor.name == threading.current_thread().name
    assert not actor.ended


def test_a_task_is_one_actor_as_long_as_it_lives(backend: Backend) -> None:
    async def main() -> None:
        actors.append(here())
        assert here() is actors[0]
        assert not actors[0].ended
        assert actors[0] is not this_thread.actor

    actors: list[Actor] = []
    run(backend, main)
    assert actors[0].ended
    assert actors[0].name


# Stacks.


def test_stacks_of_which_little_is_known() -> None:
    assert debug.Stack(()).place == "an unknown place"
    code = test_stacks_of_which_little_is_known.__code__
    (frame,) = debug.Stack(((code, 1_000_000),))
    assert frame.lineno == code.co_firstlineno
    ours = make_lock.__code__
    assert [each.name for each in debug.Stack(((ours, 0),))] == ["make_lock"]


# Locks that are refused, or given up.


def test_who_may_not_leave_leaves_nothing() -> None:
    lock: Any = make_rlock("thread", debug=True)
    condition = threading.Condition(lock)

    def leave() -> None:
        for way in (
            lambda: lock.__exit__(None, None, None),
            lock._release_save,
            condition.notify,
        ):
            with pytest.raises(RuntimeError):
                way()

    with lock, lock, in_thread(leave):
        pass
    with pytest.raises(RuntimeError):
        lock._release_save()
    assert not lock.record.holds
    with lock:
        with pytest.raises(ValueError, match=r"negative|positive"):
            lock.acquire(True, -2)
        assert lock.record.owner.depth == 1


def test_tasks_that_may_not_leave(backend: Backend) -> None:
    lock = make_rlock("async", debug=True)

    async def main() -> None:
        async with lock:
            assert lock.record.owner is not None
            with pytest.raises(RuntimeError):
                await in_other_task(lock)
            assert lock.record.owner is not None
        assert lock.record.owner is None

    run(backend, main)


async def in_other_task(lock: Any) -> None:
    import anyio

    raised: list[BaseException] = []

    async def leave() -> None:
        try:
            await lock.__aexit__(None, None, None)
        except RuntimeError as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
    raise raised[0]


def test_a_task_that_holds_it_as_a_thread(backend: Backend) -> None:
    """It does not get it as a task, and has not entered it once more."""
    lock = make_rlock("thread", debug=True)

    async def main() -> None:
        with lock:
            assert not await lock._enter_task_within(0.001)
            assert lock.record.owner is not None
            assert lock.record.owner.depth == 1

    run(backend, main)
    until(lambda: not lock.locked())  # a helper may have it for a moment


def test_a_try_that_is_cancelled(trio: Any) -> None:
    """It was no wait, and is not told as one."""
    lock = make_lock("async", debug=True)

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with lock.hold(0):
                raise AssertionError("it was not cancelled")

    with watched() as events:
        trio.run(main)
    assert not events
    assert lock.stats().cancellations == 0


def test_another_task_of_the_thread_that_holds_it() -> None:
    lock = make_rlock("thread", debug=True)

    async def main() -> None:
        async def again() -> None:
            with lock:
                assert lock.record.owner is not None
                assert lock.record.owner.depth == 2

        with lock:
            await asyncio.create_task(again())
            assert lock.record.owner is not None
            assert lock.record.owner.depth == 1

    asyncio.run(main())
    assert not lock.record.holds


def test_a_task_that_is_closed_while_it_waits_to_be_notified() -> None:
    lock: Any = make_lock("async", debug=True)
    condition = condition_of("async", lock)

    async def main() -> None:
        await lock.acquire()
        waiting = condition.wait()
        waiting.send(None)
        assert not lock.locked()
        waiting.close()
        lock.release()
        assert not lock.locked()
        assert not condition.record.waits

    asyncio.run(main())


@pytest.mark.parametrize("lock_kind", ["async", "thread"])
def test_a_failure_of_ours_loses_no_lock(
    lock_kind: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = lock_of(lock_kind)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    async def main() -> None:
        for name in "_note", "Hold":
            with monkeypatch.context() as patch:
                patch.setattr(_ways, name, fail)
                with pytest.raises(MemoryError):
                    await lock.__aenter__()
            assert not lock.locked()
            assert not lock.record.holds
        async with lock:
            pass

    run(backend, main)


# Graphs with nothing wrong in them.


def test_a_holder_that_waits_to_be_notified() -> None:
    """Anybody may notify: no cycle, however the waits go round."""
    lock = make_lock("thread", debug=True)
    condition = make_condition("thread", debug=True)

    def hold() -> None:
        with lock, condition:
            assert condition.wait(PATIENCE)

    with all_joined(hold) as raised:
        until(lambda: condition.record.waits)

        def notify() -> None:
            until(lambda: awaited(lock))
            with condition:
                condition.notify()

        with in_thread(notify), lock:
            pass
    assert not raised
    assert not debug.findings


def test_a_reader_that_reads_twice() -> None:
    rwlock = make_rwlock("thread", debug=True)
    lock = make_lock("thread", debug=True)
    reads = threading.Event()

    def read() -> None:
        with rwlock.read, rwlock.read:
            reads.set()
            with lock:
                pass

    def write() -> None:
        assert reads.wait(PATIENCE)
        until(lambda: awaited(lock))
        with rwlock.write:
            pass

    lock.acquire()
    with all_joined(read, write) as raised:
        until(lambda: awaited(rwlock.write))
        assert len(rwlock.write.stats().waiters) == 1
        lock.release()
    assert not raised
    assert not debug.findings


def test_a_holder_that_is_no_more(backend: Backend) -> None:
    lock = make_lock("thread", debug=True)

    async def main() -> None:
        await lock.__aenter__()

    run(backend, main)
    assert lock.record.owner is not None
    assert lock.record.owner.actor.ended
    assert not lock.acquire(timeout=0.001)
    lock.record.owner.actor._subject = lambda: None  # it was collected
    assert not lock.acquire(timeout=0.001)
    assert not debug.findings
    lock.release()


def test_many_ways_lead_to_the_same_lock() -> None:
    locks: list[Any] = [
        make_lock("thread", name="a", debug=True),
        make_lock("thread", name="b", debug=True),
        make_lock("thread", name="c", debug=True),
        make_lock("thread", name="d", debug=True),
        make_lock("thread", name="e", debug=True),
    ]
    a, b, c, d, e = locks
    for first, then in [(a, b), (a, c), (b, d), (c, d), (e, a)]:
        with first, then:
            pass
    assert not debug.findings
    with d, e:
        pass
    assert len(debug.findings) == 1
    assert len(debug.edges()) == 6


def test_a_task_without_an_event_loop() -> None:
    """The lock inside says so, whatever else is imported."""
    lock: Any = make_lock("async", debug=True)
    with lock_of("thread"):
        lock.acquire().close()
        assert lock.try_acquire()
        with pytest.raises(RuntimeError, match="needs a running event loop"):
            lock.acquire().send(None)
    lock.release()


# Locks that travel.


def test_read_write_locks_that_travel(tmp_path: Path) -> None:
    rwlock = make_rwlock("machine", path=tmp_path / "lock", debug=True)
    other = pickle.loads(pickle.dumps(rwlock))  # noqa: S301 - ours
    assert type(other) is type(rwlock)
    side = pickle.loads(pickle.dumps(rwlock.write))  # noqa: S301
    with rwlock.write as entered:
        assert entered is rwlock.write
        assert side.record is other.write.record is rwlock.write.record
        assert side.stats().owner is not None
    with rwlock.read:
        assert other.read.stats().owner is not None
    assert other.read.stats().owner is None
    lock = make_lock("machine", path=tmp_path / "lock", debug=True)
    assert lock.stats().owner is None


@pytest.mark.skipif(sys.platform == "win32", reason="it takes long there")
def test_a_condition_that_travels() -> None:
    context = multiprocessing.get_context("spawn")
    condition = make_condition("process", context=context, debug=True)
    with condition:
        child = context.Process(target=notify_in_child, args=(condition,))
        child.start()
        assert condition.wait(6 * PATIENCE)
    child.join()
    assert child.exitcode == 0


def notify_in_child(condition: Any) -> None:
    with condition:
        assert condition.stats().owner is not None
        condition.notify()


def test_locks_that_do_not_travel() -> None:
    for made in (
        make_lock("thread", debug=True),
        make_lock("async", debug=True),
        make_rwlock("thread", debug=True).read,
    ):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(made)


def test_native_ways_of_a_process_lock() -> None:
    lock = make_lock("process", debug=True)
    assert lock.acquire(True, 1.0)
    assert not lock.acquire(False)
    assert not lock.acquire(blocking=False)
    lock.release()


def test_protocols() -> None:
    """They are there for type checkers, and can be imported."""
    from anylock.debug import _protocols

    lock: _protocols.DebugLock = make_lock("thread", debug=True)
    telling: _protocols.Telling = lock
    assert telling.stats().acquisitions == 0


def test_all_that_is_made_from_now_on() -> None:
    before = debug.enable()
    try:
        lock: Any = make_lock("thread")
        assert isinstance(lock.stats(), debug.Stats)
        assert type(make_lock("thread", debug=False)) is ThreadLock
        assert debug.enable(False)
        assert type(make_lock("thread")) is ThreadLock
    finally:
        debug.enable(before)
