"""Proves the models of this folder with Spin, and that each seeded fault is found.

`python verification/verify.py` runs everything, `... bridge` one model, `--list` says
what there is. `--trail bridge:NO_LOOK` prints the steps that lead to the fault.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from quotes import stale

HERE = Path(__file__).resolve().parent
MEGABYTES = 1200
"""For one search at most; two run at a time."""

SECONDS = 280
"""For one search at most."""

SAFE = ("-DSAFETY",)
SIGNALS = ("-DSAFETY", "-DNOREDUCE")
"""`provided` clauses and partial-order reduction do not go together."""
FAIR = ("-DNFAIR=3",)

ONE_AT_A_TIME = "exclusion, no lost wake-up, all free at the end"
OWNED = "exclusion, no lost wake-up, released by its owner, all free at the end"
SERVED = "every waiter is served (weak fairness)"


@dataclass(frozen=True)
class Run:
    """One search: of a model as it is, or with a fault in it."""

    model: str
    name: str
    flags: tuple[str, ...] = ()
    proves: str = ""
    compiler: tuple[str, ...] = SAFE

    @property
    def is_fault(self) -> bool:
        """Whether a counterexample is what must be found."""
        return not self.proves


def _faults(model: str, seeded: dict[str, str], compiler: tuple[str, ...]) -> list[Run]:
    """Return one run for each name of a fault, with the configuration that shows it."""
    return [
        Run(model, name, (*flags.split(), f"-DFAULT_{name}"), compiler=compiler)
        for name, flags in seeded.items()
    ]


RUNS = [
    Run("steps", "3 threads, 1 handler", (), "once, in order, none left", SIGNALS),
    Run(
        "steps",
        "2 threads, 2 handlers",
        ("-DTHREADS=2", "-DHANDLERS=2"),
        "once, in order, none left",
        SIGNALS,
    ),
    *_faults(
        "steps",
        dict.fromkeys(("REENTER", "POP_FIRST", "NO_RETEST", "NO_SECOND_RUN"), ""),
        SIGNALS,
    ),
    Run("bridge", "2 threads, 3 tasks", (), ONE_AT_A_TIME),
    Run("bridge", "time-outs", ("-DTIMES", "-DROUNDS=2"), ONE_AT_A_TIME),
    Run("bridge", "blocked loop thread", ("-DBLOCKED",), ONE_AT_A_TIME),
    Run("bridge", "slots", ("-DSLOTS",), "careful while tasks hold or wait"),
    Run("bridge", "turns", ("-DTURNS",), SERVED, FAIR),
    *_faults(
        "bridge",
        {
            "QUEUE_LATE": "",
            "FORGET_CANCELLED": "",
            "RELEASE_FIRST": "",
            "NO_SUMMON": "",
            "NO_LOST": "",
            "HELPED_NO_SERVE": "",
            "HOLDER_LATE": "",
            "NO_LOOK": "",
            "NOT_RESUMED": "-DTIMES",
            "NO_TURNSTILE": "-DTIMES -DROUNDS=2",
            "NO_TAKE_BACK": "-DBLOCKED",
            "GIVE_NO_SUMMON": "-DBLOCKED",
            "PARK_AGAIN": "-DBLOCKED",
            "NOT_WITHDRAWN": "-DBLOCKED",
            "NOT_COUNTED": "-DSLOTS",
            "SWITCHING": "-DSLOTS",
        },
        SAFE,
    ),
    Run("bridge", "NO_TURNSTILE_TURNS", ("-DTURNS", "-DFAULT_NO_TURNSTILE"), "", FAIR),
    Run("async_lock", "4 tasks, 2 loops", (), ONE_AT_A_TIME),
    *_faults(
        "async_lock",
        dict.fromkeys(
            ("FORGET_CANCELLED", "RELEASE_FIRST", "GRANT_TO_CLOSED", "NO_PASS_ON"), ""
        ),
        SAFE,
    ),
    Run("semaphore", "2 permits", (), ONE_AT_A_TIME),
    *_faults(
        "semaphore",
        dict.fromkeys(
            (
                "COUNT_GRANTED_FIRST",
                "TENURE_TWICE",
                "FORGET_CANCELLED",
                "HELPED_NO_SERVE",
                "HELPED_GRANTS_ONLY",
                "NO_DISTRUST",
                "PASS_ON_NO_SUMMON",
                "NO_LOST",
                "NEVER_SUMMON",
                "DISCOUNT_LATE",
                "NO_LOOK",
            ),
            "",
        ),
        SAFE,
    ),
    Run("semaphore", "1 permit", ("-DPERMITS=1",), ONE_AT_A_TIME),
    Run("semaphore", "1 permit, released", ("-DPERMITS=1", "-DRELEASE"), ONE_AT_A_TIME),
    Run("rlock", "blocked loop thread", (), OWNED),
    Run("rlock", "3 tasks", ("-DTASKS",), OWNED),
    Run("rlock", "comes twice", ("-DAGAIN",), OWNED),
    Run("rlock", "2 loop threads", ("-DBOTH",), OWNED),
    Run("rlock", "turns", ("-DTURNS",), SERVED, FAIR),
    Run("rlock", "turns, no loop", ("-DTURNS", "-DPOLITE_TURNS"), SERVED, FAIR),
    *_faults(
        "rlock",
        {
            "GRANT_WHILE_ELECTED": "",
            "STAYS_ELECTED": "",
            "NOT_SERVED": "",
            "NOT_WITHDRAWN": "",
            "NO_TAKE_BACK": "",
            "ELECTED_WITHOUT": "",
            "WAITS_FOR_ITSELF": "",
            "LOAN_KEPT": "-DTASKS",
            "GIVE_UP_ITSELF": "-DTASKS",
            "NO_LOOK": "-DTASKS",
            "DEPTH_LATE": "-DTASKS",
            "NOT_OWNED": "-DTASKS",
            "FOR_EVER": "-DAGAIN",
            "ENTERS_ADOPTED": "-DAGAIN",
        },
        SAFE,
    ),
    *_faults("rlock", {"OUT_OF_TURN": "-DTURNS -DPOLITE_TURNS"}, FAIR),
]


@dataclass
class Outcome:
    """What a search found."""

    run: Run
    states: int = 0
    seconds: float = 0.0
    error: str = ""
    length: int = 0
    trail: str = ""
    lines: set[int] = field(default_factory=set[int])
    """Those of the model that have statements."""
    reached: set[int] = field(default_factory=set[int])

    @property
    def as_it_should_be(self) -> bool:
        """Whether a proof was had, or a counterexample for a fault."""
        return bool(self.length) if self.run.is_fault else not self.error


def search(run: Run, *, with_trail: bool = False) -> Outcome:
    """Make the verifier of a run and let it search."""
    began = time.monotonic()
    outcome = Outcome(run)
    source = f"{run.model}.pml"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / source, folder)

        def call(*command: str) -> str:
            done = subprocess.run(
                command,
                cwd=folder,
                timeout=SECONDS,
                text=True,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            return done.stdout

        made = call("spin", *run.flags, "-a", source)
        if "Error" in made:
            outcome.error = made.strip()
            return outcome
        limits = ("-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}", "-DVECTORSZ=2048")
        # A fault is found sooner than the compiler has optimised the search for it.
        effort = "-O0" if run.is_fault else "-O2"
        made = call("gcc", effort, "-w", *run.compiler, *limits, "-o", "pan", "pan.c")
        if not Path(folder, "pan").exists():
            outcome.error = made.strip()
            return outcome
        how = ("-a", "-f") if run.compiler is FAIR else ()
        try:
            report = call("./pan", "-m1000000", *how)
        except subprocess.TimeoutExpired:
            report = f"pan:1: not done after {SECONDS} s"
        states = re.search(r"(\d+(?:\.\d+e\+\d+)?) states, stored", report)
        outcome.states = int(float(states[1])) if states else 0
        outcome.error = _complaint(report)
        trail = Path(folder, f"{source}.trail")
        if trail.exists():
            outcome.length = len(trail.read_text(encoding="utf-8").splitlines())
            if with_trail:
                outcome.trail = call("spin", *run.flags, "-t", "-p", "-g", "-l", source)
        elif not run.is_fault:
            _note_reached(outcome, report, call("./pan", "-d"))
    outcome.seconds = time.monotonic() - began
    return outcome


def _complaint(report: str) -> str:
    found = re.search(r"^pan:\s?\d+: (.*?)(?: \(at depth.*)?$", report, re.MULTILINE)
    if found:
        return found[1]
    for sign in ("reached -DMEMLIM bound", "max search depth too small"):
        if sign in report:
            return sign
    return "" if "errors: 0" in report else report.strip()[-200:] or "no report"


def _note_reached(outcome: Outcome, report: str, table: str) -> None:
    """Find which lines of the model the search has come to."""
    source = re.escape(f"{outcome.run.model}.pml")
    missed: set[tuple[str, int]] = set()
    for part in re.split(r"^unreached in ", report, flags=re.MULTILINE)[1:]:
        who = part.split("\n", 1)[0].removeprefix("proctype ")
        states = re.findall(rf"^\t{source}:\d+, state (\d+)", part, re.MULTILINE)
        missed |= {(who, int(state)) for state in states}
    who = ""
    for row in table.splitlines():
        if not row.startswith("\t"):
            who = row.removeprefix("proctype ")
            continue
        at = re.search(rf"state\s+(\d+) -.*\s{source}:(\d+) =>", row)
        if at and "=> -end-" not in row:
            outcome.lines.add(int(at[2]))
            if (who, int(at[1])) not in missed:
                outcome.reached.add(int(at[2]))


def unreached(model: str, outcomes: list[Outcome]) -> list[str]:
    """Say which statements of a model none of its searches has come to."""
    text = (HERE / f"{model}.pml").read_text(encoding="utf-8").splitlines()
    proofs = [o for o in outcomes if o.run.model == model and not o.run.is_fault]
    lines = {number for o in proofs for number in o.lines}
    reached = {number for o in proofs for number in o.reached}
    complaints: list[str] = []
    for number in sorted(lines):
        excused = "unreached:" in text[number - 1]
        if excused == (number in reached):
            what = "is reached after all" if excused else "is never reached"
            where = f"{model}.pml:{number}"
            complaints.append(f"{where} {what}: {text[number - 1].strip()}")
    return complaints


def tell(outcome: Outcome) -> None:
    """Print the row of one search."""
    run = outcome.run
    verdict = "ok" if outcome.as_it_should_be else "FAILED"
    if run.is_fault:
        what = f"found in {outcome.length} steps: {outcome.error}"
        if not outcome.length:
            what = f"NOT FOUND {outcome.error}"
        what = f"fault; {what}"
    else:
        what = run.proves
        if outcome.error:
            what += f": {outcome.error}"
    figures = f"{outcome.states:>12,} {outcome.seconds:>6.1f}"
    print(f"{run.model:10} {run.name:22} {figures}  {verdict:6} {what}", flush=True)


def _choose(names: list[str]) -> list[Run]:
    models = {run.model for run in RUNS}
    for name in names:
        if name not in models and name not in {f"{r.model}:{r.name}" for r in RUNS}:
            sys.exit(f"there is no {name!r}: see --list")
    if not names:
        return RUNS
    return [r for r in RUNS if r.model in names or f"{r.model}:{r.name}" in names]


def main() -> int:
    """Run what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="models, or model:run; all if none")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--trail", action="store_true", help="print counterexamples")
    parser.add_argument("--jobs", type=int, default=2, help="searches at a time")
    asked = parser.parse_args()
    runs = _choose(asked.names)
    if asked.list:
        print(*(f"{run.model}:{run.name}" for run in runs), sep="\n")
        return 0
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        advice = f"install it by 'apt-get install {' '.join(missing)}'"
        sys.exit(f"{' and '.join(missing)} not found; on Debian and Ubuntu {advice}")
    began = time.monotonic()
    models = sorted({run.model for run in runs})
    complaints: list[str] = []
    for model in models:
        quoted, wrong = stale(HERE / f"{model}.pml")
        complaints += wrong
        print(f"{model}.pml quotes the code {quoted} times, {len(wrong)} are stale")
    print(f"{'model':10} {'run':22} {'states':>12} {'s':>6}  verdict", flush=True)
    outcomes: list[Outcome] = []
    look = partial(search, with_trail=asked.trail)
    with ThreadPoolExecutor(asked.jobs) as pool:
        for outcome in pool.map(look, runs):
            tell(outcome)
            outcomes.append(outcome)
            if outcome.trail:
                print(outcome.trail)
    failed = [o for o in outcomes if not o.as_it_should_be]
    for model in models:
        # With a part of the runs only, nothing can be said about the others' lines.
        if all(run in runs for run in RUNS if run.model == model):
            complaints += unreached(model, outcomes)
    for complaint in complaints:
        print(complaint)
    took = time.monotonic() - began
    print(f"{len(outcomes)} searches in {took:.0f} s, {len(failed)} not as they should")
    return 1 if failed or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
