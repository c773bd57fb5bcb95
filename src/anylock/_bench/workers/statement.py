"""Executes one statement over and over, timed by pyperf: a worker.

The statement is written out ten times in the body of the loop, so that the loop itself
does not pull every ratio towards one. The garbage collector is off, as in timeit.

pyperf finds out how many loops take long enough, warms up, and times them as often as
it is told. It would also start its own processes for that, but all those of one
contender before those of the next; here the contenders take turns, so that each process
is one of pyperf's workers.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from importlib import import_module
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from anylock._bench.workers.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable

UNROLLED = 10
"""How often a round executes the statement."""


def compiled(contender: dict[str, Any], loop: str | None, path: str) -> Any:
    """Compile the function that executes a statement, and returns the seconds."""
    source = "\n".join(
        [
            contender["setup"],
            f"{'async ' if loop else ''}def run(rounds, lock=lock):",
            *_indented(contender["start"], 1),
            "    began = perf_counter()",
            "    for _ in range(rounds):",
            *_indented(contender["statement"], 2) * UNROLLED,
            "    seconds = perf_counter() - began",
            *_indented(contender["finish"], 1),
            "    return seconds",
        ]
    )
    namespace: dict[str, Any] = {"perf_counter": perf_counter, "path": path}
    code = compile(source, f"<{contender['label']}>", "exec")
    exec(code, namespace)  # noqa: S102 - as timeit does, with the text of the rows
    return namespace["run"]


def _indented(text: str, depth: int) -> list[str]:
    return [f"{'    ' * depth}{line}" for line in text.splitlines()]


def timer(contender: dict[str, Any], loop: str | None, path: str) -> Callable[..., Any]:
    """Give a function that executes so many rounds, and returns the seconds."""
    if loop is None:
        run: Callable[..., Any] = compiled(contender, loop, path)
        return run

    async def in_loop(rounds: int) -> Any:
        # The lock is made inside of the loop: some bind to it from the start.
        return await compiled(contender, loop, path)(rounds)

    if loop == "asyncio":
        import asyncio

        def in_asyncio(rounds: int) -> Any:
            return asyncio.run(in_loop(rounds))

        return in_asyncio
    import trio

    return partial(trio.run, in_loop)  # type: ignore[arg-type]  # it takes arguments


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Time a statement, with so many rounds, or find out how many are needed."""
    rounds: int | None = task["rounds"]
    with TemporaryDirectory() as folder:
        run = timer(task["contender"], task["loop"], f"{folder}/lock")
        gc.disable()
        run(1)
        trio = "trio" in sys.modules
        # Only now: what it imports could decide which paths a lock takes. By its name,
        # because it has no types.
        pyperf: Any = import_module("pyperf")

        options = ["--worker", "--worker-task=0", "--quiet", "--warmups=1"]
        options += [f"--values={task['values']}", f"--min-time={task['value']}"]
        options += [f"--loops={rounds}"] if rounds else ["--calibrate-loops"]
        runner = pyperf.Runner()
        runner.parse_args(options)
        bench = runner.bench_time_func("statement", run, inner_loops=UNROLLED)
        result = bench.get_runs()[0]
    return {
        "rounds": result.get_loops(),
        "nanoseconds": [value * 1e9 for value in result.values],
        "trio": trio,
    }


if __name__ == "__main__":
    serve(measure)
