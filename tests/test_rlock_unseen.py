"""What the bridge of a re-entrant lock keeps apart, which only a rare caller sees.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import threading
from time import monotonic
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockNotHeldError, WouldDeadlock, make_rlock
from anylock._bridge import rlock
from anylock._bridge.queue import SLICE
from backends import run
from staging import PATIENCE, all_done, in_thread, queued, until
from test_rlock_dead_threads import by_acquire, end_holding

if TYPE_CHECKING:
    from anylock import LockKind
    from backends import Backend

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def test_what_a_task_took_back_is_not_its_threads(backend: Backend) -> None:
    """A condition gave it up and took it back: other tasks do not enter again."""

    async def main() -> None:
        lock = make_rlock("thread")

        async def stranger() -> None:
            assert not lock.try_acquire()
            with pytest.raises(LockNotHeldError):
                lock.release()

        async with lock:
            kept = lock._release_save()
            assert is_native(lock.release)
            lock._acquire_restore(kept)
            await all_done(stranger)
        assert not lock.locked()

    run(backend, main)


@bridged
def test_nobody_overtakes_who_waits_for_a_free_lock(
    backend: Backend, kind: LockKind
) -> None:
    """The lock is free, and the helper has yet to come for it."""
    held, leave = threading.Event(), threading.Event()

    async def main() -> None:
        lock: Any = make_rlock(kind)

        def hold() -> None:
            with lock:
                held.set()
                assert leave.wait(PATIENCE)

        async def one() -> None:
            async with lock:
                pass

        await one()
        bridge = lock._bridge
        bridge._retired = True
        async with anyio.create_task_group() as tasks:
            with in_thread(hold):
                assert held.wait(PATIENCE)
                tasks.start_soon(one)
                await queued(lock)
                leave.set()
            assert lock.locked()
            assert not bridge.take()
            assert not bridge.try_block()
            bridge._retired = False
            bridge._do(bridge._serve)
        until(lambda: not lock.locked())

    run(backend, main)


def test_a_slice_ends_with_the_time() -> None:
    """What is left is never more than a slice, and never negative."""
    now = monotonic()
    assert rlock._slice(None) == SLICE
    assert rlock._slice(now + PATIENCE) == SLICE
    assert 0 <= rlock._slice(now + SLICE / 2) <= SLICE / 2
    assert rlock._slice(now - 1) == 0


@bridged
def test_the_elected_gives_up_when_its_time_is_over(
    backend: Backend, kind: LockKind
) -> None:
    """Another thread was faster, and keeps the lock."""
    held, leave = threading.Event(), threading.Event()

    async def main() -> None:
        lock: Any = make_rlock(kind)

        def hold() -> None:
            with lock:
                held.set()
                assert leave.wait(PATIENCE)

        async with lock:
            pass
        with in_thread(hold):
            assert held.wait(PATIENCE)
            assert not lock._bridge._acquire_in_turn(monotonic())
            leave.set()

    run(backend, main)


@bridged
def test_the_c_methods_are_back_when_the_task_has_released_it(
    backend: Backend, kind: LockKind
) -> None:
    """Not only when it leaves by the end of `async with`."""

    async def main() -> None:
        lock = make_rlock(kind)
        await lock.__aenter__()
        assert not is_native(lock.release)
        lock.release()
        assert is_native(lock.release)

    run(backend, main)


@bridged
def test_no_c_methods_for_what_was_left_behind_just_now(kind: LockKind) -> None:
    """The thread that held it ends while another fills the slots."""
    lock: Any = make_rlock(kind)
    end_holding(lock, by_acquire)
    lock._use_native()
    assert not is_native(lock.release)
    with pytest.raises(WouldDeadlock, match="has ended"):
        lock.__enter__()


def is_native(method: object) -> bool:
    return isinstance(method, BuiltinMethodType)
