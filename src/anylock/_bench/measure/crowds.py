"""Rows of crowds that use one lock together: how much they do, and who has to wait."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from anylock._bench.findings import (
    Distribution,
    Finding,
    Point,
    Skipped,
    Target,
    Timeline,
    Values,
)
from anylock._bench.plan import Plan
from anylock._bench.spread import GRID, Spread
from anylock._bench.workers.crowd import STARTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Item
    from anylock._bench.peers import Contender
    from anylock._bench.plan import Samples
    from anylock._bench.starting import Starter

FORKS = "posix"
"""The module that is there where processes can be forked."""

START_UP = 0.3
"""Seconds that a worker takes beside what it watches, more or less."""

TAIL = tuple(GRID.index(percent) for percent in (50, 95, 99, 100))
"""Where the median, p95, p99 and the worst are among the percentiles that are kept."""


@dataclass(frozen=True)
class Body:
    """What the members of a crowd do in each round.

    Args:
        thread: As threads and processes do it.
        task: As tasks do it.
        pauses: What each does afterwards, likewise.
        finishes: What each does when it is told to stop.
        lasts: Seconds that one is inside at least.
    """

    thread: str
    task: str
    pauses: tuple[str, str] = ("", "")
    finishes: tuple[str, str] = ("", "")
    lasts: float = 0.0

    @classmethod
    def holding(
        cls,
        thread: str,
        task: str,
        pauses: tuple[str, str] = ("", ""),
        lasts: float = 0.0,
    ) -> Body:
        """Give the body of who takes the lock, and does something while it has it."""
        added = "board[1] += 1"
        return cls(
            _within("with lock:", added, thread),
            _within("async with lock:", added, task),
            pauses,
            lasts=lasts,
        )

    @property
    def traced(self) -> Body:
        """The same, with notes of when somebody asked, entered and left."""
        return Body(_traced(self.thread), _traced(self.task), self.pauses)

    def as_task(self, contender: Contender) -> dict[str, dict[str, str]]:
        """Give what a worker reads."""
        rounds = map(contender.phrased, (self.thread, self.task))
        return {
            name: {"round": round_, "pause": pause, "finish": finish}
            for name, round_, pause, finish in zip(
                ("threads", "tasks"), rounds, self.pauses, self.finishes, strict=True
            )
        }


def _within(opening: str, *lines: str) -> str:
    inner = [f"    {each}" for line in lines for each in line.splitlines()]
    return "\n".join([opening, *inner])


def _traced(text: str) -> str:
    opening, *inner = text.splitlines()
    lines = ["asked = now()", opening, "    entered = now()", *inner]
    return "\n".join([*lines, "    left = now()", "note((asked, entered, left))"])


@dataclass(frozen=True)
class Crowd:
    """What is the same for all rows of crowds.

    Args:
        key: What `--only` calls it.
        what: What the table calls it.
        contenders: Ours first; the target is about the second.
        body: What each member does.
        permits: How many may be inside at once.
    """

    key: str
    what: str
    contenders: tuple[Contender, ...]
    body: Body
    permits: int = 1

    def sample(
        self,
        starter: Starter,
        contender: Contender,
        sides: dict[str, int],
        seconds: float,
        *,
        traced: bool,
    ) -> Any:
        """Let a crowd use a lock for so long."""
        task = {
            "contender": asdict(contender),
            "bodies": (self.body.traced if traced else self.body).as_task(contender),
            "sides": sides,
            "seconds": seconds,
            "traced": traced,
            "permits": self.permits,
        }
        return starter.work("crowd", task)

    def made(
        self,
        effort: Effort,
        seconds: float,
        run: Callable[[Contender], Any],
        conclude: Callable[[Samples], Iterator[Item]],
        needs: tuple[str, ...],
    ) -> Plan:
        """Give the plan of a row that runs a crowd, or several, for so long."""
        return Plan(
            self.key,
            self.what,
            self.contenders,
            effort.runs,
            seconds,
            run,
            conclude,
            needs,
        )

    def finding(
        self,
        aspect: str,
        peer: str,
        unit: str,
        pair: list[list[float]],
        target: Target | None = None,
    ) -> Finding:
        """Compare values of runs next to each other: ours, and the peer's.

        There are few runs, and what they give depends on who came first and stayed:
        none of them must hide behind quartiles.
        """
        limit = target if peer == self.contenders[1].label else None
        ours, theirs = pair
        values = Values.compared(ours, theirs, Spread.range_of)
        return Finding(self.key, self.what, aspect, peer, unit, values, limit)


@dataclass(frozen=True)
class Throughput(Crowd):
    """How often in all they get the lock, and how that depends on how many they are.

    Args:
        side: What they are.
        numbers: How many they are.
        pictured: Whether a picture shows it.
        targets: How many -> what was promised.
    """

    side: str = "threads"
    numbers: tuple[int, ...] = (1,)
    pictured: bool = True
    targets: dict[int, Target] = field(default_factory=dict[int, Target])

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        numbers = effort.some(self.numbers)

        def run(contender: Contender) -> Any:
            return [
                self.sample(
                    starter, contender, {self.side: each}, effort.window, traced=False
                )
                for each in numbers
            ]

        def conclude(samples: Samples) -> Iterator[Item]:
            for index, number in enumerate(numbers):
                yield from self.conclude(
                    number,
                    {
                        label: [per_second(run[index]) for run in runs]
                        for label, runs in samples.items()
                    },
                )

        # All have had it once before it counts, and once more before all have left.
        idle = sum(min(self.body.lasts * each, STARTING) * 2 for each in numbers)
        seconds = len(numbers) * (effort.window + START_UP) + idle
        return self.made(effort, seconds, run, conclude, needs_of(self.side))

    def conclude(self, number: int, rates: dict[str, list[float]]) -> Iterator[Item]:
        """Compare what so many have done."""
        for label, values in rates.items() if self.pictured else ():
            spread = Spread.range_of(values)
            panel = f"{self.what}, {self.side}"
            yield Point("throughput", panel, label, number, spread)
        ours, *peers = rates
        one = self.side[: -2 if self.side == "processes" else -1]
        aspect = f"{number:,} {self.side if number > 1 else one}"
        for peer in peers:
            target = self.targets.get(number)
            pair = [rates[ours], rates[peer]]
            yield self.finding(aspect, peer, "/s", pair, target)


@dataclass(frozen=True)
class Mixture(Crowd):
    """How often each side gets the lock where threads and tasks mix.

    Args:
        sides: Side -> how many they are.
        target: What was promised of the acquisitions of all.
        windows: How often the effort's window is watched: sides take turns of many
            milliseconds, and a short look may miss those of one.
    """

    sides: dict[str, int] = field(default_factory=dict[str, int])
    target: Target | None = None
    windows: int = 4

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        window = self.windows * effort.window

        def run(contender: Contender) -> Any:
            return self.sample(starter, contender, self.sides, window, traced=False)

        seconds = window + START_UP
        needs = needs_of(*self.sides)
        return self.made(effort, seconds, run, self.conclude, needs)

    def conclude(self, samples: Samples) -> Iterator[Item]:
        """Compare what all have done, and each side."""
        ours, *peers = samples.values()
        _, *labels = samples
        for peer, theirs in zip(labels, peers, strict=True):
            rates = [[per_second(run) for run in runs] for runs in (ours, theirs)]
            yield self.finding("all", peer, "/s", rates, self.target)
            for side in self.sides:
                rates = [
                    [per_second(run, side) for run in runs] for runs in (ours, theirs)
                ]
                least = [
                    min(min(run["counts"][side]) / run["seconds"] for run in runs)
                    for runs in (ours, theirs)
                ]
                # A sum could hide that one of them starves.
                note = f"least served: {least[0]:,.0f}, peer {least[1]:,.0f}"
                finding = self.finding(f"by {side}", peer, "/s", rates)
                yield replace(finding, note=note)


@dataclass(frozen=True)
class Traced(Crowd):
    """How long they wait, who goes first, and how long handing the lock over takes.

    Args:
        sides: Side -> how many they are.
        waits: The side whose waits are compared; None where hand-offs are.
        target: What was promised of the worst wait, or of the median of hand-offs.
        windows: How often the effort's window is watched: it takes long to starve.
    """

    sides: dict[str, int] = field(default_factory=dict[str, int])
    waits: str | None = None
    target: Target | None = None
    windows: int = 3

    def plan(self, effort: Effort, starter: Starter) -> Plan:
        """Say how it is measured with so much effort."""
        window = self.windows * effort.window

        def run(contender: Contender) -> Any:
            sample = self.sample(starter, contender, self.sides, window, traced=True)
            return sample["traced"]

        seconds = window + START_UP
        needs = needs_of(*self.sides)
        return self.made(effort, seconds, run, self.conclude, needs)

    def conclude(self, samples: Samples) -> Iterator[Item]:
        """Compare who had to wait, or how the lock was handed over."""
        for label, runs in samples.items():
            told = [values for run in runs if (values := self._values(run))]
            if told:
                middle = [
                    sorted(column)[len(told) // 2] for column in zip(*told, strict=True)
                ]
                yield Distribution(self.what, label, tuple(middle))
            if self.waits is not None:
                # Of the run that was the worst for somebody.
                worst = max(runs, key=lambda run: run["longest run"])
                spans = tuple((who, start, end) for who, start, end in worst["spans"])
                yield Timeline(self.what, label, spans)
        ours, *_ = samples
        for peer in list(samples)[1:]:
            yield from self._compared(samples[ours], samples[peer], peer)

    def _values(self, run: Any) -> list[float]:
        values: list[float] = (
            run["hand-offs"] if self.waits is None else run["waits"].get(self.waits, [])
        )
        return values

    def _compared(
        self, ours: list[Any], theirs: list[Any], peer: str
    ) -> Iterator[Item]:
        pairs = [
            (mine, others)
            for mine, others in zip(ours, theirs, strict=True)
            if self._values(mine) and self._values(others)
        ]
        if not pairs:
            # Nobody ever waited for another one, or got it at last.
            yield Skipped(self.key, self.what, f"{peer}: nothing was handed over")
            return
        of = "hand-off" if self.waits is None else "wait"
        names = (f"median {of}", f"p95 {of}", f"p99 {of}", f"worst {of}")
        judged = "median hand-off" if self.waits is None else "worst wait"
        for name, index in zip(names, TAIL, strict=True):
            values = [
                [self._values(run)[index] for run in runs]
                for runs in zip(*pairs, strict=True)
            ]
            target = self.target if name == judged else None
            yield self.finding(name, peer, "us", values, target)
        if self.waits is not None:
            runs = [
                [float(run["longest run"]) for run in each] for each in (ours, theirs)
            ]
            yield self.finding("longest run by one", peer, "", runs)


def needs_of(*sides: str) -> tuple[str, ...]:
    """Name the modules that sides need."""
    modules = {"trio tasks": "trio", "processes": FORKS}
    return tuple(modules[side] for side in sides if side in modules)


def per_second(sample: Any, side: str | None = None) -> float:
    """Say how often in a second all of them, or those of one side, got the lock."""
    counts = sample["counts"].values() if side is None else [sample["counts"][side]]
    seconds: float = sample["seconds"]
    return sum(map(sum, counts)) / seconds
