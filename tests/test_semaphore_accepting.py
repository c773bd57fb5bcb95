"""A permit that a task has accepted, but not counted yet (trio)."""

from __future__ import annotations

from typing import Any

import pytest

from anylock import ThreadSemaphore, WouldDeadlock
from anylock._bridge.semaphore import SemaphoreBridge
from staging import until


def test_with_while_a_task_of_the_loop_accepts_the_only_permit(
    trio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was released between the look and the queue, so it is granted at once."""
    semaphore = ThreadSemaphore(1)
    checkpoint = trio.lowlevel.cancel_shielded_checkpoint
    refused = False

    async def long_checkpoint() -> None:
        while not refused:
            await checkpoint()

    def miss_it(_bridge: SemaphoreBridge) -> bool:
        return False

    async def enter() -> None:
        async with semaphore:
            pass

    async def block() -> None:
        nonlocal refused
        bridge = semaphore._bridge
        while bridge is None or not bridge._granted:
            await checkpoint()
            bridge = semaphore._bridge
        with pytest.raises(WouldDeadlock):
            semaphore.__enter__()
        refused = True

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(enter)
            nursery.start_soon(block)

    monkeypatch.setattr(SemaphoreBridge, "take", miss_it)
    monkeypatch.setattr(trio.lowlevel, "cancel_shielded_checkpoint", long_checkpoint)
    trio.run(main)
    until(lambda: semaphore.value == 1)  # a helper may have had it for a moment
