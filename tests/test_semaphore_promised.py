"""A bounded semaphore has no room for a permit more while one is only granted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from anylock import SemaphoreOverReleased
from permits import at_rest, bridged, enter, exit_, granted, make, queued

if TYPE_CHECKING:
    from anylock import LockKind


@bridged
@pytest.mark.parametrize("cancelled", [False, True], ids=["runs", "is cancelled"])
def test_a_permit_that_was_granted_is_not_missing(
    kind: LockKind,
    cancelled: bool,  # noqa: FBT001
) -> None:
    semaphore = make(kind, 1)

    async def visit() -> None:
        async with semaphore:
            pass

    async def main() -> None:
        await enter(semaphore)
        visitor = asyncio.create_task(visit())
        await queued(semaphore)
        await exit_(semaphore)
        assert granted(semaphore) == 1
        with pytest.raises(SemaphoreOverReleased):  # nobody is inside
            semaphore.release()
        if cancelled:
            visitor.cancel()
        with suppress(asyncio.CancelledError):
            await visitor

    asyncio.run(main())
    at_rest(semaphore, 1)
