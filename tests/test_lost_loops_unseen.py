"""A grant to a task whose loop was closed, found where no thread can be started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock
from staging import PATIENCE, assert_at_rest, granted, in_thread
from test_must_never_happen import NoThreads

if TYPE_CHECKING:
    from anylock import Lock, LockKind


def grant_to_a_closed_loop(lock: Lock, kept: list[Any]) -> None:
    """Leave a task behind that was granted the lock, and is still referred to."""
    loop = asyncio.new_event_loop()

    async def granted_last() -> None:
        async with lock:
            pass

    async def main() -> None:
        async with lock:
            kept.append(loop.create_task(granted_last()))
            await asyncio.sleep(0)
            loop.stop()  # before that task runs

    kept.append(loop.create_task(main()))
    loop.run_forever()
    loop.close()
    kept[0]._log_destroy_pending = False


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_no_more_threads_for_who_finds_it(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a thread of its own should do, the one that found it does itself."""
    lock = make_lock(kind)
    kept: list[Any] = []
    with in_thread(lambda: grant_to_a_closed_loop(lock, kept)):
        pass
    assert granted(lock)
    none = NoThreads(monkeypatch)

    def find() -> None:
        with none, lock.hold(PATIENCE):
            assert not granted(lock)

    # Not in this thread, in which event loops may have run.
    with in_thread(find):
        pass
    assert none.asked == 1
    kept.clear()
    assert_at_rest(lock)
