"""ThreadCondition: what it returns, what it refuses, and forks."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from anylock import (
    Condition,
    LockNotHeldError,
    LockTimeout,
    ThreadCondition,
    WouldDeadlock,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from backends import Backend, run
from children import in_child
from conditions import MAKERS, assert_at_rest, notified, waiting
from staging import PATIENCE, all_done, in_thread, until_in_task


@pytest.fixture(params=MAKERS)
def condition(request: pytest.FixtureRequest) -> ThreadCondition:
    return MAKERS[request.param]()


# What waiting returns, and that the lock is held again


def test_time_is_over_for_a_thread(condition: ThreadCondition) -> None:
    for timeout in (0, -1, 0.001, 1e-9):
        with condition:
            assert condition.wait(timeout) is False
            assert condition.locked()
            with in_thread(lambda: condition.try_acquire() and pytest.fail("free")):
                pass
        assert_at_rest(condition)


def test_time_is_over_for_a_task(backend: Backend, condition: ThreadCondition) -> None:
    async def main() -> None:
        for timeout in (0, 0.001, 1e-9):
            async with condition:
                assert await condition.async_wait(timeout) is False
                assert condition.locked()
                assert not await anyio.to_thread.run_sync(condition.try_acquire)
        async with condition:
            for wrong in (-1, float("nan")):
                with pytest.raises(ValueError, match="negative or NaN"):
                    await condition.async_wait(wrong)
                with pytest.raises(ValueError, match="negative or NaN"):
                    await condition.async_wait_for(bool, wrong)
            with pytest.raises(TypeError, match="number of seconds"):
                await condition.async_wait("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    run(backend, main)
    assert_at_rest(condition)


class Recorded(ThreadCondition):
    """Waits no time, but notes for how long it should."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self.now += 1.0
        return True

    async def async_wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as in the base
        return self.wait(timeout)


