"""The soak itself: round after round, until the time is over."""

from __future__ import annotations

import random
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from anylock._interrupts import interrupts_noted
from anylock._soak.command import KINDS, complain
from anylock._soak.display import Live, show
from anylock._soak.plan import plans
from anylock._soak.watch import Outcome, Watch

if TYPE_CHECKING:
    import argparse

VIOLATED = 1
"""The exit status when what must never happen has happened."""
INTERRUPTED = 130
"""What shells make of a command that Ctrl-C ended: 128 + SIGINT."""

_ROUND = 1.0
"""Seconds of a round. At the end of each, everybody must get in who waits: a wake-up
that was lost shows there at the latest, so rounds should not be long."""


def run(options: argparse.Namespace) -> int:
    """Run the soak as the command line says, and return its exit status."""
    kinds = list(dict.fromkeys(options.kind or KINDS))
    seed = (
        random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    )
    found = {kind: Outcome() for kind in kinds}
    with interrupts_noted() as interrupted:
        begin = monotonic()
        rounds = 0
        with Live() as draw:
            seconds = min(_ROUND, options.seconds / len(kinds))
            drawn = plans(seed, kinds, seconds)
            over = False
            while not over:
                plan = next(drawn)

                def glance(outcome: Outcome, plan: object = plan) -> bool:
                    draw(f"{plan}", monotonic() - begin, options.seconds, outcome)
                    return not interrupted.is_set()

                outcome = Watch(plan, options.patience, glance).run()
                found[plan.subject.kind].add(outcome)
                rounds += 1
                over = (
                    bool(outcome.violations)
                    or interrupted.is_set()
                    or (rounds >= len(kinds) and monotonic() >= begin + options.seconds)
                )
    show(found, seed, rounds, monotonic() - begin)
    if find_spec("trio") is None:
        complain(["without trio, which is not installed: pip install 'anylock[trio]'"])
    violations = [text for outcome in found.values() for text in outcome.violations]
    if violations:
        for text in violations:
            complain(text.splitlines())
        command = " ".join(f"--kind {kind}" for kind in kinds)
        command += f" --seed {seed} --seconds {options.seconds:g}"
        complain(
            [
                f"VIOLATED, with seed {seed}",
                f"the same plan again: python -m anylock soak {command}",
            ]
        )
        return VIOLATED
    return INTERRUPTED if interrupted.is_set() else 0
