"""The statistics of the benchmarks, on numbers that are made up."""

from __future__ import annotations

import pytest

from anylock._bench.findings import Finding, Target, Values
from anylock._bench.spread import (
    ENOUGH,
    GRID,
    Spread,
    outliers,
    percentile,
    ratios,
    slope,
)
from benches import finding


def test_quartiles() -> None:
    assert Spread.quartiles([5, 1, 2, 4, 3]) == Spread(3, 2, 4)


def test_extremes() -> None:
    assert Spread.range_of([5, 1, 2, 4, 30]) == Spread(4, 1, 30)


def test_quartiles_need_enough_values() -> None:
    assert Spread.of(range(ENOUGH)) == Spread(4.5, 2.25, 6.75)
    assert Spread.of(range(ENOUGH - 1)) == Spread(4, 0, 8)


def test_a_single_value_has_no_spread() -> None:
    assert Spread.of([7.0]) == Spread.range_of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_ratios_are_of_what_ran_side_by_side() -> None:
    assert ratios([1, 6, 3], [2, 3, 0]) == [0.5, 2]


def test_ratios_of_unequal_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


def test_outliers_are_far_beyond_the_quartiles() -> None:
    # Quartiles 2 and 4: what is below -1 or above 7.
    assert outliers([1, 2, 3, 4, 5]) == 0
    assert outliers([-1, 2, 3, 4, 7]) == 0
    assert outliers([-1.1, 2, 3, 4, 7]) == 1
    assert outliers([-1.1, 2, 3, 4, 7.1]) == 2
    assert outliers([3, 3, 3, 3, 3.5]) == 1
    assert outliers([3]) == 0


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 5), (51, 6), (99, 10), (100, 10)]
)
def test_a_percentile_is_a_value_that_there_was(percent: float, expected: int) -> None:
    assert percentile(range(1, 11), percent) == expected


def test_the_grid_ascends_to_the_worst() -> None:
    assert sorted(GRID) == list(GRID)
    assert GRID[-1] == 100
    assert {50, 95, 99} < set(GRID)


def test_the_slope_is_the_exponent() -> None:
    assert slope([(10, 30), (100, 300), (1000, 3000)]) == pytest.approx(1)
    assert slope([(10, 7), (100, 700)]) == pytest.approx(2)


# Verdicts.


def judged(low: float, high: float, target: Target | None) -> str:
    ratio = Spread((low + high) / 2, low, high)
    return finding(values=Values(ratio, ratio, ratio), target=target).verdict


@pytest.mark.parametrize(
    ("low", "high", "target", "verdict"),
    [
        (0.7, 0.8, None, ""),
        (0.7, 0.8, Target(0.8), "holds"),
        (0.7, 0.9, Target(0.8), "unclear"),
        (0.8, 1.2, Target(0.5), "FAILS by 100%, no difference seen"),
        (0.9, 1.1, None, "no difference seen"),
        (0.9, 1.0, Target(1), "holds, no difference seen"),
        (3.1, 5, Target(3, at_least=True), "holds"),
        (1.5, 1.7, Target(3.2, at_least=True), "FAILS by 50%"),
        (20, 40, Target(40, of="ours"), "holds"),
        (2, 4, Target(0, of="ours"), "FAILS by 3"),
    ],
)
def test_verdict(low: float, high: float, target: Target | None, verdict: str) -> None:
    assert judged(low, high, target) == verdict


def test_what_was_not_compared_is_not_judged() -> None:
    alone = Values(Spread(1, 1, 1))
    assert finding(values=alone, target=Target(2)).verdict == "not compared"
    assert not finding(values=alone).level


def test_values_are_compared_by_pairs() -> None:
    values = Values.compared([1.0, 2.0, 30.0], [2.0, 4.0, 60.0])
    assert values.ratio == Spread(0.5, 0.5, 0.5)
    assert values.theirs == Spread(4.0, 2.0, 60.0)
    assert Values.compared([1.0], [0.0]).ratio is None


def test_a_target_says_its_limit() -> None:
    assert str(Target(0.85)) == "<= 0.85"
    assert str(Target(3, at_least=True)) == ">= 3"
    assert isinstance(finding(), Finding)
