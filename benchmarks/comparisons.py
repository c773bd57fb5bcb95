"""Runs the workers of core.py, and finds how ours compares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import rows
from findings import Finding, Spread, compared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def timed(row: rows.Row, effort: Effort) -> Iterator[Finding | Skipped]:
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


def mixed(mixture: rows.Mixture, effort: Effort) -> Iterator[Finding | Skipped]:
    """Compare what threads and tasks achieve on our lock and on a peer."""
    for peer in mixture.peers:
        needs = ["trio"] if mixture.trio else []
        absent = missing(*needs, *rows.LOCKS[peer][1])
        if absent:
            yield Skipped(mixture.key, mixture.what, f"{peer}: {absent}")
            continue
        runs: list[tuple[Any, Any]] = []
        for turn in range(effort.mixtures):
            labels = ["thread", peer] if turn % 2 else [peer, "thread"]
            done = {}
            for label in labels:
                setup, _ = rows.LOCKS[label]
                task = {**asdict(mixture), "label": label, "setup": setup}
                del task["target"], task["worst_wait"]
                done[label] = work("mixture.py", {**task, "seconds": effort.seconds})
            runs.append((done["thread"], done[peer]))
        yield from _mixture_findings(mixture, peer, runs)


def _mixture_findings(
    mixture: rows.Mixture, peer: str, runs: list[tuple[Any, Any]]
) -> Iterator[Finding]:
    first = peer == mixture.peers[0]
    if mixture.hold:
        columns = _columns(runs, partial(_wait, quantile=1.0))
        ours, theirs = (Spread.range_of(column) for column in columns)
        yield Finding(
            mixture.key,
            mixture.what,
            f"{peer}, worst wait",
            "ms",
            ours,  # the worst of all must not hide behind quartiles
            theirs,
            compared(*columns)[2],
            mixture.worst_wait if first else None,
            note=f"worst of all: {ours.high:.1f}, peer {theirs.high:.1f}",
        )
        columns = _columns(runs, partial(_wait, quantile=0.99))
        label = "  99 % wait less than"
        yield Finding(mixture.key, mixture.what, label, "ms", *compared(*columns))
    else:
        columns = _columns(runs, _per_second)
        yield Finding(
            mixture.key,
            mixture.what,
            f"{peer}, all",
            "/s",
            *compared(*columns),
            target=mixture.target if first else None,
        )
    for side in runs[0][0]["counts"]:
        columns = _columns(runs, partial(_per_second, side=side))
        least = [
            min(min(run["counts"][side]) / run["seconds"] for run in column)
            for column in zip(*runs, strict=True)
        ]
        yield Finding(
            mixture.key,
            mixture.what,
            f"  by {side}",
            "/s",
            *compared(*columns),
            # A sum could hide that one of them starves.
            note=f"least served: {least[0]:,.0f}, peer {least[1]:,.0f}",
        )


def _columns(
    runs: list[tuple[Any, Any]], value: Callable[[Any], float]
) -> tuple[list[float], list[float]]:
    return [value(ours) for ours, _ in runs], [value(theirs) for _, theirs in runs]


def _wait(run: Any, quantile: float) -> float:
    waits: list[float] = run["waits"]
    return waits[min(int(len(waits) * quantile), len(waits) - 1)] * 1000


def _per_second(run: Any, side: str | None = None) -> float:
    counts = run["counts"].values() if side is None else [run["counts"][side]]
    seconds: float = run["seconds"]
    return sum(map(sum, counts)) / seconds


def imports(effort: Effort) -> Iterator[Finding | Skipped]:
    """Measure how much longer than nothing an import takes, and what it drags in."""
    what = "import, beyond bare Python"
    peers = []
    for peer in rows.PEER_IMPORTS:
        absent = missing(*peer.needs)
        if absent:
            yield Skipped(rows.IMPORT_KEY, what, f"{peer.label}: {absent}")
        else:
            peers.append(peer.statement)
    statements = [*rows.OUR_IMPORTS, *peers]
    beyond: dict[str, list[float]] = {statement: [] for statement in statements}
    bare: list[float] = []
    with TemporaryDirectory() as cache:
        # As users have it: compiled once, whatever this environment is told.
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(-1, effort.imports):  # the first one compiles
            for statement in statements:
                pair = [_start_up("pass", environ), _start_up(statement, environ)]
                if turn >= 0:
                    bare.append(pair[0])
                    beyond[statement].append(pair[1] - pair[0])
    for statement in rows.OUR_IMPORTS:
        dragged = _dragged_in(statement)
        ours = Spread.of(beyond[statement])
        first = statement == rows.OUR_IMPORTS[0]
        for peer_statement in peers:
            judged = first and peer_statement == peers[0]
            yield Finding(
                rows.IMPORT_KEY,
                f"{statement}, beyond bare Python",
                peer_statement,
                "ms",
                ours,
                Spread.of(beyond[peer_statement]),
                target=rows.IMPORT_TARGET if judged else None,
                details={"bare": asdict(Spread.of(bare)), "modules": dragged},
            )
        unwanted = [module for module in rows.UNWANTED if module in dragged]
        yield Finding(
            rows.IMPORT_KEY,
            f"{statement}, beyond bare Python",
            "imported, but unwanted",
            "",
            Spread.of([len(unwanted)]),
            target=rows.UNWANTED_TARGET,
            details={"unwanted": unwanted, "looked for": rows.UNWANTED},
        )


def _start_up(statement: str, environ: dict[str, str]) -> float:
    command = [sys.executable, "-c", statement]
    start = perf_counter()
    # Without a timeout: with one, subprocess looks at ever longer intervals whether
    # the process has ended, and these would be measured.
    subprocess.run(command, check=True, env=environ)
    return (perf_counter() - start) * 1000


def _dragged_in(statement: str) -> list[str]:
    """Name the modules that a statement imports beyond those of bare Python."""
    source = f"import sys; bare = {{*sys.modules}}; {statement}; "
    source += "print(*{*sys.modules} - bare)"
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return sorted(done.stdout.split())


def sizes(_effort: Effort) -> Iterator[Finding | Skipped]:
    """Count the bytes of a lock."""
    row = rows.SIZED
    ours = work("footprint.py", asdict(row.ours))
    for peer in row.peers:
        absent = missing(*peer.needs)
        if absent:
            yield Skipped(
                rows.SIZE_KEY, "bytes of a thread lock", f"{peer.label}: {absent}"
            )
            continue
        theirs = work("footprint.py", asdict(peer))
        for method, label in (("traced", "tracemalloc"), ("parts", "getsizeof")):
            mine, others, ratio = compared([ours[method]], [theirs[method]])
            yield Finding(
                rows.SIZE_KEY,
                "bytes of a thread lock",
                f"{peer.label}, {label}",
                "bytes",
                mine,
                others,
                ratio,
                rows.SIZE_TARGET if peer is row.peers[0] else None,
            )
