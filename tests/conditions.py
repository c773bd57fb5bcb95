"""What the tests of ThreadCondition share."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from itertools import count
from time import sleep
from typing import TYPE_CHECKING

from anylock import ThreadCondition, make_condition, make_lock
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

MAKERS: dict[str, Callable[[], ThreadCondition]] = {
    "rlock": lambda: make_condition("thread", name="news"),
    "lock": lambda: make_condition("thread", make_lock("thread"), name="news"),
}


def waiting(condition: ThreadCondition) -> int:
    return len(condition._notices)


def notify(condition: ThreadCondition, n: int = 1) -> None:
    with condition:
        condition.notify(n)


def so_many_wait(condition: ThreadCondition, number: int) -> Callable[[], bool]:
    return lambda: waiting(condition) >= number


def notified(condition: ThreadCondition) -> AbstractContextManager[threading.Thread]:
    """Notify, from another thread, who waits in the block."""

    def notify_it() -> None:
        until(so_many_wait(condition, 1))
        notify(condition)

    return in_thread(notify_it)


def assert_at_rest(condition: ThreadCondition) -> None:
    """Check that nobody waits, and that every thread can have the lock."""
    assert waiting(condition) == 0
    until(lambda: not condition.locked())

    def use() -> None:
        with condition.hold(PATIENCE):
            condition.notify_all()

    with in_thread(use):
        pass
    assert not condition.locked()


class WaitingThread:
    """A thread that waits, and tells how it ended."""

    def __init__(self, condition: ThreadCondition) -> None:
        self.condition = condition
        self.ended = ""

    def wait(self) -> None:
        with self.condition:
            in_time = self.condition.wait(PATIENCE)
            self.ended = "notified" if in_time else "time is over"


@contextmanager
def signalled_once(handle: Callable[[], object]) -> Generator[Callable[[], None]]:
    """Give what has the handler run in this thread, which is the main one.

    It returns when the handler has begun. A signal that comes just before the thread
    blocks does not wake it, so it is sent until it does.
    """
    # Not an Event: the next signal may come amid its set(), whose lock it would take.
    begun: list[int] = []
    calls = count()
    me = threading.get_ident()

    def handle_once(*_args: object) -> None:
        number = next(calls)
        if number == 0:
            begun.append(number)
            handle()

    def send() -> None:
        def sent() -> bool:
            signal.pthread_kill(me, signal.SIGUSR1)
            sleep(0.001)
            return bool(begun)

        until(sent)

    old = signal.signal(signal.SIGUSR1, handle_once)
    try:
        yield send
    finally:
        signal.signal(signal.SIGUSR1, old)
