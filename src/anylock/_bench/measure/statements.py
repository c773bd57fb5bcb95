"""Rows of one statement, executed by one thread or task: the time of each."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from anylock._bench.findings import Finding, Values
from anylock._bench.plan import Plan
from anylock._bench.spread import outliers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Target
    from anylock._bench.peers import Contender
    from anylock._bench.plan import Samples
    from anylock._bench.starting import Starter

START_UP = 0.2
"""Seconds that a worker takes beside what it times, more or less."""


@dataclass(frozen=True)
class Statement:
    """A row in which each contender executes its statement over and over.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Ours first; the target is about the second.
        target: What was promised; None for a row that is only informative.
        loop: The event loop that runs, if any.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    target: Target | None = None
    loop: Literal["asyncio", "trio"] | None = None

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        rounds: dict[str, int] = {}

        def run(contender: Contender) -> Any:
            task = {
                "contender": asdict(contender),
                "loop": self.loop,
                "rounds": rounds.get(contender.label),
                "values": effort.values,
                "value": effort.value,
            }
            sample = starter.work("statement", task)
            # Those that the first run, which warms up, has found to take long enough.
            rounds[contender.label] = sample["rounds"]
            return sample

        return Plan(
            self.key,
            self.what,
            self.contenders,
            turns=effort.turns,
            seconds=START_UP + (effort.values + 1) * effort.value * 1.5,
            run=run,
            conclude=self.conclude,
            needs=("pyperf", *(["trio"] if self.loop == "trio" else [])),
            warm_up=True,
        )

    def conclude(self, samples: Samples) -> Iterator[Finding]:
        """Compare the medians of interpreters that ran next to each other."""
        medians = {
            label: [statistics.median(each["nanoseconds"]) for each in runs]
            for label, runs in samples.items()
        }
        every = {
            label: [value for each in runs for value in each["nanoseconds"]]
            for label, runs in samples.items()
        }
        ours, *peers = medians
        # Locks look for trio, so its presence may cost asyncio something.
        beside = self.loop == "asyncio" and any(run["trio"] for run in samples[ours])
        for peer in peers:
            off = [outliers(every[label]) for label in (ours, peer)]
            notes = ["trio is imported"] if beside else []
            if any(off):
                notes.append(f"outliers: {off[0]} of {len(every[ours])}, peer {off[1]}")
            yield Finding(
                self.key,
                self.what,
                "",
                peer,
                "ns",
                Values.compared(medians[ours], medians[peer]),
                target=self.target if peer == self.contenders[1].label else None,
                note="; ".join(notes),
            )
