"""Conditions, where only a rare caller looks.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_condition, make_rlock
from interruptions import Interrupted

if TYPE_CHECKING:
    from anylock import LockKind


@pytest.mark.parametrize("kind", ["async", "process", "thread"])
def test_a_single_try_says_how_it_went(kind: LockKind) -> None:
    async def main() -> None:
        condition: Any = make_condition(kind)
        assert condition.try_acquire() is True
        assert condition.locked()
        condition.release()
        assert not condition.locked()

    asyncio.run(main())


def test_interrupted_while_a_thread_enters_the_lock_again() -> None:
    """It enters as often as is left, however often it is interrupted."""
    lock: Any = make_rlock("thread")
    condition: Any = make_condition("thread", lock)
    enter = lock.__enter__
    calls = 0

    def strike_now_and_then() -> bool:
        nonlocal calls
        calls += 1
        if calls in {2, 4}:
            raise Interrupted
        entered: bool = enter()
        return entered

    for _ in range(3):
        condition.acquire()
    lock._ways = SimpleNamespace(enter=strike_now_and_then)
    with pytest.raises(Interrupted):
        condition.wait(0)
    assert calls == 5
    for _ in range(3):
        condition.release()
    assert not condition.locked()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_closed_in_a_wait_it_leaves_as_often_as_it_entered(depth: int) -> None:
    async def main() -> None:
        condition: Any = make_condition("thread")
        held: list[bool] = []

        async def sit(levels: int) -> None:
            async with condition:
                try:
                    await (sit(levels - 1) if levels > 1 else condition.async_wait())
                finally:
                    held.append(condition.locked())

        sitting = sit(depth)
        sitting.send(None)
        sitting.close()
        assert held == [True] * depth
        assert not condition.locked()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_one_is_notified_unless_it_is_said_how_many(kind: LockKind) -> None:
    async def main() -> None:
        condition: Any = make_condition(kind)
        notified: list[int] = []
        condition._notices = SimpleNamespace(notify=notified.append)
        async with condition:
            condition.notify()
            condition.notify(3)
        assert notified == [1, 3]

    asyncio.run(main())


def test_a_condition_that_was_made_new_has_no_waiters() -> None:
    async def main() -> None:
        condition: Any = make_condition("thread")

        async def sit() -> None:
            async with condition:
                await condition.async_wait()

        sitting = sit()
        sitting.send(None)
        assert "1 waiting" in repr(condition)
        condition._at_fork_reinit()
        assert "0 waiting" in repr(condition)
        sitting.close()

    asyncio.run(main())
