"""Rows of many that wait for one lock: what each costs, and whether that grows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from anylock._bench.findings import Finding, Point, Target, Values
from anylock._bench.plan import Plan
from anylock._bench.spread import Spread, slope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Item
    from anylock._bench.peers import Contender
    from anylock._bench.plan import Samples
    from anylock._bench.starting import Starter

PER_RUN = 0.35
"""Seconds that a worker takes, more or less."""

LINEAR = Target(1.15, of="ours")
"""Of the slope in log-log. Caches that overflow alone make it more than 1."""

GROWS = "grows with their number to the power of"

HELPERS = Target(1, of="ours")


@dataclass(frozen=True)
class Waiters:
    """How the cost of waiting grows with how many wait.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Ours first.
        numbers: How many wait.
        loop: The event loop whose tasks they are; None for threads.
        cancel: Whether they are cancelled, instead of having their turn.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    numbers: tuple[int, ...]
    loop: Literal["asyncio", "trio"] | None = None
    cancel: bool = False

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        numbers = effort.some(self.numbers)

        def run(contender: Contender) -> Any:
            return [
                starter.work("waiting", self._task(contender, number, traced=False))
                for number in numbers
            ] + [
                # Traced it takes longer: it is done once more, for the bytes alone.
                starter.work("waiting", self._task(contender, numbers[-1], traced=True))
            ]

        def conclude(samples: Samples) -> Iterator[Item]:
            yield from self.conclude(numbers, samples)

        return Plan(
            self.key,
            self.what,
            self.contenders,
            turns=effort.runs,
            seconds=PER_RUN * (len(numbers) + 1),
            run=run,
            conclude=conclude,
            needs=("trio",) if self.loop == "trio" else (),
        )

    def _task(
        self, contender: Contender, number: int, *, traced: bool
    ) -> dict[str, Any]:
        return {
            "contender": asdict(contender),
            "waiters": number,
            "loop": self.loop,
            "cancel": self.cancel,
            "traced": traced,
        }

    def conclude(self, numbers: tuple[int, ...], samples: Samples) -> Iterator[Item]:
        """Compare what it costs, per waiter and as it grows."""
        slopes: dict[str, list[float]] = {}
        for label, runs in samples.items():
            totals = [
                [one["microseconds"] * n for one, n in zip(run, numbers, strict=False)]
                for run in runs
            ]
            for index, number in enumerate(numbers):
                spread = Spread.range_of([total[index] for total in totals])
                yield Point("waiters", self.what, label, number, spread)
            slopes[label] = [
                slope(list(zip(numbers, total, strict=True))) for total in totals
            ]
        ours, *peers = samples
        for peer in peers:
            pair = (samples[ours], samples[peer])
            for index, number in enumerate(numbers):
                costs = [[run[index]["microseconds"] for run in runs] for runs in pair]
                yield self._finding(f"each of {number:,}", peer, "us", costs)
            memory = [[run[-1]["bytes"] for run in runs] for runs in pair]
            yield self._finding(f"memory of each of {numbers[-1]:,}", peer, "B", memory)
            values = Values(
                Spread.range_of(slopes[ours]), Spread.range_of(slopes[peer])
            )
            yield Finding(self.key, self.what, GROWS, peer, "", values, LINEAR)
        helpers = [float(one["helpers"]) for run in samples[ours] for one in run]
        most = Values(Spread.range_of(helpers))
        yield Finding(
            self.key, self.what, "helper threads", "", "", most, target=HELPERS
        )

    def _finding(
        self, aspect: str, peer: str, unit: str, pair: list[list[float]]
    ) -> Finding:
        ours, theirs = pair
        values = Values.compared(ours, theirs, Spread.range_of)
        return Finding(self.key, self.what, aspect, peer, unit, values)
