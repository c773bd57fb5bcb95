"""The kind "thread" where it is called in an unusual way, or somebody is gone."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import (
    LockNotHeldError,
    ThreadLock,
    ThreadRLock,
    WouldDeadlock,
    make_condition,
    make_lock,
    make_rlock,
)
from anylock._thread.semaphore import _took
from backends import Backend, run
from conditions import so_many_wait
from interruptions import Interrupted
from staging import PATIENCE, all_done, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable


def test_lock_has_the_old_names_of_threading() -> None:
    lock = make_lock("thread")
    assert lock.acquire_lock()
    assert lock.locked_lock()
    assert not lock.acquire_lock(False)
    assert not lock.acquire_lock(True, 0.001)
    lock.release_lock()
    assert not lock.locked_lock()


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_methods_of_the_class(make: Callable[..., Any]) -> None:
    """As contextlib looks them up: beside the slots, with their own errors."""
    lock: Any = make("thread", name="the-lock")
    methods: Any = ThreadRLock if isinstance(lock, ThreadRLock) else ThreadLock
    with pytest.raises(LockNotHeldError, match="the-lock"):
        methods.release(lock)
    methods.__enter__(lock)
    assert methods.locked(lock)
    methods.__exit__(lock, None, None, None)
    assert not methods.locked(lock)


def test_task_is_told_how_deep_it_is(backend: Backend) -> None:
    """By the name that `threading` knows."""
    rlock = make_rlock("thread")

    async def ask_in_another() -> None:
        assert rlock._recursion_count() == 0

    async def main() -> None:
        async with rlock, rlock:
            await all_done(ask_in_another)
            with rlock:
                assert rlock._recursion_count() == 3
            assert rlock._recursion_count() == 2
        assert rlock._recursion_count() == 0

    run(backend, lambda: all_done(main))


class StruckPermits:
    """The permits of a semaphore; a handler raises before or after one is taken."""

    def __init__(self, *, before: bool) -> None:
        self.before = before
        self.free = 1

    def get(self, *_args: object) -> None:
        if self.before:
            raise Interrupted
        self.free -= 1

    def put(self, _permit: object) -> None:
        self.free += 1


def test_handler_raises_before_a_permit_is_taken() -> None:
    """None is put back then."""
    permits: Any = StruckPermits(before=True)
    with pytest.raises(Interrupted):
        _took(permits)
    assert permits.free == 1


def test_condition_whose_lock_is_lost() -> None:
    """Somebody ended with it: who was notified is told instead of waiting for ever."""
    rlock = make_rlock("thread")
    condition = make_condition("thread", rlock)
    told = threading.Event()

    def wait() -> None:
        condition.__enter__()
        with pytest.raises(WouldDeadlock, match="has ended"):
            condition.wait(PATIENCE)
        told.set()

    def end_with_the_lock() -> None:
        condition.__enter__()

    with in_thread(wait):
        until(so_many_wait(condition, 1))
        with in_thread(end_with_the_lock):
            pass
        until(lambda: rlock._orphaned)
        condition._notices.notify()  # nobody else has the lock
    assert told.is_set()


def test_the_module_lists_what_it_imports_on_first_use() -> None:
    listed = dir(anylock)
    assert set(anylock.__all__) <= set(listed)
    assert listed == sorted(listed)
    assert inspect.isclass(anylock.AsyncLock)
