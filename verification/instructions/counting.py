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

from .comparison import Count
from .worker import EXECUTIONS
from .workloads import WORKLOADS, Contender, Workload, contenders

ROOT = Path(__file__).parent.parent.parent
PARTS = 3
"""In how many a contender is written down: what is before, a few rounds, many."""


def count(keys: list[str]) -> dict[str, Count]:
    """Count the workloads of these keys, or all; those of an event loop at a time."""
    chosen = [each for each in WORKLOADS if not keys or each.key in keys]
    loops = {
        each.loop: [one for one in chosen if one.loop == each.loop] for each in chosen
    }
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = list(pool.map(_count, loops.values()))
    return {key: each for group in counted for key, each in group.items()}


def _count(workloads: list[Workload]) -> dict[str, Count]:
    # Where things are in memory depends on the hashes of strings. On where programs
    # are, which changes from run to run, valgrind decides, and always in the same way.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith(("ANYLOCK_", "PYTHON"))
    }
    environment["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "--dump-before=getppid"),
                f"--callgrind-out-file={folder}/part",
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
        frames = json.loads(done.stdout)
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


def _total(part: Path) -> int:
    (total,) = re.findall(
        r"^totals: (\d+)", part.read_text(encoding="utf-8"), re.MULTILINE
    )
    return int(total)
