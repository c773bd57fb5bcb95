"""What a comparison found: medians, spreads, and whether the target holds."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rows import Target

ROUNDED_BELOW = 100
"""From here on numbers are shown without decimals."""


@dataclass(frozen=True)
class Spread:
    """A median, and the two values between which the others lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Give the median and the quartiles: half of the values are in between."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def range_of(cls, values: Sequence[float]) -> Spread:
        """Give the median, the least and the greatest value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Args:
        key: The row.
        what: The row in words.
        peer: With what ours was compared.
        unit: Of the values.
        ours: Our value.
        theirs: The peer's value.
        ratio: Ours / theirs, from values that were measured side by side.
        target: What was promised, if anything.
        note: What the table says beside it.
        details: More about it, for the JSON only.
    """

    key: str
    what: str
    peer: str
    unit: str
    ours: Spread
    theirs: Spread | None = None
    ratio: Spread | None = None
    target: Target | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the target holds; "unclear" if that is within the spread."""
        ratio = self.ratio
        if self.target is None:
            level = ratio is not None and ratio.low <= 1 <= ratio.high
            return "no difference seen" if level else ""
        judged = self.ours if self.target.of == "ours" else ratio
        if judged is None:
            return "not compared"
        bound = self.target.bound
        within = [value <= bound for value in (judged.low, judged.high)]
        if self.target.at_least:
            within = [value >= bound for value in (judged.low, judged.high)]
        if all(within):
            return "holds"
        return "unclear" if any(within) else "FAILS"

    def line(self) -> str:
        """Give the line of the table."""
        ours = number(self.ours.median)
        theirs = "" if self.theirs is None else number(self.theirs.median)
        ratio = ""
        if self.ratio is not None:
            spread = [self.ratio.median, self.ratio.low, self.ratio.high]
            ratio = "{} ({} to {})".format(*map(factor, spread))
        target = ""
        if self.target is not None:
            unit = f" {self.unit}" if self.target.of == "ours" else ""
            target = f"{self.target}{unit}"
        remarks = "; ".join(filter(None, (self.verdict, self.note)))
        return (
            f"  {self.peer:<33}{ours:>10}{theirs:>11} {self.unit:<6}"
            f"{ratio:<26}{target:<14}{remarks}"
        ).rstrip()

    def as_json(self) -> dict[str, Any]:
        """Give what the JSON says."""
        return {**asdict(self), "verdict": self.verdict}


HEADING = (
    f"  {'compared with':<33}{'ours':>10}{'peer':>11} {'':<6}"
    f"{'ours / peer':<26}{'target':<14}verdict"
)


def compared(
    ours: Iterable[float],
    theirs: Iterable[float],
    *,
    spread: Callable[[Sequence[float]], Spread] = Spread.of,
) -> tuple[Spread, Spread, Spread | None]:
    """Give the spreads of ours, of theirs, and of the ratios pair by pair."""
    mine, others = list(ours), list(theirs)
    ratios = [a / b for a, b in zip(mine, others, strict=True) if b]
    return spread(mine), spread(others), spread(ratios) if ratios else None


def number(value: float) -> str:
    """Show about three digits."""
    return f"{value:,.0f}" if value >= ROUNDED_BELOW else f"{value:.3g}"


def factor(ratio: float) -> str:
    """Show about as many digits of a ratio as mean something."""
    digits = 0 if ratio >= 10 else 2 if ratio >= 0.1 else 4  # noqa: PLR2004 - decades
    return f"{ratio:.{digits}f}"
