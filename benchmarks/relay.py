"""Processes that have one lock in turn: a worker.

The processes are forked, so that `multiprocessing.Lock` can be among the locks. A lock
on a file is made by each of them anew. Time is that of the system's monotonic clock,
which all processes share.
"""

from __future__ import annotations

import json
import os
import sys
from tempfile import TemporaryDirectory
from time import CLOCK_MONOTONIC, clock_gettime, process_time, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS_PER_SECOND = 20


def now() -> float:
    """Return the time that all processes share."""
    return clock_gettime(CLOCK_MONOTONIC)


def forked(function: Callable[[Any, Any, Any], None], lock: Any) -> tuple[Any, Any]:
    """Run a function in another process; return what it reads from, and writes to."""
    theirs, to_them = os.pipe()
    from_them, ours = os.pipe()
    if os.fork() == 0:
        os.close(to_them)
        os.close(from_them)
        with os.fdopen(theirs) as source, os.fdopen(ours, "w", 1) as sink:
            function(lock(), source, sink)
        os._exit(0)
    os.close(theirs)
    os.close(ours)
    return os.fdopen(to_them, "w", 1), os.fdopen(from_them)


def hand_off(make: Callable[[], Any], task: dict[str, Any]) -> list[float]:
    """Give the microseconds from a release here to the entry there."""

    def enter(lock: Any, source: Any, sink: Any) -> None:
        for _ in source:
            with lock:
                entered = now()
            print(entered, file=sink)

    to_them, from_them = forked(enter, make)
    lock = make()
    found: list[float] = []
    for round_ in range(max(5, int(task["seconds"] * ROUNDS_PER_SECOND))):
        with lock:
            print(file=to_them)
            # Long enough that they wait; who polls is met at any moment.
            sleep(task["hold"] * (1 + round_ % 5 / 5))
            left = now()
        found.append((float(from_them.readline()) - left) * 1e6)
    return found


def hammer(make: Callable[[], Any], task: dict[str, Any]) -> list[float]:
    """Give the longest wait of all, in milliseconds."""

    def come_again(lock: Any, source: Any, sink: Any) -> None:
        source.readline()
        end = now() + 4 * task["seconds"]
        longest = 0.0
        while (came := now()) < end:
            with lock:
                inside = now()
                longest = max(longest, inside - came)
                while now() < inside + task["hold"]:
                    pass
        print(longest * 1000, file=sink)

    others = [forked(come_again, make) for _ in range(task["processes"])]
    for to_them, _ in others:
        print(file=to_them)
    return [max(float(from_them.readline()) for _, from_them in others)]


def idle(make: Callable[[], Any], task: dict[str, Any]) -> list[float]:
    """Give the milliseconds of processor time per second of waiting.

    Of a wait that is not the first one: what is done once is not counted.
    """

    def wait(lock: Any, source: Any, sink: Any) -> None:
        for _ in source:
            before, began = process_time(), now()
            with lock:
                used, waited = process_time() - before, now() - began
            print(used / waited * 1000, file=sink)

    to_them, from_them = forked(wait, make)
    lock = make()
    for seconds in (0.1, 10 * task["seconds"]):
        with lock:
            print(file=to_them)
            sleep(seconds)
        found = float(from_them.readline())
    return [found]


def main() -> None:
    """Do what the command line says, and print what was found."""
    task = json.loads(sys.argv[1])
    with TemporaryDirectory() as folder:
        names: dict[str, Any] = {"path": f"{folder}/lock"}

        def make() -> Any:
            if not task["shared"]:
                exec(task["setup"], names)  # noqa: S102 - written in the tables
            return names["lock"]

        exec(task["setup"], names)  # noqa: S102 - likewise
        modes = {"hand-off": hand_off, "hammer": hammer, "idle": idle}
        print(json.dumps(modes[task["mode"]](make, task)))


if __name__ == "__main__":
    main()
