"""Mutates the code of the locks, by cosmic-ray, and says which mutants the tests miss.

    python verification/mutation/run.py --work DIR [MODULE ...]

MODULE is a part of a path that `mutation.toml` names; without one, all are mutated.
What has been done stays in DIR, and is not done again until the module changes. When
the tests have changed, `--again` runs those mutants that survived. The project itself
is never touched: mutants live in copies of it.

cosmic-ray's own command knows one test command for all modules and makes of one
comparison seven mutants. Here each module has its tests, and a mutant that compiles to
the same code as the original or as another mutant is not run.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import shlex
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import SimpleQueue, get_context
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import tomllib
from cosmic_ray import plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult
from operators import Provider
from sameness import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

plugins.OPERATOR_PROVIDERS["anylock"] = Provider()

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
CONFIG: dict[str, Any] = tomllib.loads((HERE / "mutation.toml").read_text())
ALONE = """
    "$@" >output.txt 2>&1; code=$?
    trap "" TERM; kill -TERM 0
    cat output.txt; exit $code
"""
"""Runs a command, and ends what it leaves behind: a forked child that hangs would keep
the output open, and cosmic-ray waiting for the end of it."""

SKIPPED = WorkResult(WorkerOutcome.SKIPPED)


def command(tests: Iterable[str]) -> str:
    """Return the command that runs these tests."""
    seconds = CONFIG["seconds_per_test"]
    return shlex.join(
        # By "thread" the process ends at once: a hung mutant would not end otherwise.
        [
            *("sh", "-c", ALONE, "sh"),
            *(sys.executable, "-m", "pytest", "-q", "-x", "-o", "addopts="),
            *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest"),
            *(f"--timeout={seconds}", "--timeout-method=thread"),
            *("-k", f"not ({CONFIG['but_not']})", *tests),
        ]
    )


# Which mutants there are.


def skip_the_same(database: WorkDB, source: str) -> None:
    """Mark those that are not to be run."""
    wanted = re.compile("|".join(CONFIG["operators"]))
    covered = [
        "no cover" not in line and "no mutant" not in line
        for line in source.splitlines()
    ]
    seen, skipped = {compiled(source)}, []
    for item in sorted(database.pending_work_items, key=where):
        (spec,) = item.mutations
        if wanted.fullmatch(spec.operator_name) and covered[spec.start_pos[0] - 1]:
            operator = plugins.get_operator(spec.operator_name)()
            with suppress(SyntaxError):  # it takes the star of f(*args) for a product
                key = compiled(mutate_code(source, operator, spec.occurrence))
                if key not in seen:
                    seen.add(key)
                    continue
        skipped.append(item.job_id)
    database.set_multiple_results(skipped, SKIPPED)


def where(item: Any) -> tuple[Any, ...]:
    """Sort mutants by where they are."""
    (spec,) = item.mutations
    return (*spec.start_pos, spec.operator_name, spec.occurrence)


# How they are run.


def make_copy(target: Path) -> Path:
    """Copy what the tests need."""
    shutil.rmtree(target, ignore_errors=True)
    for name in ("src", "tests", "examples", "benchmarks", "docs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, target / name, ignore=ignored)
    for path in itertools.chain(PROJECT.glob("*.md"), PROJECT.glob("*.toml")):
        shutil.copy(path, target)
    return target


def move_into(copies: SimpleQueue[Path]) -> None:
    """Make a copy the current folder of this process, and what its tests import."""
    copy = copies.get()
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "src")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def baseline(tests: list[str], module: str) -> float:
    """Run the tests of a module as it is, and broken; return the seconds they take."""
    began = monotonic()
    outcome, output = run_tests(command(tests), 600)
    seconds = monotonic() - began
    if outcome is not TestOutcome.SURVIVED:
        sys.exit(f"the tests of {module} fail without any mutant:\n{output}")
    original = Path(module).read_text()
    Path(module).write_text("raise SystemError('the tests see the mutants')\n")
    outcome, output = run_tests(command(tests), 600)
    Path(module).write_text(original)
    if outcome is TestOutcome.SURVIVED:
        sys.exit(f"the tests of {module} do not import the copy")
    return seconds


def survivors(database: WorkDB) -> list[tuple[Any, WorkResult]]:
    """Return the mutants that no test noticed, and what is known of each."""
    return [
        (item, result)
        for item, result in database.completed_work_items
        if result.test_outcome is TestOutcome.SURVIVED
    ]


def run(
    database: WorkDB, items: Iterable[Any], tests: list[str], seconds: float, pool: Any
) -> None:
    """Run these mutants."""
    started = {
        pool.submit(mutate_and_test, item.mutations, command(tests), seconds): item
        for item in sorted(items, key=where)
    }
    for done in as_completed(started):
        database.set_result(started[done].job_id, done.result())


# What is reported.


def tally(database: WorkDB) -> dict[str, int]:
    """Count the mutants by what became of them."""
    counts = dict.fromkeys(("mutants", "killed", "hung", "survived", "not run"), 0)
    counts["not run"] = len(database.pending_work_items)
    for _, result in database.completed_work_items:
        if result.worker_outcome is WorkerOutcome.SKIPPED:
            continue
        if result.test_outcome is TestOutcome.SURVIVED:
            counts["survived"] += 1
        elif result.output == "timeout" or "+ Timeout +" in result.output:
            counts["hung"] += 1
        else:
            counts["killed"] += 1
    counts["mutants"] = sum(counts.values())
    return counts


def report(module: str, database: WorkDB) -> None:
    """Print the counts of one module, and the mutants that survived."""
    for item, result in sorted(survivors(database), key=lambda pair: where(pair[0])):
        (spec,) = item.mutations
        print(f"\n{module}:{spec.start_pos[0]} {spec.operator_name}")
        lines = result.diff.splitlines()[3:]
        print(*(line for line in lines if line.strip()), sep="\n")
    print("\n" + module + ":", *(f"{name} {n}," for name, n in tally(database).items()))


def main() -> None:
    """Run the mutants of the modules that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="report, run nothing")
    parser.add_argument("--again", action="store_true", help="run survivors again")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    copies: SimpleQueue[Path] = get_context("fork").SimpleQueue()
    for number in range(options.jobs):
        copies.put(make_copy(work / f"copy-{number}"))
    home = make_copy(work / "copy")
    os.chdir(home)
    os.environ["PYTHONPATH"] = str(home / "src")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with ProcessPoolExecutor(
        options.jobs, get_context("fork"), move_into, (copies,)
    ) as pool:
        for module, suites in CONFIG["modules"].items():
            if options.modules and not any(part in module for part in options.modules):
                continue
            tests = [
                test
                for suite in suites
                for test in CONFIG["suites"].get(suite, [suite])
            ]
            name = module.removeprefix("src/anylock/").replace("/", ".")
            source = Path(module).read_text()
            version = hashlib.sha256(source.encode()).hexdigest()[:8]
            path = work / f"{name}.{version}.sqlite"
            with use_db(path, WorkDB.Mode.create) as database:
                if not database.num_work_items:
                    init([Path(module)], database, {})
                    skip_the_same(database, source)
                items = [*database.pending_work_items]
                if options.again:
                    items += [item for item, _ in survivors(database)]
                print(f"{module}: {len(items)} to run", flush=True)
                if items and not options.list:
                    seconds = 30 + 5 * baseline(tests, module)
                    run(database, items, tests, seconds, pool)
                report(module, database)


if __name__ == "__main__":
    main()
