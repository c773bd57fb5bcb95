"""Runs the workers, and finds how ours compares."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from findings import Finding, Spread, compared
from rows import made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rows import Mixture, Row

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        processes: How many interpreters per comparison.
        pairs: How many runs of each contender in an interpreter.
        duration: Nanoseconds per run.
        mixtures: How many runs of a mixture of threads and tasks.
        seconds: The length of such a run.
        imports: How many interpreters import each module.
    """

    processes: int
    pairs: int
    duration: int
    mixtures: int
    seconds: float
    imports: int


LEAST_ROUNDS = 10
"""Rounds per task where many contend, so that starting them does not count."""

PATIENCE = 300
"""Seconds after which a worker counts as hung."""


class BrokenWorkerError(Exception):
    """A worker did not come to an end, or came to a bad one."""


def work(worker: str, task: dict[str, Any]) -> Any:
    """Run a worker in a fresh interpreter of this very kind."""
    command = [sys.executable, str(HERE / worker), json.dumps(task)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"{worker} did not end within {PATIENCE} seconds"
        raise BrokenWorkerError(message) from None
    if done.returncode:
        message = f"{worker} ended with status {done.returncode}:\n{done.stderr}"
        raise BrokenWorkerError(message)
    return json.loads(done.stdout)


def missing(*needs: str) -> str | None:
    """Say what is not installed."""
    absent = [need for need in dict.fromkeys(needs) if find_spec(need) is None]
    return f"{', '.join(absent)} not installed" if absent else None


@dataclass(frozen=True)
class Skipped:
    """A part of a row that was left out.

    Args:
        key: The row.
        what: The row in words.
        reason: What was left out, and why.
    """

    key: str
    what: str
    reason: str


def timed(row: Row, effort: Effort) -> Iterator[Finding | Skipped]:
    """Compare ours with each peer of a row."""
    loop = [row.loop] if row.loop == "trio" else []
    for peer in row.peers:
        absent = missing(*row.ours.needs, *peer.needs, *loop)
        if absent:
            yield Skipped(row.key, row.what, f"{peer.label}: {absent}")
            continue
        trial = {
            "contenders": [asdict(row.ours), asdict(peer)],
            "loop": row.loop,
            "tasks": row.tasks,
            "least": 1 if row.tasks == 1 else LEAST_ROUNDS,
            "duration": effort.duration,
            "pairs": effort.pairs,
        }
        done = [work("trial.py", trial) for _ in range(effort.processes)]
        pairs = [pair for each in done for pair in each["nanoseconds"]]
        imported = done[0]["imported"]
        trio = "trio" in imported
        yield Finding(
            row.key,
            row.what,
            peer.label,
            "ns",
            *compared(*zip(*pairs, strict=True)),
            target=row.target if peer is row.peers[0] else None,
            # Locks look for trio, so its presence may cost asyncio something.
            note="trio is imported" if row.loop == "asyncio" and trio else "",
            details={"imported": imported},
        )


def mixed(mixture: Mixture, effort: Effort) -> Iterator[Finding | Skipped]:
    """Compare what threads and tasks achieve on our lock and on a peer."""
    for peer in mixture.peers:
        needs = ["trio"] if mixture.trio else []
        absent = missing(*needs, *made(peer)[1])
        if absent:
            yield Skipped(mixture.key, mixture.what, f"{peer}: {absent}")
            continue
        runs: list[tuple[Any, Any]] = []
        for turn in range(effort.mixtures):
            labels = [mixture.ours, peer] if turn % 2 else [peer, mixture.ours]
            done = {}
            for label in labels:
                setup, _ = made(label)
                task = {**asdict(mixture), "label": label, "setup": setup}
                del task["target"], task["worst_wait"]
                done[label] = work("mixture.py", {**task, "seconds": effort.seconds})
            runs.append((done[mixture.ours], done[peer]))
        yield from _mixture_findings(mixture, peer, runs)


def _mixture_findings(
    mixture: Mixture, peer: str, runs: list[tuple[Any, Any]]
) -> Iterator[Finding]:
    first = peer == mixture.peers[0]

    def ranges(
        value: Callable[[Any], float],
    ) -> tuple[Spread, Spread, Spread | None]:
        ours, theirs = zip(*runs, strict=True)
        # There are few runs, and what they give depends on who came first and stayed:
        # none of them must hide behind quartiles.
        return compared(map(value, ours), map(value, theirs), spread=Spread.range_of)

    if mixture.hold:
        ours, theirs, ratio = ranges(partial(_wait, quantile=1.0))
        yield Finding(
            mixture.key,
            mixture.what,
            f"{peer}, worst wait",
            "ms",
            ours,
            theirs,
            ratio,
            mixture.worst_wait if first else None,
            note=f"worst of all: {ours.high:.1f}, peer {theirs.high:.1f}",
        )
        label = "  99 % wait less than"
        waits = ranges(partial(_wait, quantile=0.99))
        yield Finding(mixture.key, mixture.what, label, "ms", *waits)
    else:
        yield Finding(
            mixture.key,
            mixture.what,
            f"{peer}, all",
            "/s",
            *ranges(_per_second),
            target=mixture.target if first else None,
        )
    for side in runs[0][0]["counts"]:
        least = [
            min(min(run["counts"][side]) / run["seconds"] for run in column)
            for column in zip(*runs, strict=True)
        ]
        yield Finding(
            mixture.key,
            mixture.what,
            f"  by {side}",
            "/s",
            *ranges(partial(_per_second, side=side)),
            # A sum could hide that one of them starves.
            note=f"least served: {least[0]:,.0f}, peer {least[1]:,.0f}",
        )


def _wait(run: Any, quantile: float) -> float:
    waits: list[float] = run["waits"]
    return waits[min(int(len(waits) * quantile), len(waits) - 1)] * 1000


def _per_second(run: Any, side: str | None = None) -> float:
    counts = run["counts"].values() if side is None else [run["counts"][side]]
    seconds: float = run["seconds"]
    return sum(map(sum, counts)) / seconds
