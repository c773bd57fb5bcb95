"""The bytes of one lock: another worker."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from types import FunctionType, ModuleType
from typing import Any

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


def traced_size(make: Any) -> float:
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


def main() -> None:
    """Read how to make a lock from the command line; print its sizes as JSON."""
    contender = json.loads(sys.argv[1])
    source = f"{contender['setup']}\ndef make():\n    return {contender['statement']}\n"
    namespace: dict[str, Any] = {}
    exec(compile(source, "<footprint>", "exec"), namespace)  # noqa: S102 - of rows.py
    make = namespace["make"]
    sizes = {"parts": size_of_parts(make()), "traced": traced_size(make)}
    json.dump(sizes, sys.stdout)


if __name__ == "__main__":
    main()
