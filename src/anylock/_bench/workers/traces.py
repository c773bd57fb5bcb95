"""What the members of a crowd have noted, put together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

from anylock._bench.spread import GRID, percentile

Event: TypeAlias = "tuple[float, float, float]"
"""When somebody asked for a lock, entered, and left; seconds of one clock."""

SHOWN = 0.1
"""Seconds of which it is told who held the lock when."""

MOST_SPANS = 600
"""No more of them are told: a picture cannot show more."""


def summary(events: list[tuple[int, Event]], sides: dict[int, str]) -> dict[str, Any]:
    """Say how long they waited, how the lock was handed over, and who had it when.

    Args:
        events: What each member noted.
        sides: Member -> the side it belongs to.
    """
    ordered = sorted(events, key=lambda one: one[1][1])
    waits: dict[str, list[float]] = {}
    for who, (asked, entered, _) in ordered:
        waits.setdefault(sides[who], []).append((entered - asked) * 1e6)
    return {
        "waits": {side: grid(values) for side, values in waits.items()},
        "hand-offs": grid(hand_offs(ordered)),
        "longest run": longest_run(ordered),
        "spans": spans(ordered),
    }


def grid(values: list[float]) -> list[float]:
    """Give the percentiles of `spread.GRID`; nothing of nothing."""
    ascending = sorted(values)
    return [percentile(ascending, percent) for percent in GRID] if values else []


def hand_offs(ordered: list[tuple[int, Event]]) -> list[float]:
    """Give the microseconds from each release to the entry of somebody who waited."""
    return [
        (entered - left) * 1e6
        for (before, (_, _, left)), (after, (asked, entered, _)) in pairwise(ordered)
        if before != after and asked < left
    ]


def longest_run(ordered: list[tuple[int, Event]]) -> int:
    """Say how often in a row one of them had it."""
    return max((len(run) for _, run in _runs(ordered)), default=0)


def spans(ordered: list[tuple[int, Event]]) -> list[tuple[int, float, float]]:
    """Say who had it from when to when, at first, when all were there."""
    came = {who: asked for who, (asked, _, _) in reversed(ordered)}
    began = max(came.values(), default=0.0)
    told = [
        (who, max(run[0][1] - began, 0.0), min(run[-1][2] - began, SHOWN))
        for who, run in _runs(ordered)
    ]
    return [span for span in told if span[1] < span[2]][:MOST_SPANS]


def _runs(ordered: list[tuple[int, Event]]) -> list[tuple[int, list[Event]]]:
    """Put together what one of them did before another one came."""
    runs: list[tuple[int, list[Event]]] = []
    for who, event in ordered:
        if not runs or runs[-1][0] != who:
            runs.append((who, []))
        runs[-1][1].append(event)
    return runs
