"""Distributions: how long a hand-off takes, and how long a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.plots.style import legend, looks, panels
from anylock._bench.spread import GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anylock._bench.report import Report

NINES = (0, 50, 90, 99, 99.9)
"""The percentiles that are named. Their distances grow: the tail is what matters."""

_BEYOND = 0.03
"""What the worst of all counts as, in per cent: it must have a place on the axis."""


def draw_hand_offs(report: Report) -> Figure | None:
    """Draw how long it takes from a release to the entry of who waits."""
    return _distributions(report, "hand-off (us)", waits=False)


def draw_waits(report: Report) -> Figure | None:
    """Draw how long who wants the lock waits for it."""
    return _distributions(report, "wait (us)", waits=True)


def _distributions(report: Report, unit: str, *, waits: bool) -> Figure | None:
    # Where it is told who held the lock when, waits were compared.
    with_waits = {timeline.panel for timeline in report.timelines}
    all_of = [one for one in report.distributions if (one.panel in with_waits) == waits]
    if not all_of:
        return None
    titles = list(dict.fromkeys(one.panel for one in all_of))
    styles = looks(list(dict.fromkeys(one.label for one in all_of)))
    figure, grid = panels(titles)
    for axes, title in zip(grid, titles, strict=True):
        for one in all_of:
            if one.panel == title:
                style = {**styles[one.label], "marker": ""}
                places = [_place(percent) for percent in GRID]
                axes.plot(places, one.values, label=one.label, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([_place(nine) for nine in NINES], [f"{n:g}" for n in NINES])
        axes.minorticks_off()
        axes.set_xlabel("percentile")
        axes.set_ylabel(unit)
        legend(axes)
    return figure


def _place(percent: float) -> float:
    """Say where a percentile is on the axis: each nine as far from the one before."""
    return 100 / max(100 - percent, _BEYOND)
