"""What a lock costs before it is used: the time to import it, and its bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import core_rows
from comparisons import PATIENCE, Effort, Skipped, missing, work
from findings import Finding, Spread, compared

if TYPE_CHECKING:
    from collections.abc import Iterator


def imports(effort: Effort) -> Iterator[Finding | Skipped]:
    """Measure how much longer than nothing an import takes, and what it drags in."""
    what = "import, beyond bare Python"
    peers = []
    for peer in core_rows.PEER_IMPORTS:
        absent = missing(*peer.needs)
        if absent:
            yield Skipped(core_rows.IMPORT_KEY, what, f"{peer.label}: {absent}")
        else:
            peers.append(peer.statement)
    statements = [*core_rows.OUR_IMPORTS, *peers]
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
    for statement in core_rows.OUR_IMPORTS:
        dragged = _dragged_in(statement)
        ours = Spread.of(beyond[statement])
        first = statement == core_rows.OUR_IMPORTS[0]
        for peer_statement in peers:
            judged = first and peer_statement == peers[0]
            yield Finding(
                core_rows.IMPORT_KEY,
                f"{statement}, beyond bare Python",
                peer_statement,
                "ms",
                ours,
                Spread.of(beyond[peer_statement]),
                target=core_rows.IMPORT_TARGET if judged else None,
                details={"bare": asdict(Spread.of(bare)), "modules": dragged},
            )
        unwanted = [module for module in core_rows.UNWANTED if module in dragged]
        yield Finding(
            core_rows.IMPORT_KEY,
            f"{statement}, beyond bare Python",
            "imported, but unwanted",
            "",
            Spread.of([len(unwanted)]),
            target=core_rows.UNWANTED_TARGET,
            details={"unwanted": unwanted, "looked for": core_rows.UNWANTED},
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
    row = core_rows.SIZED
    ours = work("footprint.py", asdict(row.ours))
    for peer in row.peers:
        absent = missing(*peer.needs)
        if absent:
            yield Skipped(
                core_rows.SIZE_KEY, "bytes of a thread lock", f"{peer.label}: {absent}"
            )
            continue
        theirs = work("footprint.py", asdict(peer))
        for method, label in (("traced", "tracemalloc"), ("parts", "getsizeof")):
            mine, others, ratio = compared([ours[method]], [theirs[method]])
            yield Finding(
                core_rows.SIZE_KEY,
                "bytes of a thread lock",
                f"{peer.label}, {label}",
                "bytes",
                mine,
                others,
                ratio,
                core_rows.SIZE_TARGET if peer is row.peers[0] else None,
            )
