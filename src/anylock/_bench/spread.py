"""Medians and what is around them: all the statistics there is."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GRID = (*range(100), 99.5, 99.9, 100)
"""The percentiles by which a distribution is told: every one, and more of the tail."""

ENOUGH = 10
"""From so many values on their quartiles say where the median is."""


@dataclass(frozen=True)
class Spread:
    """A median, and the two values between which the others lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Give the quartiles if there are enough values for that, else all there is.

        Of few values the quartiles are so near the median that chance decides whether
        a second run finds it between them.
        """
        return cls.quartiles(values) if len(values) >= ENOUGH else cls.range_of(values)

    @classmethod
    def quartiles(cls, values: Sequence[float]) -> Spread:
        """Give the median and the quartiles: half of the values are in between."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def range_of(cls, values: Sequence[float]) -> Spread:
        """Give the median, the least and the greatest value."""
        return cls(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide what was measured side by side, pair by pair; by nothing, not."""
    return [a / b for a, b in zip(ours, theirs, strict=True) if b]


def outliers(values: Sequence[float]) -> int:
    """Count those beyond the quartiles by more than 1.5 times what is between them.

    That is what pyperf, and a box plot, calls an outlier. Of one value it is none.
    """
    if len(values) == 1:
        return 0
    quartiles = Spread.quartiles(values)
    reach = 1.5 * (quartiles.high - quartiles.low)
    low, high = quartiles.low - reach, quartiles.high + reach
    return sum(not low <= value <= high for value in values)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Give a value of a list that at most so many per cent of the others exceed not.

    The list's own: between two of them there is nothing that has ever happened.
    """
    index = math.ceil(len(ascending) * percent / 100) - 1
    return ascending[max(index, 0)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Give the exponent k with which y grows as x to the power of k, by least squares.

    1 is linear. It takes at least two different values of x.
    """
    xs = [math.log(x) for x, _ in points]
    ys = [math.log(y) for _, y in points]
    return statistics.linear_regression(xs, ys).slope
