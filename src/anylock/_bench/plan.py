"""What it takes to measure a row, whatever it measures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from anylock._bench.findings import Broken, Item, Skipped
from anylock._bench.starting import BrokenWorkerError, Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock._bench.effort import Effort
    from anylock._bench.peers import Contender

Samples: TypeAlias = "dict[str, list[Any]]"
"""Label -> what each of its runs gave; the same index is the same turn."""

Advance: TypeAlias = "Callable[[str, float], None]"
"""Takes what has just run, and how many seconds it was expected to take."""


@dataclass(frozen=True)
class Plan:
    """How one row is measured: its contenders run by turns, each in fresh interpreters.

    Args:
        key: What `--only` calls the row.
        what: What was measured, in words.
        contenders: Ours first.
        turns: How often each of them runs.
        seconds: How long one run takes, more or less.
        run: Runs a contender in a fresh interpreter, and gives a sample.
        conclude: Makes of all samples what the row yields.
        needs: The modules that all of them need, whoever contends.
        warm_up: Whether there is one turn more, the first, that does not count.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    turns: int
    seconds: float
    run: Callable[[Contender], Any]
    conclude: Callable[[Samples], Iterator[Item]]
    needs: tuple[str, ...] = ()
    warm_up: bool = False

    @property
    def lacking(self) -> str:
        """What the whole row lacks here; empty if nothing."""
        ours, *_ = self.contenders
        return missing(*self.needs, *ours.needs)

    @property
    def present(self) -> list[Contender]:
        """Those that can be run here."""
        return [one for one in self.contenders if not missing(*one.needs)]

    @property
    def expected(self) -> float:
        """How many seconds the whole row takes, more or less."""
        if self.lacking:
            return 0.0
        return self.seconds * len(self.present) * (self.turns + self.warm_up)

    def measured(self, advance: Advance) -> Iterator[Item]:
        """Run it, and give what came of it, even if it broke.

        Now the one goes first and now the other: whatever else the machine does meets
        them all alike.
        """
        if self.lacking:
            yield Skipped(self.key, self.what, self.lacking)
            return
        for one in self.contenders:
            if absent := missing(*one.needs):
                yield Skipped(self.key, self.what, f"{one.label}: {absent}")
        order = self.present
        samples: Samples = {one.label: [] for one in order}
        for turn in range(-self.warm_up, self.turns):
            first = turn % len(order)
            for one in order[first:] + order[:first]:
                try:
                    sample = self.run(one)
                except BrokenWorkerError as error:
                    yield Broken(self.key, f"{one.label}: {error}")
                    return
                if turn >= 0:
                    samples[one.label].append(sample)
                advance(self.key, self.seconds)
        yield from self.conclude(samples)


def missing(*needs: str) -> str:
    """Say what is not installed; nothing if all of it is."""
    absent = [need for need in dict.fromkeys(needs) if find_spec(need) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


class Row(Protocol):
    """A row of the table."""

    @property
    def key(self) -> str:
        """What `--only` calls it."""
        ...

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        ...
