"""An interruption amid what debug locks note may lose a note, but never a lock."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from debugged import awaited, lock_of
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["debug_fixtures"]
pytestmark = [
    pytest.mark.usefixtures("quiet", "_no_garbage_collection"),
    # Up to 3.10 a handler may also run between any two instructions.
    pytest.mark.skipif(sys.version_info < (3, 11), reason="promised from 3.11 on"),
]

bridged = pytest.mark.parametrize("kind", ["process", "thread"])
makers = pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])


def is_free(lock: Any) -> bool:
    """Say whether another thread gets it, and nothing is said of waits."""
    got: list[bool] = []

    def take() -> None:
        got.append(lock.try_acquire())
        if got[0]:
            lock.release()

    with in_thread(take):
        pass
    return got == [True] and not lock.record.waits


@bridged
@makers
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_on_the_way_in(
    kind: str, make: Callable[..., Any], timeout: float | None
) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make(kind, debug=True)
        context = lock if timeout is None else lock.hold(timeout)
        try:
            with interrupt_at(point, interrupt, where), context:
                sys.setprofile(None)
        except Interrupted:
            pass
        assert is_free(lock)
        assert not lock.stats().holders

    run_points(attempt, parks=False)


@bridged
def test_on_the_way_in_again(kind: Any) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = lock_of(kind, make_rlock)
        with lock:
            try:
                with interrupt_at(point, interrupt, where), lock:
                    sys.setprofile(None)
            except Interrupted:
                pass
        assert is_free(lock)

    run_points(attempt, parks=False)


@bridged
@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_on_the_way_in_of_who_waits(kind: str, make: Callable[..., Any]) -> None:
    def attempt(point: int, where: list[str]) -> None:
        lock = make(kind, debug=True)
        holds, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                holds.set()
                leave.wait(PATIENCE)

        def let_go() -> None:
            # When it waits, or was interrupted before.
            until(lambda: awaited(lock) or over)
            leave.set()

        over: list[bool] = []
        with in_thread(hold):
            assert holds.wait(PATIENCE)
            with in_thread(let_go):
                try:
                    with interrupt_at(point, interrupt, where), lock:
                        sys.setprofile(None)
                except Interrupted:
                    pass
                over.append(True)
        assert is_free(lock)
        assert not lock.stats().holders

    run_points(attempt, parks=False)


@bridged
@makers
@pytest.mark.parametrize("way", ["release", "__exit__"])
def test_on_the_way_out(kind: str, make: Callable[..., Any], way: str) -> None:
    """At every point but the very first: before that, the method has not begun."""
    if make is make_semaphore and way == "release":
        pytest.skip("that of the semaphore inside is Python as well")

    def attempt(point: int, where: list[str]) -> None:
        lock = make(kind, debug=True)
        lock.acquire()
        arguments = (None, None, None) if way == "__exit__" else ()
        try:
            with interrupt_at(point + 1, interrupt, where):
                getattr(lock, way)(*arguments)
        except Interrupted:
            pass
        assert is_free(lock)

    run_points(attempt, parks=False)
