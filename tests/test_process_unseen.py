"""The kind "process": clocks, and the end of a process, which few callers meet.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from multiprocessing import synchronize, util
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_condition, make_lock, make_rlock, make_semaphore
from anylock._process import base
from interruptions import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import ProcessCondition

family = pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])


def test_whatever_is_true_lets_a_task_enter_again() -> None:
    """The C method takes that since Python 3.12; the task must not get past it."""

    async def main() -> None:
        rlock: Any = make_rlock("process")
        async with rlock:
            if sys.version_info < (3, 12):
                with pytest.raises(TypeError):
                    rlock.acquire("yes")
            else:
                assert rlock.acquire("yes")
                assert rlock._bridge.depth == 1
                rlock.release()
        assert not rlock.locked()

    asyncio.run(main())


def test_a_wait_that_ends_too_early_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is taken up until the time is over, neither shorter nor longer."""
    lock: Any = make_lock("process")
    waited: list[float] = []

    def give_up(_block: object, seconds: float) -> bool:
        waited.append(seconds)
        return False

    monkeypatch.setattr(base, "monotonic", lambda: 0.5 * len(waited))
    monkeypatch.setattr(lock, "acquire", give_up)
    assert not lock._enter_within(2.0)
    assert waited == [2.0, 1.5, 1.0, 0.5]


@family
def test_how_long_a_careful_wait_may_last(
    make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the C method's would, however little or much that is."""
    thing = make("process")
    waited: list[float | None] = []

    def block(_bridge: object, seconds: float | None, _name: object) -> bool:
        waited.append(seconds)
        return False

    async def main() -> None:
        async with thing:
            monkeypatch.setattr(thing._bridge.__class__, "block", block)
            for seconds in (None, 0.25, 0, -1, 2 * TIMEOUT_MAX):
                assert not thing.acquire(True, seconds)

    asyncio.run(main())
    assert waited == [None, 0.25, 0, 0, TIMEOUT_MAX]


def forget(_lock: object, _state: object) -> None:
    pass


@family
def test_what_was_sent_to_a_process_may_be_sent_on(
    make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early releases of Python 3.11, and those before, do not see to that."""
    monkeypatch.setattr(synchronize.SemLock, "__setstate__", forget)
    made: Any = make("process")
    sent: Any = object.__new__(made.__class__)
    bases_state: Any = ((), "the-lock")
    sent.__setstate__((bases_state, 1) if make is make_semaphore else bases_state)
    assert sent.name == "the-lock"
    assert sent._is_fork_ctx is False


def use_and_end(lock: Any) -> None:
    async def main() -> None:
        async with lock:
            pass

    def look() -> None:
        os._exit(42 if bridge._retired else 1)

    asyncio.run(main())
    bridge = lock._bridge
    assert not bridge._retired
    # What comes next of what multiprocessing does at the end of a process.
    util.Finalize(None, look, exitpriority=1)


@family
def test_a_process_that_ends_starts_no_helper_any_more(
    make: Callable[..., Any], start_method: str
) -> None:
    """It could take a lock when no thread of the process runs any more."""
    context: Any = multiprocessing.get_context(start_method)
    thing: Any = make("process", context=context)
    process = context.Process(target=use_and_end, args=(thing,))
    process.start()
    process.join()
    assert process.exitcode == 42


def notify(condition: ProcessCondition) -> None:
    with condition:
        condition.notify()


def test_condition_of_a_program_that_does_not_fork(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that it is made of can be sent to the processes of that program."""
    get_context: Any = multiprocessing.get_context

    def get_context_of_the_program(method: str = "spawn") -> Any:
        return get_context(method)

    monkeypatch.setattr(multiprocessing, "get_context", get_context_of_the_program)
    condition = make_condition("process")
    process = get_context("spawn").Process(target=notify, args=(condition,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_interrupted_while_it_enters_the_lock_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It enters as often as is left, however often it is interrupted."""
    lock: Any = make_rlock("process")
    condition: Any = make_condition("process", lock)
    acquire = lock.acquire
    calls: list[object] = []

    def strike_now_and_then(*args: object) -> bool:
        calls.append(args)
        if len(calls) in {1, 3, 5}:
            raise Interrupted
        taken: bool = acquire(*args)
        return taken

    for _ in range(3):
        condition.acquire()
    monkeypatch.setattr(lock, "acquire", strike_now_and_then)
    with pytest.raises(Interrupted):
        condition.wait(0)
    assert len(calls) == 6
    assert condition._depth() == 3
    for _ in range(3):
        condition.release()
    assert not condition.locked()


def test_one_is_notified_unless_it_is_said_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notified: list[int] = []

    def notify_so_many(_condition: object, n: int) -> None:
        notified.append(n)

    monkeypatch.setattr(synchronize.Condition, "notify", notify_so_many)
    condition = make_condition("process")
    condition.notify()
    condition.notify(3)
    assert notified == [1, 3]
