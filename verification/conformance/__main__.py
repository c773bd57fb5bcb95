"""Runs all suites, each in a process of its own, and compares with what is listed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from .differences import DIFFERENCES
from .suites import LIMIT, SUITES, Suite

GRACE = 20
"""Seconds after the limit at which a suite that did not end itself is killed."""

HEADINGS = ("ours", "CPython's", "runs", "tests", "passed", "known", "skipped")
LINE = "{:<26} {:<22} {:>7} {:>7} {:>7} {:>7} {:>7}"


def outcomes_of(suite: Suite) -> tuple[dict[str, str], str]:
    """Run a suite; return what became of its tests, and what was written meanwhile."""
    with tempfile.TemporaryDirectory() as directory:
        result, log = Path(directory, "result"), Path(directory, "log")
        # Files, not pipes: a process that a test left behind would keep these open.
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.one", suite.name, str(result)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LIMIT + GRACE)
            finally:
                kill_session(process)
        written = log.read_text(errors="replace")
        return json.loads(result.read_text()) if result.exists() else {}, written


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """End what a suite has started, and itself if it still runs."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def judge(suite: Suite, outcomes: dict[str, str]) -> tuple[Counter[str], list[str]]:
    """Compare what became of the tests with what is listed; return what is wrong."""
    if not outcomes:
        return Counter(), [f"it came to no end within {LIMIT} s, or to a bad one"]
    concerning = [item for item in DIFFERENCES if item.concerns(suite)]
    listed = {test for item in concerning for test in item.tests}
    failed = {name for name, outcome in outcomes.items() if outcome == "failed"}
    problems = [f"{name} failed, and is not listed" for name in failed - listed]
    problems += [
        f"{name} is listed, but {outcomes.get(name, 'does not exist')}"
        for name in listed - failed
    ]
    counts = Counter(outcomes.values())
    counts.update(runs=1, tests=len(outcomes), known=len(failed & listed))
    return counts, sorted(problems)


def problems_of_the_list() -> list[str]:
    """Name the differences that are of no suite at all."""
    rows = {suite.row for suite in SUITES}
    strays = [item for item in DIFFERENCES if item.row not in rows]
    return [f"{item} is listed, but of no suite" for item in strays]


def tally(suites: list[Suite], jobs: int) -> list[str]:
    """Run the suites, printing a line for each row; return what is wrong."""
    problems: list[str] = []
    print(LINE.format(*HEADINGS))
    with ThreadPoolExecutor(jobs) as pool:
        results = zip(suites, pool.map(outcomes_of, suites), strict=True)
        for row, group in groupby(results, lambda result: result[0].row):
            counts: Counter[str] = Counter()
            for suite, (outcomes, written) in group:
                numbers, found = judge(suite, outcomes)
                counts += numbers
                if found:
                    print(f"\n{suite.name}\n{written}", file=sys.stderr)
                problems += [f"{suite.name}: {problem}" for problem in found]
            columns = [counts[heading] for heading in HEADINGS[2:]]
            print(LINE.format(*row, *columns), flush=True)
    return problems


def main() -> int:
    """Run the suites and say what came of it; return the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="Run CPython's own tests of locks against the classes of anylock.",
    )
    parser.add_argument("only", nargs="?", default="", help="a part of suites' names")
    parser.add_argument("--jobs", type=int, default=4, help="suites at a time")
    options = parser.parse_args()

    chosen = [suite for suite in SUITES if options.only in suite.name]
    if not chosen:
        names = "\n".join(suite.name for suite in SUITES)
        parser.error(f"no suite has that in its name; there are\n{names}")
    missing = {suite.module for suite in chosen if not suite.shipped}
    print(f"{platform.python_implementation()} {platform.python_version()}\n")
    problems = problems_of_the_list()
    problems += tally([suite for suite in chosen if suite.shipped], options.jobs)
    for module in sorted(missing):
        print(f"not run: this Python comes without {module}")
    print("\nknown: they differ, and differences.py says why")
    for problem in problems:
        print(f"ERROR: {problem}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