@pytest.mark.parametrize(
    ("timeout", "waits", "found"),
    [
        (None, [None] * 4, "done"),
        (2.5, [2.5, 1.5, 0.5], ""),
        (0, [], ""),
        (-1, [], ""),
    ],
)
def test_wait_for_in_time(
    timeout: float | None,
    waits: list[float | None],
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    condition = Recorded()
    monkeypatch.setattr("anylock._thread.condition.monotonic", lambda: condition.now)

    def predicate() -> str:
        return "done" if len(condition.waits) == 4 else ""

    with condition:
        result = condition.wait_for(predicate, timeout)
    assert (condition.waits, result) == (waits, found)
    if timeout == -1:
        return
    condition.waits.clear()

    async def main() -> str:
        async with condition:
            return await condition.async_wait_for(predicate, timeout)

    assert anyio.run(main) == found
    assert condition.waits == waits


def test_wait_for_needs_no_notification(
    backend: Backend, condition: ThreadCondition
) -> None:
    async def main() -> None:
        async with condition:
            assert await condition.async_wait_for(lambda: "yes") == "yes"
            with pytest.raises(ZeroDivisionError):
                await condition.async_wait_for(lambda: 1 // 0)

    run(backend, main)
    with condition:
        assert condition.wait_for(lambda: "yes", 0) == "yes"
        with pytest.raises(ZeroDivisionError):
            condition.wait_for(lambda: 1 // 0)
    assert_at_rest(condition)


def test_hold(backend: Backend, condition: ThreadCondition) -> None:
    async def main() -> None:
        async with condition.hold(PATIENCE) as held:
            assert held is condition
            assert not await held.async_wait(0)
        with condition, pytest.raises(LockTimeout):
            await anyio.to_thread.run_sync(condition.hold(0).__enter__)

    run(backend, main)
    with condition.hold(0) as held:
        assert not held.wait(0)
    assert_at_rest(condition)


# What it refuses


def test_nothing_without_the_lock(backend: Backend, condition: ThreadCondition) -> None:
    refused = partial(pytest.raises, LockNotHeldError, match="'news' is not held")

    def check() -> None:
        for call in (
            condition.wait,
            lambda: condition.wait(0),
            lambda: condition.wait_for(bool),
            condition.notify,
            condition.notify_all,
        ):
            with refused():
                call()

    async def main() -> None:
        check()
        with refused():
            await condition.async_wait()
        with refused():
            await condition.async_wait_for(bool)

    check()
    run(backend, main)
    assert_at_rest(condition)


def test_sync_wait_where_a_task_holds_it(
    backend: Backend, condition: ThreadCondition
) -> None:
    async def main() -> None:
        async with condition:
            with pytest.raises(WouldDeadlock, match="await async_wait") as info:
                condition.wait(1)
            assert info.value.lock_name == "news"
            with pytest.raises(WouldDeadlock):
                condition.wait_for(bool)
            assert condition.locked()

    run(backend, main)
    assert_at_rest(condition)


def test_a_thread_does_not_have_what_a_task_has(
    backend: Backend, condition: ThreadCondition
) -> None:
    def wait() -> None:
        with pytest.raises(LockNotHeldError):
            condition.wait(0)

    async def main() -> None:
        async with condition:
            await anyio.to_thread.run_sync(wait)
            assert condition.locked()

    run(backend, main)
    assert_at_rest(condition)


def test_async_wait_where_the_thread_holds_it(
    backend: Backend, condition: ThreadCondition
) -> None:
    async def main() -> None:
        with condition:
            with pytest.raises(LockNotHeldError):
                await condition.async_wait(1)
            with pytest.raises(LockNotHeldError):
                await condition.async_wait_for(bool)
            assert condition.locked()

    run(backend, main)
    assert_at_rest(condition)


def test_another_task_does_not_have_a_re_entrant_lock(backend: Backend) -> None:
    condition = make_condition("thread")

    async def other() -> None:
        with pytest.raises(LockNotHeldError):
            await condition.async_wait()
        for call in (condition.wait, condition.notify, condition.notify_all):
            with pytest.raises(LockNotHeldError):
                call()

    async def main() -> None:
        async with condition:
            await all_done(other)

    run(backend, main)
    assert_at_rest(condition)


@pytest.mark.parametrize(
    "lock",
    [
        make_lock("async"),
        make_rlock("process"),
        make_semaphore("thread"),
        make_condition("thread"),
        "lock",
    ],
    ids=lambda lock: type(lock).__name__,
)
def test_wrong_locks(lock: Any) -> None:
    message = r"make_lock\('thread'\) or make_rlock\('thread'\), not "
    with pytest.raises(TypeError, match=message):
        make_condition("thread", lock)


def test_it_stays_in_its_process(condition: ThreadCondition) -> None:
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make_condition\\('process'\\)"):
            copied(condition)


def test_what_it_is() -> None:
    condition = make_condition("thread", name="news")
    assert isinstance(condition, Condition)
    assert (condition.kind, condition.name) == ("thread", "news")
    assert repr(condition).startswith("<unlocked anylock.ThreadCondition object name=")
    with condition:
        assert repr(condition).startswith("<locked anylock.ThreadCondition object ")
        assert repr(condition).endswith(", 0 waiting>")
    with notified(condition), condition:
        seen = weakref.ref(condition)
        condition.wait()
    assert "name" not in repr(make_condition("thread"))
    condition = make_condition("thread")
    gc.collect()
    assert seen() is None


# Forks


def test_nobody_waits_in_a_child(backend: Backend, condition: ThreadCondition) -> None:
    """Or else who waits there would miss what those of the parent get."""

    def child() -> None:
        assert waiting(condition) == 0
        with notified(condition), condition:
            assert condition.wait(PATIENCE)
        assert_at_rest(condition)

    def wait() -> None:
        with condition:
            assert condition.wait(PATIENCE)

    async def wait_in_task() -> None:
        async with condition:
            assert await condition.async_wait(PATIENCE)

    async def fork() -> None:
        # Who is about to wait still has the lock when it is known to wait.
        await until_in_task(lambda: waiting(condition) == 2 and not condition.locked())
        in_child(child)
        async with condition:
            condition.notify_all()

    with in_thread(wait):
        run(backend, all_done, wait_in_task, fork)
    assert_at_rest(condition)


def test_a_child_begins_anew() -> None:
    condition = make_condition("thread")

    def child() -> None:
        assert condition.locked()
        condition._at_fork_reinit()
        assert_at_rest(condition)

    def hold_and_fork() -> None:
        with condition:
            in_child(condition.release)  # it is its own there
            with in_thread(lambda: in_child(child)):
                pass

    hold_and_fork()
    assert_at_rest(condition)
