"""Rows, samples and reports of benchmarks that nobody has measured."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anylock._bench.findings import (
    Broken,
    Distribution,
    Finding,
    Point,
    Skipped,
    Target,
    Timeline,
    Values,
)
from anylock._bench.peers import Contender
from anylock._bench.plan import Plan
from anylock._bench.report import Report
from anylock._bench.spread import GRID, Spread
from anylock._bench.starting import Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Item
    from anylock._bench.plan import Samples

OURS = "make_lock('thread')"


def contenders(*labels: str) -> tuple[Contender, ...]:
    return tuple(Contender(label, "lock = None") for label in labels)


def finding(peer: str = "a.Lock", **more: Any) -> Finding:
    spread = Spread(2.0, 1.0, 3.0)
    values = Values(spread, spread, Spread(0.5, 0.4, 0.6))
    given: dict[str, Any] = {
        "what": "with",
        "aspect": "",
        "unit": "ns",
        "values": values,
        **more,
    }
    return Finding("row", peer=peer, **given)


class Told(Starter):
    """Starts nothing: whoever asks for a sample gets the next one that was told."""

    def __init__(self, *samples: Any) -> None:
        super().__init__(threading.Event(), Path("nowhere"))
        self.samples = list(samples)
        self.tasks: list[Any] = []

    def work(self, worker: str, task: Mapping[str, Any]) -> Any:
        self.tasks.append((worker, task))
        return self.samples.pop(0)


@dataclass
class MadeUp:
    """A row whose runs are a function."""

    key: str
    run: Callable[[Contender], Any]
    labels: tuple[str, ...] = (OURS, "a.Lock")
    needs: tuple[str, ...] = ()
    warm_up: bool = False
    turns: int = 2
    concluded: list[Samples] = field(default_factory=list["Samples"])

    def plan(self, _effort: Effort, _starter: Starter) -> Plan:
        return Plan(
            self.key,
            f"what {self.key} is",
            contenders(*self.labels),
            self.turns,
            1.0,
            self.run,
            self.conclude,
            self.needs,
            self.warm_up,
        )

    def conclude(self, samples: Samples) -> Iterator[Item]:
        self.concluded.append(samples)
        yield finding(what=f"what {self.key} is")


def nobody(_key: str, _seconds: float) -> None:
    """Be told how a plan advances."""


def everything() -> Report:
    """A report with something of each sort, and of each verdict."""
    report = Report({"python": "CPython 3.99", "cores": "4, [2] usable"})
    report.add(
        [
            finding(target=Target(0.85)),
            finding("b.Lock", target=Target(0.1), note="outliers: 1 of 9, peer 0"),
            finding("c.Lock", target=Target(0.5)),
            finding("d.Lock", values=Values(Spread(1.0, 1.0, 1.0))),
            finding(
                "e.Lock",
                values=Values(*[Spread(1.0, 0.9, 1.1)] * 3),
                target=Target(0.95, of="ours"),
            ),
            finding(what="wait", aspect="median", unit="us"),
            finding(what="wait", aspect="worst", unit="us"),
            finding("b.Lock", what="wait", aspect="median", unit="us"),
            Skipped("row", "with", "f.Lock: f not installed"),
            Broken("other", "g.Lock: [it] broke"),
            *points("throughput", OURS, "a.Lock"),
            *points("waiters", OURS),
            Point("waiters", "crowd", "a.Lock", 10, Spread(3.0, 2.0, 4.0)),
            Distribution("handing over", OURS, tuple(map(float, range(1, 104)))),
            Distribution("waiting", OURS, (7.0,) * len(GRID)),
            Distribution("waiting", "a.Lock", (8.0,) * len(GRID)),
            Distribution("waiting longer", OURS, (9.0,) * len(GRID)),
            Timeline("waiting longer", OURS, ((0, 0.0, 0.02),)),
            Timeline("waiting", OURS, ((0, 0.0, 0.01), (1, 0.02, 0.03))),
            Timeline("waiting", "a.Lock", ((0, 0.0, 0.1),)),
        ]
    )
    return report


def points(picture: Any, *labels: str) -> list[Point]:
    return [
        Point(picture, "crowd", label, number, Spread(5.0 * number, 4.0, 60.0 * number))
        for label in labels
        for number in (1, 10)
    ]
