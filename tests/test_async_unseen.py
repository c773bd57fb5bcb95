"""Where the kind "async" does what it does, which is seen only if it is elsewhere.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread

from anylock import AsyncLock, LockNotHeldError, _parking
from backends import TRIO, require, run

if TYPE_CHECKING:
    from backends import Backend


class Located(AsyncLock):
    """Tells which thread took it."""

    __slots__ = ("taken_in",)

    def _take(self, actor: Any) -> bool:
        self.taken_in = threading.current_thread()
        return super()._take(actor)


def test_a_worker_takes_it_in_the_thread_of_the_loop(backend: Backend) -> None:
    """Nothing else runs there at the same time."""

    async def main() -> None:
        lock = Located()
        assert await to_thread.run_sync(lock.try_acquire)
        assert lock.taken_in is threading.current_thread()

    run(backend, main)


def test_a_loop_in_a_worker_takes_it_there(backend: Backend) -> None:
    """A worker thread may run an event loop of its own, whose lock it is."""

    async def inner() -> None:
        lock = Located()
        assert lock.try_acquire()
        assert lock.taken_in is threading.current_thread()

    async def main() -> None:
        await to_thread.run_sync(lambda: asyncio.run(inner()))

    run(backend, main)


def test_a_new_lock_looks_for_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of trio as a guest of asyncio the fast path would know the host alone."""
    require(TRIO)
    import trio.lowlevel

    monkeypatch.setattr(_parking, "trio_lowlevel", None)
    AsyncLock()
    assert _parking.trio_lowlevel is trio.lowlevel


def test_who_does_not_hold_it_does_not_leave_it(backend: Backend) -> None:
    async def main() -> None:
        with pytest.raises(LockNotHeldError):
            await AsyncLock().__aexit__(None, None, None)

    run(backend, main)
