"""The program that every benchmark is: measures its rows and prints the table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from time import monotonic
from typing import Any

from comparisons import BrokenWorkerError, Effort, Skipped
from environment import load, surroundings
from findings import HEADING, Finding

Measurements = dict[str, Callable[[Effort], Iterator[Finding | Skipped]]]
"""Key -> what measures that row."""

QUICK = Effort(
    processes=2, pairs=8, duration=2_000_000, mixtures=3, seconds=0.25, imports=10
)
FULL = Effort(
    processes=5, pairs=25, duration=5_000_000, mixtures=10, seconds=1.0, imports=50
)


def arguments(subject: str, measurements: Measurements) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=f"How {subject} compares with its peers.",
        epilog=f"The rows: {', '.join(measurements)}.",
    )
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--json", metavar="FILE", help="- for standard output")
    parser.add_argument(
        "--only",
        metavar="ROW",
        action="append",
        choices=list(measurements),
        help="measure this row; may be given several times",
    )
    return parser.parse_args()


def main(subject: str, measurements: Measurements) -> int:
    """Measure, print as it goes, and give the exit status.

    Args:
        subject: What is measured, for the help.
        measurements: What measures which row.
    """
    options = arguments(subject, measurements)
    table = sys.stderr if options.json == "-" else sys.stdout
    say = partial(print, file=table, flush=True)
    began = monotonic()
    environment = surroundings()
    for label, value in environment.items():
        say(f"{label}: {value}")
    say(f"\n{HEADING}")
    effort = QUICK if options.quick else FULL
    findings: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    broken: list[dict[str, str]] = []
    for key in options.only or measurements:
        shown = None
        try:
            for found in measurements[key](effort):
                if found.what != shown:
                    shown = found.what
                    say(shown)
                if isinstance(found, Finding):
                    findings.append(found.as_json())
                    say(found.line())
                else:
                    skipped.append({"key": key, "reason": found.reason})
                    say(f"  left out: {found.reason}")
        except (BrokenWorkerError, CalledProcessError) as error:
            broken.append({"key": key, "error": str(error)})
            say(f"{key}: broken: {error}")
    environment["load at the end"] = load()
    environment["seconds"] = f"{monotonic() - began:.0f}"
    say(f"\nload at the end: {load()}; {environment['seconds']} seconds")
    if options.json:
        report = {
            "environment": environment,
            "quick": options.quick,
            "findings": findings,
            "skipped": skipped,
            "broken": broken,
        }
        text = json.dumps(report, indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    return 1 if broken else 0
