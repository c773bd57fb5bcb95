"""How anylock's core compares: python benchmarks/core.py [--quick] [--json FILE].

Prints where it ran and, for every target of the design, our median, those of the
peers in the same run, the ratio with its spread (quartiles of the ratios of runs side
by side; for worst waits the range), and whether the target holds: that is "unclear"
where the target lies within the spread. Only ratios can be compared between machines,
and on a busy one only those. Nothing is asserted: the exit status is 0 unless a
measurement itself breaks.

Every comparison runs in fresh interpreters that import nothing but what it needs;
trial.py, mixture.py and footprint.py say how each is done. Peers that are not
installed are named and left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from time import monotonic
from typing import TYPE_CHECKING, Any

import rows
from comparisons import (
    BrokenWorkerError,
    Effort,
    Skipped,
    imports,
    mixed,
    sizes,
    timed,
)
from environment import load, surroundings
from findings import HEADING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = Effort(
    processes=2, pairs=8, duration=2_000_000, mixtures=2, seconds=0.3, imports=10
)
FULL = Effort(
    processes=5, pairs=25, duration=5_000_000, mixtures=5, seconds=2.0, imports=50
)

MEASUREMENTS: dict[str, Callable[[Effort], Iterator[Finding | Skipped]]] = {
    **{row.key: partial(timed, row) for row in rows.TARGET_ROWS},
    **{mixture.key: partial(mixed, mixture) for mixture in rows.MIXTURES},
    rows.IMPORT_KEY: imports,
    **{row.key: partial(timed, row) for row in rows.CREATION_ROWS},
    rows.SIZE_KEY: sizes,
    **{row.key: partial(timed, row) for row in rows.FURTHER_ROWS},
}
"""Key -> what measures that row."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="How anylock's core compares with its peers.",
        epilog=f"The rows: {', '.join(MEASUREMENTS)}.",
    )
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", metavar="FILE", help="- for standard output")
    parser.add_argument(
        "--only",
        metavar="ROW",
        action="append",
        choices=list(MEASUREMENTS),
        help="measure this row; may be given several times",
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print as it goes, and give the exit status."""
    options = arguments()
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
    for key in options.only or MEASUREMENTS:
        shown = None
        try:
            for found in MEASUREMENTS[key](effort):
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


if __name__ == "__main__":
    sys.exit(main())
