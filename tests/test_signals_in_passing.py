"""A signal handler that raises in a careful `with` whose tasks have just left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind


@pytest.mark.parametrize("kind", ["process", "thread"])
@pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])
def test_tasks_leave_between_the_look_up_and_the_call(
    kind: LockKind, make: Callable[[LockKind], Any]
) -> None:
    """`with` has looked the careful method up, and then nobody else is there."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make(kind)
        looked_up: list[Callable[[], object]] = []

        async def main() -> None:
            async with lock:
                looked_up.append(lock.__enter__)

        with in_thread(lambda: asyncio.run(main())):
            pass
        try:
            with interrupt_at(point, interrupt, where):
                looked_up[0]()
        except Interrupted:
            pass
        else:
            lock.release()
        assert not lock.locked()

    run_points(attempt, parks=False)
