"""What is noted of holders is true after a note was lost, and quick if it is much."""

from __future__ import annotations

from typing import Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from anylock.debug._actors import this_thread
from staging import in_thread

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_a_release_that_nobody_noted(make: Any) -> None:
    """As if a signal handler had raised in the middle of it."""
    lock = make("thread", debug=True)
    lock.__enter__()
    lock._plain.release()
    depths: list[int] = []

    def take() -> None:
        with lock:
            assert lock.record.owner.actor is this_thread.actor
            depths.append(lock.record.owner.depth)

    with in_thread(take):
        pass
    assert depths == [1]
    assert not this_thread.actor.holds
    assert not lock.record.holds


def test_permits_are_not_looked_through() -> None:
    """Who has very many of them is as fast as others in all that it does."""
    permits = make_semaphore("thread", 10, debug=True)
    for _ in range(10):
        permits.acquire()
    assert not this_thread.actor.holds
    assert len(this_thread.actor.permits) == len(permits.stats().holders) == 10
    with in_thread(lambda: permits.release(10)):
        pass
    assert not this_thread.actor.permits
    assert not permits.stats().holders


class ChangesMeanwhile(dict[Any, Any]):
    """As if others came and went in the middle of each look."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.times = 1

    def _once(self) -> None:
        if self.times:
            self.times -= 1
            raise RuntimeError

    def __reversed__(self) -> Any:
        self._once()
        return super().__reversed__()

    def __iter__(self) -> Any:
        self._once()
        return super().__iter__()


def test_permits_that_others_change_meanwhile() -> None:
    permits = make_semaphore("thread", 2, debug=True)
    permits.acquire()
    permits.acquire()
    this_thread.actor.permits = ChangesMeanwhile(this_thread.actor.permits)
    permits.record.among = ChangesMeanwhile(permits.record.among)
    permits.release()
    permits.release()
    assert not this_thread.actor.permits
    assert not permits.stats().holders
    this_thread.actor.permits = {}
