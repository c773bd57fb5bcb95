"""One contender against another in this interpreter: a worker.

Which modules are imported decides which paths a lock takes and how its peers behave
(whether trio is there at all, for one). So each comparison gets a fresh interpreter
that imports nothing but what the two contenders need, and this module imports
nothing that could disturb them.

The two run by turns, many short runs each, and each run of ours is compared with the
run of the peer next to it: whatever else the machine does meets both alike. The
statement is written out ten times in the body of the loop, so that the loop itself
does not pull every ratio towards one. Each contender gets a function of its own, with
inline caches of its own. The garbage collector is off while single statements are
timed, as in timeit, and on while many tasks contend, as in users' programs.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

Run = Callable[[int], Any]
"""Called with a number of rounds; to be awaited if there is an event loop."""

Timed = Callable[[Run, int], Awaitable[int]]
"""Runs so many rounds and gives the nanoseconds they took."""

UNROLLED = 10
"""How often a round executes the statement, where only one task runs."""

WATCHED = ("anyio", "asyncio", "multiprocessing", "sniffio", "trio")
"""Modules whose presence in a trial is reported."""


def compiled(contender: dict[str, str], loop: str | None, repeats: int) -> Run:
    """Compile the function that executes a contender's statement over and over."""
    statement = contender["statement"].replace("\n", "\n        ")
    source = "\n".join(
        [
            contender["setup"],
            f"{'async ' if loop else ''}def run(rounds, lock=lock):",
            "    for _ in range(rounds):",
            *[f"        {statement}"] * repeats,
            f"    {contender['finish']}".replace("\n", "\n    "),
        ]
    )
    namespace: dict[str, Any] = {}
    code = compile(source, f"<{contender['label']}>", "exec")
    exec(code, namespace)  # noqa: S102 - as timeit does, with the text of rows.py
    run: Run = namespace["run"]
    return run


async def alone(run: Run, rounds: int) -> int:
    """Time one thread, without an event loop."""
    start = perf_counter_ns()
    run(rounds)
    return perf_counter_ns() - start


async def in_task(run: Run, rounds: int) -> int:
    """Time one task."""
    start = perf_counter_ns()
    await run(rounds)
    return perf_counter_ns() - start


def thread_crowd(threads: int) -> Timed:
    """Time as many threads, from when they start all at once, without an event loop."""
    import os
    import traceback
    from threading import Barrier, Thread

    def member(gate: Barrier, run: Run, rounds: int, ends: list[int]) -> None:
        try:
            gate.wait()
            run(rounds)
        except BaseException:  # noqa: BLE001 - the others may wait for it for ever
            traceback.print_exc()
            os._exit(1)
        ends.append(perf_counter_ns())

    async def timed(run: Run, rounds: int) -> int:
        starts: list[int] = []
        ends: list[int] = []
        # Told by a member, because this thread may get its turn much later.
        gate = Barrier(threads, lambda: starts.append(perf_counter_ns()))
        crowd = [
            Thread(target=member, args=(gate, run, rounds, ends))
            for _ in range(threads)
        ]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        return max(ends) - starts[0]

    return timed


def asyncio_crowd(tasks: int) -> Timed:
    """Time as many tasks of asyncio, from when they start all at once."""
    import asyncio

    async def member(gate: asyncio.Event, run: Run, rounds: int) -> None:
        await gate.wait()
        await run(rounds)

    async def timed(run: Run, rounds: int) -> int:
        gate = asyncio.Event()
        crowd = [asyncio.create_task(member(gate, run, rounds)) for _ in range(tasks)]
        await asyncio.sleep(0)  # after which all of them are at the gate
        start = perf_counter_ns()
        gate.set()
        for task in crowd:
            await task
        return perf_counter_ns() - start

    return timed


def trio_crowd(tasks: int) -> Timed:
    """Time as many tasks of trio, from when they start all at once."""
    import trio
    from trio.testing import wait_all_tasks_blocked

    async def member(gate: trio.Event, run: Run, rounds: int) -> None:
        await gate.wait()
        await run(rounds)

    async def timed(run: Run, rounds: int) -> int:
        gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(member, gate, run, rounds)
            await wait_all_tasks_blocked()
            start = perf_counter_ns()
            gate.set()
        return perf_counter_ns() - start

    return timed


CROWDS: dict[str | None, Callable[[int], Timed]] = {
    None: thread_crowd,
    "asyncio": asyncio_crowd,
    "trio": trio_crowd,
}
"""Event loop, if any -> what times many of its tasks, or many threads."""


async def calibrated(timed: Timed, run: Run, least: int, duration: int) -> int:
    """Find the number of rounds that takes about `duration` nanoseconds."""
    rounds = least
    while (took := await timed(run, rounds)) < duration // 4:
        rounds *= 2
    return max(least, rounds * duration // took)


async def compare(
    timed: Timed, contenders: list[Run], least: int, duration: int, pairs: int
) -> list[list[float]]:
    """Time the contenders by turns; nanoseconds per round, pair by pair."""
    rounds = [await calibrated(timed, run, least, duration) for run in contenders]
    gc.collect()
    gc.freeze()  # what is there by now need not be looked at before every run
    results: list[list[float]] = []
    turn = list(range(len(contenders)))
    for pair in range(-1, pairs):  # the first one warms up
        result = [0.0] * len(contenders)
        # Now the one goes first and now the other.
        for who in turn if pair % 2 else reversed(turn):
            gc.collect()
            result[who] = await timed(contenders[who], rounds[who]) / rounds[who]
        if pair >= 0:
            results.append(result)
    return results


def without_loop(coroutine: Coroutine[Any, Any, list[list[float]]]) -> Any:
    """Run a coroutine that never waits; importing an event loop might disturb."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    message = "without an event loop there is nothing to wait for"
    raise RuntimeError(message)


def main() -> None:
    """Read a trial from the command line and print its results as JSON."""
    trial = json.loads(sys.argv[1])
    loop: str | None = trial["loop"]
    tasks: int = trial["tasks"]
    repeats = UNROLLED if tasks == 1 else 1

    def comparison() -> Coroutine[Any, Any, list[list[float]]]:
        timed: Timed = in_task if loop else alone
        if tasks > 1:
            timed = CROWDS[loop](tasks)
        contenders = [compiled(each, loop, repeats) for each in trial["contenders"]]
        least = trial["least"]
        return compare(timed, contenders, least, trial["duration"], trial["pairs"])

    async def in_loop() -> list[list[float]]:
        # The locks are made inside of the loop: some bind to it from the start.
        return await comparison()

    if tasks == 1:
        gc.disable()
    if loop == "asyncio":
        import asyncio

        results = asyncio.run(in_loop())
    elif loop == "trio":
        import trio

        results = trio.run(in_loop)
    else:
        results = without_loop(comparison())
    executions = repeats * tasks
    json.dump(
        {
            "nanoseconds": [[each / executions for each in pair] for pair in results],
            "imported": [module for module in WATCHED if module in sys.modules],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
