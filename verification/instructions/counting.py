"""Counts the instructions of the workloads, by callgrind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .comparison import Count
from .worker import EXECUTIONS
from .workloads import WORKLOADS, Contender, Workload, contenders

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ROOT = Path(__file__).parent.parent.parent
PARTS = 3
"""In how many a contender is written down: what is before, a few rounds, many."""


def count(keys: list[str]) -> dict[str, Count]:
    """Count the workloads of these keys, or all; those of an event loop at a time."""
    return _of_each_loop(_count, keys)


def count_frames(keys: list[str]) -> dict[str, float]:
    """Count their Python frames alone, which takes no valgrind."""
    return _of_each_loop(_count_frames, keys)


def _of_each_loop(
    counting: Callable[[list[Workload]], dict[str, T]], keys: list[str]
) -> dict[str, T]:
    chosen = [each for each in WORKLOADS if not keys or each.key in keys]
    loops = {
        each.loop: [one for one in chosen if one.loop == each.loop] for each in chosen
    }
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        counted = list(pool.map(counting, loops.values()))
    return {key: each for group in counted for key, each in group.items()}


def _count_frames(workloads: list[Workload]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return _work(workloads, folder)


def _count(workloads: list[Workload]) -> dict[str, Count]:
    with tempfile.TemporaryDirectory() as folder:
        callgrind = (
            *("valgrind", "--tool=callgrind", "--dump-before=getppid"),
            f"--callgrind-out-file={folder}/part",
        )
        frames = _work(workloads, folder, callgrind)
        parts = sorted(
            Path(folder).glob("part.*"), key=lambda part: int(part.suffix[1:])
        )
        totals = [_total(part) for part in parts]
    counted = contenders(workloads)
    if len(totals) != PARTS * len(counted):
        message = (
            f"{len(totals)} parts of {len(counted)} contenders: who calls getppid?"
        )
        raise SystemExit(message)
    instructions: dict[Contender, int] = {}
    for contender, few, many in zip(
        counted, totals[1::PARTS], totals[2::PARTS], strict=True
    ):
        instructions[contender] = round((many - few) / EXECUTIONS / contender.tasks)
    return {
        each.key: Count(
            instructions[each.ours], instructions[each.peer], frames[each.key]
        )
        for each in workloads
    }


def _work(
    workloads: list[Workload], folder: str, under: tuple[str, ...] = ()
) -> dict[str, float]:
    """Run workloads of one event loop; give the frames of each."""
    # Where things are in memory depends on the hashes of strings. On where programs
    # are, which changes from run to run, valgrind decides, and always in the same way.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith(("ANYLOCK_", "PYTHON"))
    }
    environment["PYTHONHASHSEED"] = "0"
    done = subprocess.run(
        [
            *under,
            *(sys.executable, "-m", "verification.instructions.worker"),
            *(workloads[0].loop or "none", folder),
            *(each.key for each in workloads),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    frames: dict[str, float] = json.loads(done.stdout)
    return frames


def _total(part: Path) -> int:
    (total,) = re.findall(
        r"^totals: (\d+)", part.read_text(encoding="utf-8"), re.MULTILINE
    )
    return int(total)
