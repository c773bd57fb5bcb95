"""The order in which locks are taken is learnt, and told when it is inverted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from anylock import (
    debug,
    make_condition,
    make_lock,
    make_rlock,
    make_rwlock,
    make_semaphore,
)
from backends import Backend, run
from debugged import found
from staging import in_thread

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def three() -> tuple[Any, Any, Any]:
    """Return locks of three sites."""
    one = make_lock("thread", name="one", debug=True)
    two = make_lock("thread", name="two", debug=True)
    return one, two, make_lock("thread", name="three", debug=True)


def take(first: Any, then: Any) -> None:
    with first, then:
        pass


def test_both_orders_are_told_once_with_both_pairs_of_stacks() -> None:
    one, two, _ = three()
    for _ in range(3):
        take(one, two)
    assert not debug.findings
    with in_thread(lambda: take(two, one)):  # nothing hangs
        pass
    take(two, one)
    (finding,) = debug.findings
    assert finding.kind == "order"
    assert set(finding.locks) == {"'one'", "'two'"}
    message = finding.message
    assert message.count("with first, then") == 4
    assert message.count("in take") == 4
    assert "thread 'MainThread' took 'one', made at" in message
    assert "and then 'two', made at" in message
    assert message.count("\nbut\n") == 1
    assert {edge.first.name for edge in debug.edges()} == {"one", "two"}


def test_it_is_a_warning() -> None:
    debug.settings.warn = True
    one, two, _ = three()
    take(one, two)
    with pytest.warns(debug.LockOrderWarning, match="opposite orders") as caught:
        take(two, one)
    assert caught[0].filename == __file__
    assert not one.locked()
    assert not two.locked()


def test_a_warning_that_is_an_error_leaves_nothing_locked() -> None:
    debug.settings.warn = True
    one, two, _ = three()
    take(one, two)
    with pytest.raises(debug.LockOrderWarning):  # as pytest is set up here
        take(two, one)
    assert not one.locked()
    assert not two.locked()


def test_where_it_is_an_error_it_is_one_each_time() -> None:
    debug.settings.order = "raise"
    one, two, _ = three()
    take(one, two)
    for _ in range(2):
        with pytest.raises(debug.LockOrderInverted, match="opposite orders"):
            take(two, one)
        assert not one.locked()
        assert not two.locked()
    take(one, two)
    assert {each.kind for each in debug.findings} == {"order"}


def test_three_that_go_round() -> None:
    one, two, three_ = three()
    take(one, two)
    take(two, three_)
    assert not debug.findings
    take(three_, one)
    (finding,) = debug.findings
    assert set(finding.locks) == {"'one'", "'two'", "'three'"}
    assert finding.message.count("\nbut\n") == 2


def test_a_way_round_that_is_no_circle() -> None:
    one, two, three_ = three()
    take(one, two)
    take(one, three_)
    take(two, three_)
    with one, two, three_:
        pass
    assert not debug.findings


def test_locks_of_one_site_have_no_order() -> None:
    one, other = (make_lock("thread", debug=True) for _ in range(2))
    take(one, other)
    take(other, one)
    assert not debug.findings


def test_who_does_not_wait_or_not_for_ever_makes_no_order() -> None:
    one, two, _ = three()
    take(one, two)
    with two:
        assert one.try_acquire()
        one.release()
        assert one.acquire(timeout=1)
        one.release()
        assert one.acquire(False)
        one.release()
        with one.hold(1):
            pass
    assert not debug.findings


def test_what_was_tried_is_held_when_the_next_is_taken() -> None:
    one, two, _ = three()
    assert one.try_acquire()
    with two:
        pass
    one.release()
    take(two, one)
    assert len(found("order")) == 1


def test_to_enter_again_is_no_order() -> None:
    one = make_rlock("thread", debug=True)
    two = make_rlock("thread", debug=True)
    with one, two, one:
        pass
    assert not debug.findings


def test_semaphores_have_no_order() -> None:
    permits = make_semaphore("thread", 2, debug=True)
    one, _, _ = three()
    take(permits, one)
    take(one, permits)
    assert not debug.findings


def test_readers_keep_no_readers_waiting() -> None:
    one = make_rwlock("thread", debug=True)
    two = make_rwlock("thread", debug=True)
    take(one.read, two.read)
    take(two.read, one.read)
    assert not debug.findings
    take(two.write, one.read)
    assert len(found("order")) == 1


def test_a_lock_that_others_release_has_no_order() -> None:
    one, two, _ = three()
    take(one, two)
    two.acquire()
    with in_thread(two.release):
        pass
    take(two, one)
    assert not debug.findings


def test_a_condition_takes_its_lock_again_after_what_is_held() -> None:
    """Who waits while it holds something else does take its lock in the other order."""
    condition = make_condition("thread", debug=True)
    other = make_lock("thread", debug=True)
    with condition, other:
        assert not condition.wait(0)
    assert len(found("order")) == 1


@pytest.mark.parametrize("native", [False, True])
def test_who_was_notified_gets_its_lock_in_any_order(native: bool) -> None:  # noqa: FBT001
    debug.settings.order = "raise"
    debug.settings.warn = True
    condition: Any = make_condition("thread", debug=True)
    if native:
        condition = threading.Condition(condition._lock)
    other = make_lock("thread", debug=True)
    with condition, other:
        assert not condition.wait(0)
    assert len(found("order")) == 1
    assert not condition._lock.locked()


def test_so_does_a_task(backend: Backend) -> None:
    debug.settings.order = "raise"
    condition: Any = make_condition("async", debug=True)
    other = make_lock("async", debug=True)

    async def main() -> None:
        async with condition, other:
            assert not await condition.wait(0)

    run(backend, main)
    assert len(found("order")) == 1


def test_tasks_learn_too(backend: Backend) -> None:
    one, two, _ = three()

    async def main() -> None:
        async with one, two:
            pass
        async with two, one:
            pass

    run(backend, main)
    assert len(found("order")) == 1


def test_tasks_of_one_thread_hold_each_its_own() -> None:
    one, two, _ = three()

    async def hold_and_take(first: Any, then: Any, holding: asyncio.Event) -> None:
        async with first:
            holding.set()
            await asyncio.sleep(0)
        async with then:
            pass

    async def main() -> None:
        holding = asyncio.Event(), asyncio.Event()
        await asyncio.gather(
            hold_and_take(one, two, holding[0]), hold_and_take(two, one, holding[1])
        )

    asyncio.run(main())
    assert not debug.findings


def test_it_can_be_off() -> None:
    debug.settings.order = "off"
    one, two, _ = three()
    take(one, two)
    take(two, one)
    assert not debug.findings
    assert not debug.edges()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", "normal"), ("0", "normal"), ("1", "warn"), ("strict", "raise")],
)
def test_the_environment_says_it_all(
    value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYLOCK_DEBUG", value)
    program = """
import sys, anylock
lock = anylock.make_lock("thread")
assert type(anylock.make_lock("thread", debug=False)) is anylock.ThreadLock
assert isinstance(lock, anylock.ThreadLock)
if "anylock.debug" in sys.modules:
    assert lock.stats().acquisitions == 0
    print(anylock.debug.settings.order)
else:
    print("normal")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
