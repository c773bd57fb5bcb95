"""Threads and tasks that want the same permits have them in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_semaphore
from backends import Backend, run
from staging import all_done, queued, until, until_in_task

if TYPE_CHECKING:
    from anylock import LockKind


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_nobody_overtakes_the_helper(backend: Backend, kind: LockKind) -> None:
    """It waits behind threads; a task that comes must not pass all of these by."""
    semaphore: Any = make_semaphore(kind, 1)
    assert semaphore.try_acquire()
    tries: list[tuple[Any, ...]] = []

    async def one() -> None:
        async with semaphore:
            pass

    async def another() -> None:
        await queued(semaphore)
        bridge = semaphore._bridge
        await until_in_task(lambda: bridge._helping)
        acquire = bridge._acquire

        def noted(*args: Any) -> bool:
            tries.append(args)
            got: bool = acquire(*args)
            return got

        bridge._acquire = noted
        async with semaphore:
            pass

    async def release() -> None:
        await queued(semaphore, 2)
        assert (False,) not in tries
        semaphore.release()

    run(backend, all_done, one, another, release)
    until(lambda: semaphore.value == 1)  # a helper may have had it for a moment
