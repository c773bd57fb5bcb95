"""Permits that tasks give up, so that threads get a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_semaphore
from anylock._bridge import queue
from backends import Backend, run
from staging import all_done, queued, until

if TYPE_CHECKING:
    from anylock import LockKind


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_what_is_on_its_way_to_a_task_is_not_free(
    backend: Backend, kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who comes gets it, so it must not look as if he would."""
    monkeypatch.setattr(queue, "TENURE", 0.0)
    semaphore: Any = make_semaphore(kind, 1)
    assert semaphore.try_acquire()

    async def one() -> None:
        async with semaphore:
            pass

    async def release() -> None:
        await queued(semaphore)
        semaphore.release()
        assert semaphore.locked()
        assert semaphore.value == 0
        assert not semaphore.try_acquire()

    async def main() -> None:
        await all_done(one, release)

    run(backend, main)
    until(lambda: not semaphore.locked())  # the helper may have it for a moment
    assert semaphore.value == 1
