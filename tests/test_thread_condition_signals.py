"""ThreadCondition: signal handlers that raise, or notify, amid a thread's wait."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from functools import partial

import pytest

from anylock import make_condition, make_lock
from conditions import (
    MAKERS,
    WaitingThread,
    assert_at_rest,
    notified,
    notify,
    signalled_once,
    so_many_wait,
    waiting,
)
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, in_thread, until

pytestmark = pytest.mark.usefixtures("_no_garbage_collection")

depths = pytest.mark.parametrize(
    ("name", "depth"), [("lock", 1), ("rlock", 1), ("rlock", 3)]
)


def blocked(thread: int, function: str) -> bool:
    """Say whether that thread is about to block in a function of that name."""
    return sys._current_frames()[thread].f_code.co_name == function


@depths
def test_signal_while_a_thread_waits(name: str, depth: int) -> None:
    condition = MAKERS[name]()
    me = threading.get_ident()
    two = WaitingThread(condition)

    def send() -> None:
        until(lambda: waiting(condition) == 1 and blocked(me, "block"))
        interrupt_it()

    with signalled_once(interrupt) as interrupt_it, ExitStack() as stack:
        with in_thread(send), ExitStack() as held:
            for _ in range(depth):
                held.enter_context(condition)
            with pytest.raises(Interrupted):
                condition.wait(PATIENCE)
            condition.notify(0)
            held.pop_all().close()
        assert waiting(condition) == 0
        stack.enter_context(in_thread(two.wait))
        until(so_many_wait(condition, 1))
        notify(condition)
    assert two.ended == "notified"
    assert_at_rest(condition)


@depths
def test_signal_while_a_thread_takes_the_lock_again(name: str, depth: int) -> None:
    condition = MAKERS[name]()
    me = threading.get_ident()
    two = WaitingThread(condition)

    def send() -> None:
        until(so_many_wait(condition, 2))
        with condition:
            condition.notify()
            until(partial(blocked, me, "_acquire_again"))
            interrupt_it()

    def wait_behind() -> None:
        until(so_many_wait(condition, 1))
        two.wait()

    with (
        signalled_once(interrupt) as interrupt_it,
        in_thread(wait_behind),
        in_thread(send),
        ExitStack() as held,
    ):
        for _ in range(depth):
            held.enter_context(condition)
        with pytest.raises(Interrupted):
            condition.wait(PATIENCE)
        assert condition.locked()
        condition.notify(0)
    assert two.ended == "notified"
    assert_at_rest(condition)


@depths
def test_handler_raises_at_every_point(name: str, depth: int) -> None:
    def attempt(point: int, where: list[str]) -> None:
        condition = MAKERS[name]()
        two = WaitingThread(condition)
        ended: list[str] = []

        def wait_behind() -> None:
            until(lambda: ended or waiting(condition))
            two.wait()

        def notify_once() -> None:
            until(lambda: (1 if ended else 2) == waiting(condition))
            notify(condition)

        with in_thread(wait_behind), in_thread(notify_once):
            with ExitStack() as held:
                for _ in range(depth):
                    held.enter_context(condition)
                try:
                    with interrupt_at(point, interrupt, where):
                        assert condition.wait(PATIENCE)
                except Interrupted:
                    ended.append("interrupted")
                else:
                    ended.append("notified")
                assert condition.locked()
                condition.notify(0)
            if ended == ["notified"]:
                with notified(condition):
                    pass
        assert two.ended == "notified"
        assert_at_rest(condition)

    run_points(attempt, parks=False)


def test_signal_handler_notifies() -> None:
    """It runs in the very thread that waits, which has given the lock up."""
    condition = make_condition("thread", make_lock("thread"))
    me = threading.get_ident()

    def handle() -> None:
        with condition:
            condition.notify()

    def send() -> None:
        until(lambda: waiting(condition) == 1 and blocked(me, "block"))
        handle_it()

    with signalled_once(handle) as handle_it, in_thread(send), condition:
        assert condition.wait(PATIENCE)
    assert_at_rest(condition)
