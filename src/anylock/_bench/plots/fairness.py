"""Who held the lock, over time: the picture that explains starvation at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.plots.style import OURS, PEERS, WIDE, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anylock._bench.report import Report

COLOURS = (OURS, *PEERS)
"""Of the contenders; of more than there are colours, by turns."""

_THICK = 0.8
_MILLISECONDS = 1000


def draw_fairness(report: Report) -> Figure | None:
    """Draw each lock as a bar, in which every contender has its colour."""
    if not report.timelines:
        return None
    titles = list(dict.fromkeys(timeline.panel for timeline in report.timelines))
    figure, grid = panels(titles, WIDE)
    for axes, title in zip(grid, titles, strict=True):
        here = [timeline for timeline in report.timelines if timeline.panel == title]
        for place, timeline in enumerate(here):
            axes.broken_barh(
                [
                    (start * _MILLISECONDS, (end - start) * _MILLISECONDS)
                    for _, start, end in timeline.spans
                ],
                (place - _THICK / 2, _THICK),
                facecolors=[
                    COLOURS[who % len(COLOURS)] for who, _, _ in timeline.spans
                ],
                linewidth=0,
            )
        axes.set_yticks(range(len(here)), [timeline.label for timeline in here])
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.set_xlabel("time (ms); each colour is one contender")
        axes.set_ylabel("lock")
    return figure
