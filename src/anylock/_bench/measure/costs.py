"""Rows of what a lock costs before it is used, and while it is waited for."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from anylock._bench.findings import Finding, Target, Values
from anylock._bench.measure.crowds import FORKS
from anylock._bench.plan import Plan
from anylock._bench.spread import Spread
from anylock._bench.starting import BrokenWorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Item
    from anylock._bench.peers import Contender
    from anylock._bench.plan import Samples
    from anylock._bench.starting import Starter

_AN_IMPORT = 0.25
_A_SIZE = 2.0
"""Seconds that one run of these takes, more or less."""


@dataclass(frozen=True)
class Imports:
    """How much longer than nothing an import takes, and what it drags in.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Their statements are timed, each beside `pass`; ours first.
        target: What was promised, in milliseconds.
        unwanted: The modules that ours must not import.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    target: Target | None
    unwanted: tuple[str, ...]

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        # As users have it: compiled once, whatever this environment is told.
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(starter.folder)}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)

        def run(contender: Contender) -> Any:
            source = f"{contender.statement}\nimport sys\nprint(*sys.modules)"
            bare, _ = _start_up(starter, "pass", environ)
            beyond, _ = _start_up(starter, contender.statement, environ)
            _, modules = _start_up(starter, source, environ)
            return {"ms": beyond - bare, "modules": modules.split()}

        return Plan(
            self.key,
            self.what,
            self.contenders,
            turns=effort.imports,
            seconds=_AN_IMPORT,
            run=run,
            conclude=self.conclude,
            warm_up=True,  # which compiles
        )

    def conclude(self, samples: Samples) -> Iterator[Item]:
        """Compare the times, and look for what should not be there."""
        times = {label: [run["ms"] for run in runs] for label, runs in samples.items()}
        ours, *peers = times
        for peer in peers:
            first = peer == self.contenders[1].label
            # Differences of what differs more: their ratios would say nothing.
            values = Values(Spread.of(times[ours]), Spread.of(times[peer]))
            target = self.target if first else None
            yield Finding(self.key, self.what, "", peer, "ms", values, target)
        modules = samples[ours][0]["modules"]
        found = [module for module in self.unwanted if module in modules]
        number = float(len(found))
        yield Finding(
            self.key,
            self.what,
            "modules that it must not import",
            "",
            "",
            Values(Spread(number, number, number)),
            target=Target(0, of="ours"),
            note=", ".join(found),
        )


def _start_up(
    starter: Starter, source: str, environ: Mapping[str, str]
) -> tuple[float, str]:
    """Give the milliseconds that an interpreter takes, and what it prints."""
    start = perf_counter()
    with starter.started([sys.executable, "-c", source], environ) as process:
        # Without a time limit: with one, subprocess looks at ever longer intervals
        # whether the process has ended, and these would be measured.
        out, complaint = process.communicate()
    took = perf_counter() - start
    if process.returncode:
        message = f"{source!r} fails:\n{complaint}"
        raise BrokenWorkerError(message)
    return took * 1000, out


@dataclass(frozen=True)
class Sizes:
    """The bytes of a lock.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Their statements make one; ours first.
        target: What was promised, in bytes, of what the allocator hands out.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    target: Target | None = None

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""

        def run(contender: Contender) -> Any:
            task = {"contender": asdict(contender), "many": effort.many}
            return {**starter.work("size", task), "many": effort.many}

        return Plan(
            self.key, self.what, self.contenders, 1, _A_SIZE, run, self.conclude
        )

    def conclude(self, samples: Samples) -> Iterator[Item]:
        """Compare the bytes, counted in three ways."""
        ours, *peers = samples
        ways = {
            "traced": "allocated",
            "parts": "by sys.getsizeof",
            "resident": f"of memory, each of {samples[ours][0]['many']:,}",
        }
        for peer in peers:
            for way, words in ways.items():
                mine, others = (samples[label][0][way] for label in (ours, peer))
                if mine is None:
                    continue  # this system does not tell
                judged = way == "traced" and peer == self.contenders[1].label
                yield Finding(
                    self.key,
                    self.what,
                    words,
                    peer,
                    "B",
                    Values.compared([mine], [others]),
                    target=self.target if judged else None,
                )


@dataclass(frozen=True)
class Idle:
    """What processor time a process takes that waits for a lock.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Ours first.
        target: What was promised, in milliseconds per second.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    target: Target | None = None

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        seconds = effort.idle

        def run(contender: Contender) -> Any:
            task = {"contender": asdict(contender), "seconds": seconds}
            return starter.work("idle", task)

        return Plan(
            self.key,
            self.what,
            self.contenders,
            # Who waits for long does so in much the same way each time.
            2,
            seconds + _AN_IMPORT,
            run,
            self.conclude,
            (FORKS,),
        )

    def conclude(self, samples: Samples) -> Iterator[Item]:
        """Compare the processor time."""
        ours, *peers = samples
        for peer in peers:
            values = Values.compared(samples[ours], samples[peer])
            target = self.target if peer == self.contenders[1].label else None
            yield Finding(self.key, self.what, "", peer, "ms/s", values, target)
