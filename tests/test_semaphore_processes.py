"""Semaphores of the kind "process" between processes."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest

from anylock import (
    ProcessBoundedSemaphore,
    ProcessSemaphore,
    SemaphoreOverReleased,
    make_semaphore,
)
from permits import enter
from staging import PATIENCE

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

bounds = pytest.mark.parametrize("bounded", [False, True])


def report(semaphore: ProcessSemaphore, tell: Any) -> None:
    """Tell what a child sees of it, and use it in both colours."""
    with semaphore:
        inside = semaphore.value
    asyncio.run(enter(semaphore, PATIENCE))
    error = ""
    try:
        semaphore.release(3)
    except SemaphoreOverReleased as refused:
        error = f"{refused.bound} {refused.lock_name}"
        semaphore.release()
    tell.send((type(semaphore), semaphore.kind, semaphore.name, inside, error))


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)
@bounds
def test_a_child_gets_the_same_one(start_method: str, *, bounded: bool) -> None:
    context = cast("SpawnContext", multiprocessing.get_context(start_method))
    semaphore = make_semaphore(
        "process", 3, bounded=bounded, name="permits", context=context
    )
    cls = ProcessBoundedSemaphore if bounded else ProcessSemaphore
    told, tell = context.Pipe(duplex=False)
    with semaphore:
        child = context.Process(target=report, args=(semaphore, tell))
        child.start()
        assert told.poll(30)
        assert told.recv() == (cls, "process", "permits", 1, "3 permits" * bounded)
        child.join()
        assert semaphore.value == (2 if bounded else 4)
    with (
        pytest.raises(RuntimeError, match="initargs="),
        ProcessPoolExecutor(1, mp_context=context) as pool,
    ):
        pool.submit(report, semaphore, None).result()
    told.close()
    tell.close()
