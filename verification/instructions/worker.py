"""Runs workloads: under callgrind, which counts their instructions, or without.

    python -m verification.instructions.worker LOOP FOLDER [KEY ...]

LOOP is "none", "asyncio" or "trio": which modules are imported decides which paths a
lock takes. Prints how many Python frames of anylock each workload runs.

Each contender runs a few rounds, and then many. Between them it calls `os.getppid`,
at which callgrind writes down what it has counted since the last time. Nobody else
calls that, and what is the same for few rounds and for many cancels out.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import anylock

from .workloads import WORKLOADS, contenders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import FrameType

    from .workloads import Contender, Workload

UNROLLED = 10
"""How often a round executes the statement, for the loop itself not to count much."""

WARM_UP = 110 if sys.version_info < (3, 11) else 5
"""Rounds after which the interpreter remembers where it found attributes: that takes
Python 3.10 until a function was called 1024 times."""

FEW, MANY = 1, 11
"""Rounds."""

EXECUTIONS = (MANY - FEW) * UNROLLED
"""By how many executions they differ."""

WATCHED = 1
"""Rounds in which frames are counted; slow, and the same in each."""

OURS = str(Path(anylock.__file__).parent)

mark = os.getppid


def compiled(contender: Contender, path: str) -> Callable[[int], Any]:
    """Compile the function that executes a contender's statement over and over."""
    loop = contender.loop
    source = "\n".join(
        [
            f"from {loop} import sleep" if loop else "",
            contender.setup,
            f"{'async ' if loop else ''}def run(rounds, lock=lock):",
            "    for _ in range(rounds):",
            *[indent(contender.statement, " " * 8)] * UNROLLED,
        ]
    )
    namespace: dict[str, Any] = {"path": path}
    code = compile(source, f"<{contender.label}>", "exec")
    exec(code, namespace)  # noqa: S102 - as timeit does, with the text of workloads.py
    run: Callable[[int], Any] = namespace["run"]
    return run


async def run_rounds(
    contender: Contender, run: Callable[[int], Any], rounds: int
) -> None:
    """Run so many rounds in each task."""
    if contender.loop is None:
        run(rounds)
    elif contender.tasks == 1:
        await run(rounds)
    elif contender.loop == "asyncio":
        import asyncio

        await asyncio.gather(*(run(rounds) for _ in range(contender.tasks)))
    else:
        import trio

        async with trio.open_nursery() as nursery:
            for _ in range(contender.tasks):
                nursery.start_soon(run, rounds)


async def frames(run_so_many: Callable[[int], Awaitable[None]]) -> float:
    """Count how often a round enters or resumes a Python frame of anylock."""
    entered = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal entered
        entered += event == "call" and frame.f_code.co_filename.startswith(OURS)

    before = sys.getprofile()  # of a measurement of coverage, for one
    counts: list[int] = []
    for rounds in (FEW, FEW + WATCHED):
        entered = 0
        sys.setprofile(note)
        try:
            await run_so_many(rounds)
        finally:
            sys.setprofile(before)
        counts.append(entered)
    few, many = counts
    return (many - few) / WATCHED


async def work(workloads: list[Workload], folder: str) -> dict[str, float]:
    """Run the workloads; give the frames of one execution of each."""
    ours = {each.ours: each.key for each in workloads}
    found: dict[str, float] = {}
    for index, contender in enumerate(contenders(workloads)):
        run = compiled(contender, str(Path(folder, f"{index}.lock")))
        run_so_many = partial(run_rounds, contender, run)
        await run_so_many(WARM_UP)
        mark()
        await run_so_many(FEW)
        mark()
        await run_so_many(MANY)
        mark()
        if contender in ours:
            in_a_round = await frames(run_so_many)
            found[ours[contender]] = in_a_round / UNROLLED / contender.tasks
    return found


def without_loop(coroutine: Coroutine[Any, Any, dict[str, float]]) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    message = "without an event loop there is nothing to wait for"
    raise RuntimeError(message)


def main() -> None:
    """Do what the command line says."""
    name, folder, *keys = sys.argv[1:]
    loop = None if name == "none" else name
    chosen = [
        workload
        for workload in WORKLOADS
        if workload.loop == loop and (not keys or workload.key in keys)
    ]
    gc.disable()
    if loop == "asyncio":
        import asyncio

        found = asyncio.run(work(chosen, folder))
    elif loop == "trio":
        import trio

        # trio has tasks run in an order that it draws by lot.
        lots: Any = trio._core._run._r
        lots.seed(0)
        found = trio.run(work, chosen, folder)
    else:
        found = without_loop(work(chosen, folder))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
