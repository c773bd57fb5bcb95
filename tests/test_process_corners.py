"""The kind "process" where a clock, a start method or a dead thread is in the way."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import pytest

from anylock import (
    WouldDeadlock,
    make_condition,
    make_lock,
    make_rlock,
    make_semaphore,
)
from children import in_child
from interruptions import Interrupted
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def test_the_wall_clock_is_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the semaphore gives up too early; the lock does not."""
    lock: Any = make_lock("process")
    acquire = lock.acquire
    waited: list[float] = []

    def give_up_once(*args: Any) -> bool:
        waited.append(args[1])
        return len(waited) > 1 and acquire(*args)

    monkeypatch.setattr(lock, "acquire", give_up_once)
    with lock.hold(PATIENCE):
        assert lock.locked()
    first, second = waited
    assert first == PATIENCE
    assert second <= PATIENCE


def unlike_fork(_lock: synchronize.SemLock) -> tuple[object, ...]:
    return ()


@forks
@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])
def test_forked_and_spawned_at_once(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, *, looks: bool
) -> None:
    """A lock that is made for forks has no name by which others could find it.

    Early releases of Python 3.11, and those before, do not look at that.
    """
    if not looks:
        monkeypatch.setattr(synchronize.SemLock, "__getstate__", unlike_fork)
    lock = make("process", context=multiprocessing.get_context("fork"))
    process = multiprocessing.get_context("spawn").Process(target=print, args=(lock,))
    with pytest.raises(RuntimeError, match="of the context that the lock was made for"):
        process.start()


@forks
def test_child_knows_that_the_holder_had_ended() -> None:
    """The thread that ended with it was of the parent, and so was its lock."""
    rlock = make_rlock("process")

    def end_with_it() -> None:
        rlock.__enter__()  # looked up here: that is how it is known who came in

    with in_thread(end_with_it):
        pass
    until(lambda: rlock._orphaned)

    def child() -> None:
        with pytest.raises(WouldDeadlock, match="has ended"):
            rlock.acquire()
        assert not rlock.acquire(timeout=0.01)

    in_child(child)


def test_handler_raises_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends with the lock, and with the last that was raised."""
    lock: Any = make_lock("process")
    condition: Any = make_condition("process", lock)
    acquire = lock.acquire
    struck: list[int] = []

    def strike_thrice(*args: Any) -> bool:
        if len(struck) < 3:
            struck.append(len(struck))
            raise Interrupted(*struck)
        taken: bool = acquire(*args)
        return taken

    condition.acquire()
    monkeypatch.setattr(lock, "acquire", strike_thrice)
    with pytest.raises(Interrupted) as raised:
        condition.wait(0)
    assert raised.value.args == (0, 1, 2)
    condition.notify()  # it is held here
    condition.release()
    assert not condition.locked()


def test_condition_whose_lock_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody ended with it: who was notified is told instead of trying for ever."""
    lock: Any = make_rlock("process")
    condition: Any = make_condition("process", lock)
    tried: list[object] = []

    def refuse(*args: object) -> None:
        tried.append(args)
        raise WouldDeadlock("the thread that held it has ended", "leave it", None)

    condition.acquire()
    condition.acquire()
    monkeypatch.setattr(lock, "acquire", refuse, raising=False)
    with pytest.raises(WouldDeadlock, match="has ended"):
        condition.wait(0)
    assert len(tried) == 2  # by the class of multiprocessing, and by ours
    assert not condition.locked()
