"""The command: explores seeds, replays one, or tests itself."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import warnings
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING

from . import loops, patches, tracing
from .exploration import explore
from .faults import FAULTS, SOON, put_in
from .scenarios import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .exploration import Outcome
    from .faults import Fault
    from .scenarios import Kind
    from .tracing import Grain

ENOUGH = 6000
"""Seeds within which each fault is to be found."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the arguments say; 1 if a seed fails, or a fault is not found."""
    chosen = _parser().parse_args(arguments)
    gc.disable()  # it is called where the scenario wants it
    warnings.simplefilter("ignore")  # of coroutines that a closed loop never began
    patches.install()
    loops.install_trio()
    tracing.install()
    if chosen.self_test:
        failed = _test_itself(FAULTS[:SOON] if chosen.quick else FAULTS)
    elif chosen.replay is not None:
        failed = _replay(explore(chosen.replay, tuple(chosen.kind), chosen.grain))
    else:
        failed = _explore(chosen)
    if failed:
        # Whoever failed stays where it failed, and would be waited for.
        sys.stdout.flush()
        os._exit(1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m verification.schedules", description=__doc__
    )
    add = parser.add_argument
    add("--seeds", type=int, default=2000, metavar="N", help="how many (2000)")
    add("--start", type=int, default=0, metavar="S", help="the first of them (0)")
    add("--seconds", type=float, metavar="T", help="go on for so long instead")
    add("--replay", type=int, metavar="SEED", help="one seed, and all its switches")
    add("--kind", choices=KINDS, nargs="+", default=KINDS, help="what is visited")
    add("--grain", choices=tracing.GRAINS, help="where threads are switched")
    add("--keep-going", action="store_true", help="after a seed that fails")
    add("--trace", action="store_true", help="tell every switch")
    add("--self-test", action="store_true", help="find bugs that were put in")
    add("--quick", action="store_true", help="only those that are soon found")
    return parser


def _explore(chosen: argparse.Namespace) -> bool:
    began = perf_counter()
    scenarios: Counter[Kind] = Counter()
    visits: Counter[Kind] = Counter()
    switches: Counter[Kind] = Counter()
    failures = 0
    for seed in _seeds(chosen, began):
        outcome = explore(seed, tuple(chosen.kind), chosen.grain)
        kind = outcome.scenario.kind
        scenarios[kind] += 1
        visits[kind] += outcome.visits
        switches[kind] += len(outcome.trace)
        if chosen.trace:
            print(*outcome.trace, sep="\n")
        if outcome.failure is not None:
            failures += 1
            _tell(outcome, chosen)
            if not chosen.keep_going:
                break
    print(f"{'':20}{'scenarios':>10}{'visits':>10}{'switches':>10}")
    for kind in (kind for kind in KINDS if scenarios[kind]):
        print(f"{kind:20}{scenarios[kind]:10}{visits[kind]:10}{switches[kind]:10}")
    seconds = perf_counter() - began
    print(f"{sum(scenarios.values())} seeds in {seconds:.0f} s, {failures} failed")
    return failures > 0


def _seeds(chosen: argparse.Namespace, began: float) -> Iterable[int]:
    seed = chosen.start
    while (
        seed < chosen.start + chosen.seeds
        if chosen.seconds is None
        else perf_counter() - began < chosen.seconds
    ):
        yield seed
        seed += 1


def _tell(outcome: Outcome, chosen: argparse.Namespace) -> None:
    again = f"python -m verification.schedules --replay {outcome.seed}"
    if chosen.kind != KINDS:
        again += f" --kind {' '.join(chosen.kind)}"
    if chosen.grain is not None:
        again += f" --grain {chosen.grain}"
    print(f"seed {outcome.seed} failed; to see it again: {again}")
    if not chosen.keep_going:
        _replay(outcome)
    else:
        print(f"{outcome.scenario.kind}: {_in_short(outcome)}")


def _in_short(outcome: Outcome) -> str:
    lines = (outcome.failure or "").strip().splitlines()
    return lines[-1] if "Traceback" in lines[0] else lines[0]


def _replay(outcome: Outcome) -> bool:
    print(outcome.scenario)
    print(*outcome.trace, sep="\n")
    print(outcome.failure or "it went well")
    return outcome.failure is not None


def _test_itself(faults: Sequence[Fault]) -> bool:
    missed = 0
    for fault in faults:
        name, *_, kinds = fault
        with put_in(fault):
            found, tries = _find(kinds, None)
        if found is None:
            missed += 1
            print(f"NOT FOUND in {tries} seeds: {name}")
        else:
            print(f"found by {tries} seeds: {name} ({_in_short(found)[:60]})")
    return missed > 0


def _find(kinds: tuple[Kind, ...], grain: Grain | None) -> tuple[Outcome | None, int]:
    for seed in range(ENOUGH):
        outcome = explore(seed, kinds, grain)
        if outcome.failure is not None:
            return outcome, seed + 1
    return None, ENOUGH
