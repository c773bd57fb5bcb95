"""Soaks that tests run, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from anylock._soak.plan import Plan, plans
from anylock._soak.soak import VIOLATED
from anylock._soak.subjects import SUBJECTS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = """if True:
    import sys
    import broken_subjects
    from anylock.__main__ import main
    from anylock._soak import subjects
    subjects.SUBJECTS["thread"] = [broken_subjects.{subject}]
    if __name__ == "__main__":
        sys.exit(main(sys.argv[1:]))
"""


def run_alone(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
        env=environment(),
        **options,
    )


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(sys.path)
    # Not measured: the tracer takes a lock in Python code, and a fork amid that, or a
    # handler that raises, leaves it locked.
    unwanted = ("FORCE_COLOR", "NO_COLOR", "COVERAGE_PROCESS")
    mine = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    return {**mine, "PYTHONPATH": path, "COLUMNS": "120", **more}


def seed_with(subject: Subject, wanted: Callable[[Plan], bool]) -> str:
    """Return a seed with a first round of that subject as it is wanted."""
    before = SUBJECTS["thread"]
    SUBJECTS["thread"] = [subject]
    try:
        return next(
            str(seed)
            for seed in range(1000)
            if wanted(next(plans(seed, ["thread"], 1.0)))
        )
    finally:
        SUBJECTS["thread"] = before


def soak_with(kind: str, label: str, wanted: Callable[[Plan], bool]) -> str:
    """Run one round of a sound subject, planned as it is wanted; return the summary."""
    for seed in range(10_000):
        plan = next(plans(seed, [kind], 1.0))
        if plan.subject.label == label and wanted(plan):
            break
    else:
        pytest.fail("there is no such plan")
    options = ("--seconds=1", f"--kind={kind}", f"--seed={seed}")
    done = run_alone("-m", "anylock", "soak", *options)
    assert done.returncode == 0, f"{plan}: {done.stdout}{done.stderr}"
    return done.stdout


def soak_of(name: str, seed: str, patience: str = "20") -> tuple[int, str, str]:
    """Run one round of a broken subject."""
    done = run_alone(
        *("-c", PROGRAM.format(subject=name), "soak", "--kind=thread"),
        *("--seconds=1", f"--seed={seed}", f"--patience={patience}"),
    )
    return done.returncode, done.stdout, done.stderr


def violation_of(name: str, seed: str, patience: str = "20") -> tuple[str, str]:
    """Run rounds of a broken subject until its fault is found, and return the output.

    Where the machine is busy, a second may be too short for those that depend on who
    is killed where.
    """
    for _ in range(5):
        status, out, err = soak_of(name, seed, patience)
        if status == VIOLATED:
            return out, err
    pytest.fail("nothing was found in five rounds")


def many_tasks(plan: Plan) -> bool:
    return any(p.endings == "over" and len(p.rows) > 3 for p in plan.cast[0].loops)


def several_threads(plan: Plan) -> bool:
    return len(plan.cast[0].threads) > 1


def number(summary: str, row: str) -> int:
    found = re.search(rf"{row} +│ +([\d,]+)", summary)
    assert found is not None
    return int(found[1].replace(",", ""))
