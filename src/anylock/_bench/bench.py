"""The benchmarks themselves: row after row, and what is made of it."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from anylock._bench.catalogue import PARTS, chosen
from anylock._bench.command import FAILED, complain
from anylock._bench.display import progress, show, show_rows
from anylock._bench.effort import EFFORTS
from anylock._bench.environment import load, surroundings
from anylock._bench.report import Report, UnreadableReportError
from anylock._bench.starting import Interrupted, Starter
from anylock._interrupts import interrupts_noted

if TYPE_CHECKING:
    import argparse

    from anylock._bench.plan import Row

BROKE = 1
"""The exit status when a measurement broke."""
INTERRUPTED = 130
"""What shells make of a command that Ctrl-C ended: 128 + SIGINT."""


def run(options: argparse.Namespace) -> int:
    """Run the benchmarks as the command line says, and return the exit status."""
    if options.list:
        show_rows(PARTS, EFFORTS[options.effort])
        return 0
    try:
        _prepare(options.json, options.plot)
        if options.source is not None:
            report = Report.from_json(options.source.read_text(encoding="utf-8"))
        else:
            report = measure(chosen(options.only), options.effort)
        _tell(report, options.json, options.plot)
    except (OSError, UnreadableReportError) as error:
        complain(str(error).splitlines())
        return FAILED
    if not report.complete:
        complain(["interrupted: these are the rows that were done"])
        return INTERRUPTED
    return BROKE if report.broken else 0


def _prepare(json: str | None, plot: Path | None) -> None:
    """Find out before it takes long whether what is found can be written."""
    if json not in {None, "-"}:
        Path(str(json)).open("a", encoding="utf-8").close()
    if plot is not None:
        plot.mkdir(parents=True, exist_ok=True)


def measure(rows: list[Row], effort: str) -> Report:
    """Measure rows, and report what was found; on Ctrl-C, what was found so far."""
    began = monotonic()
    report = Report({**surroundings(), "effort": effort})
    with interrupts_noted() as interrupted, TemporaryDirectory() as folder:
        starter = Starter(interrupted, Path(folder))
        plans = [row.plan(EFFORTS[effort], starter) for row in rows]
        with progress(sum(plan.expected for plan in plans)) as advance:
            try:
                for plan in plans:
                    report.add(list(plan.measured(advance)))
            except Interrupted:
                report.complete = False
    report.environment["load at the end"] = load()
    report.environment["took"] = f"{monotonic() - began:.0f} s"
    return report


def _tell(report: Report, json: str | None, plot: Path | None) -> None:
    show(report, sys.stderr if json == "-" else sys.stdout)
    if json == "-":
        sys.stdout.write(report.as_json())
    elif json is not None:
        Path(json).write_text(report.as_json(), encoding="utf-8")
    if plot is not None:
        # Only now: it takes a second, and is an extra of its own.
        from anylock._bench.plots import draw  # noqa: PLC0415

        for picture in draw(report, plot):
            complain([f"drawn: {picture}"])
