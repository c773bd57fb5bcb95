"""The bytes of one lock: a worker."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from anylock._bench.workers.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = (bool, int, str, type, FunctionType, ModuleType, type(None))
"""What many locks may refer to, and none of them owns."""

LOCKS = 1000
"""So many are made, so that what the first one needs does not count."""


def size_of_parts(lock: Any) -> int:
    """Add up `sys.getsizeof` of a lock and of the parts that are its own.

    Its own are the inner lock, the bound methods of that, and so on.
    """
    parts = {id(lock): lock}
    ahead = [lock]
    while ahead:
        for part in gc.get_referents(ahead.pop()):
            if id(part) not in parts and not isinstance(part, SHARED):
                parts[id(part)] = part
                ahead.append(part)
    return sum(map(sys.getsizeof, parts.values()))


def traced_size(make: Callable[[], Any]) -> float:
    """Give the bytes that the allocator hands out for a lock, on average."""
    locks = [None] * LOCKS
    make()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for index in range(LOCKS):
        locks[index] = make()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / LOCKS


def resident_size(make: Callable[[], Any], many: int) -> float | None:
    """Give the bytes of memory that each of many locks takes; None if unknown."""
    locks = [None] * many
    make()
    gc.collect()
    before = _resident()
    for index in range(many):
        locks[index] = make()
    after = _resident()
    return None if before is None or after is None else (after - before) / many


def _resident() -> int | None:
    """Give the bytes of memory that this process has; None where /proc is unknown."""
    statm = Path("/proc/self/statm")
    if sys.platform == "win32" or not statm.exists():
        return None
    pages = int(statm.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Measure a lock in all three ways."""
    setup, statement = task["contender"]["setup"], task["contender"]["statement"]
    namespace: dict[str, Any] = {}
    source = f"{setup}\ndef make():\n    return {statement}\n"
    exec(compile(source, "<size>", "exec"), namespace)  # noqa: S102 - text of the rows
    make = namespace["make"]
    return {
        "parts": size_of_parts(make()),
        "traced": traced_size(make),
        "resident": resident_size(make, task["many"]),
    }


if __name__ == "__main__":
    serve(measure)
