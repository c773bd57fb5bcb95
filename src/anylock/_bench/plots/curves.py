"""Curves: throughput against contenders, and cost against waiters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anylock._bench.plots.style import legend, looks, panels
from anylock._bench.spread import slope

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anylock._bench.findings import Point
    from anylock._bench.report import Report


def draw_throughput(report: Report) -> Figure | None:
    """Draw how often the lock is acquired against how many want it."""
    figure, drawn = _curves(report, "throughput")
    for axes in drawn:
        axes.set_xlabel("contenders")
        axes.set_ylabel("acquisitions per second")
        axes.set_ylim(bottom=0)
    return figure


def draw_waiters(report: Report) -> Figure | None:
    """Draw what waiting costs in all against how many wait; by slopes too."""
    figure, drawn = _curves(report, "waiters")
    for axes in drawn:
        axes.set_xlabel("waiters")
        axes.set_ylabel("time until all are gone (us)")
        axes.set_yscale("log")
    return figure


def _curves(report: Report, picture: str) -> tuple[Figure | None, list[Any]]:
    points = [point for point in report.points if point.picture == picture]
    if not points:
        return None, []
    titles = list(dict.fromkeys(point.panel for point in points))
    styles = looks(list(dict.fromkeys(point.label for point in points)))
    figure, grid = panels(titles)
    for axes, title in zip(grid, titles, strict=True):
        here = [point for point in points if point.panel == title]
        for label in dict.fromkeys(point.label for point in here):
            curve = [point for point in here if point.label == label]
            name = _with_slope(label, curve) if picture == "waiters" else label
            _draw(axes, curve, name, styles[label])
        axes.set_xscale("log")
        numbers = sorted({point.x for point in here})
        axes.set_xticks(numbers, [f"{number:,g}" for number in numbers])
        axes.minorticks_off()
        legend(axes)
    return figure, grid


def _draw(axes: Any, curve: list[Point], label: str, style: dict[str, str]) -> None:
    xs = [point.x for point in curve]
    axes.plot(xs, [point.y.median for point in curve], label=label, **style)
    axes.fill_between(
        xs,
        [point.y.low for point in curve],
        [point.y.high for point in curve],
        color=style["color"],
        alpha=0.18,
        linewidth=0,
    )


def _with_slope(label: str, curve: list[Point]) -> str:
    if len(curve) == 1:
        return label
    return f"{label}, slope {slope([(each.x, each.y.median) for each in curve]):.2f}"
