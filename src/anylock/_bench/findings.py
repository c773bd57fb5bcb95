"""What a run of the benchmarks finds: lines of the table, and what pictures show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from anylock._bench.spread import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Target:
    """What a row should reach.

    Args:
        bound: The limit.
        of: Whether the ratio to the peer is limited, or our own value.
        at_least: Whether the limit is a lower one.
    """

    bound: float
    of: Literal["ratio", "ours"] = "ratio"
    at_least: bool = False

    def __str__(self) -> str:
        """Give it as the table shows it."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"

    def allows(self, value: float) -> bool:
        """Say whether a value is within the limit."""
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Values:
    """What was measured, of ours and of a peer.

    Args:
        ours: Our value.
        theirs: The peer's value; None where it is not compared with a peer.
        ratio: Ours / theirs, from values that were measured side by side.
    """

    ours: Spread
    theirs: Spread | None = None
    ratio: Spread | None = None

    @classmethod
    def compared(
        cls,
        ours: Sequence[float],
        theirs: Sequence[float],
        spread: Callable[[Sequence[float]], Spread] = Spread.of,
    ) -> Values:
        """Compare values that were measured side by side."""
        side_by_side = ratios(ours, theirs)
        ratio = spread(side_by_side) if side_by_side else None
        return cls(spread(ours), spread(theirs), ratio)


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Args:
        key: The row.
        what: The row in words.
        aspect: Which of several things that it measures; empty where it is one.
        peer: With what ours was compared; empty where with nothing.
        unit: Of the values.
        values: Ours, and the peer's.
        target: What was promised, if anything.
        note: What the table says beside it.
    """

    key: str
    what: str
    aspect: str
    peer: str
    unit: str
    values: Values
    target: Target | None = None
    note: str = ""

    @property
    def level(self) -> bool:
        """Whether the spread of the ratio is wider than the difference."""
        ratio = self.values.ratio
        return ratio is not None and ratio.low <= 1 <= ratio.high

    @property
    def verdict(self) -> str:
        """Whether the target holds; "unclear" if that is within the spread."""
        said = [] if self.target is None else [self._judgement(self.target)]
        if self.level:
            said.append("no difference seen")
        return ", ".join(said)

    def _judgement(self, target: Target) -> str:
        judged = self.values.ours if target.of == "ours" else self.values.ratio
        if judged is None:
            return "not compared"
        within = [target.allows(value) for value in (judged.low, judged.high)]
        if all(within):
            return "holds"
        if any(within):
            return "unclear"
        if not target.bound:
            return f"FAILS by {judged.median:g}"
        return f"FAILS by {abs(judged.median / target.bound - 1):.0%}"


@dataclass(frozen=True)
class Skipped:
    """What was left out of a row, and why."""

    key: str
    what: str
    reason: str


@dataclass(frozen=True)
class Broken:
    """A row whose measurement broke."""

    key: str
    error: str


@dataclass(frozen=True)
class Point:
    """A point of a curve.

    Args:
        picture: Which picture it belongs to.
        panel: Which part of it.
        label: Which curve, by the lock.
        x: How many contend, or wait.
        y: What that gives.
    """

    picture: Literal["throughput", "waiters"]
    panel: str
    label: str
    x: float
    y: Spread


@dataclass(frozen=True)
class Distribution:
    """How long something took, at the percentiles of `spread.GRID`; microseconds."""

    panel: str
    label: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Timeline:
    """Who held a lock when.

    Args:
        panel: What the contenders did.
        label: The lock.
        spans: Contender, and from when to when it had the lock again and again before
            another one did; seconds.
    """

    panel: str
    label: str
    spans: tuple[tuple[int, float, float], ...]


Item = Finding | Skipped | Broken | Point | Distribution | Timeline
"""What a row yields."""


def as_json(item: Item) -> dict[str, Any]:
    """Give what the JSON says of an item."""
    verdict = {"verdict": item.verdict} if isinstance(item, Finding) else {}
    return {**asdict(item), **verdict}


def finding_of(said: dict[str, Any]) -> Finding:
    """Give the finding that the JSON says so of."""
    values: dict[str, Any] = {
        name: None if spread is None else Spread(**spread)
        for name, spread in said["values"].items()
    }
    parts: dict[str, Any] = {
        **{name: value for name, value in said.items() if name != "verdict"},
        "values": Values(**values),
        "target": None if said["target"] is None else Target(**said["target"]),
    }
    return Finding(**parts)


def point_of(said: dict[str, Any]) -> Point:
    """Give the point that the JSON says so of."""
    parts: dict[str, Any] = {**said, "y": Spread(**said["y"])}
    return Point(**parts)


def distribution_of(said: dict[str, Any]) -> Distribution:
    """Give the distribution that the JSON says so of."""
    return Distribution(said["panel"], said["label"], tuple(said["values"]))


def timeline_of(said: dict[str, Any]) -> Timeline:
    """Give the timeline that the JSON says so of."""
    spans = tuple((who, start, end) for who, start, end in said["spans"])
    return Timeline(said["panel"], said["label"], spans)
