"""The pictures: what a report has found, drawn by matplotlib as SVG.

Each picture has its panels beside each other. `style` makes them readable in light and
dark; `curves`, `latency` and `fairness` draw them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.plots.curves import draw_throughput, draw_waiters
from anylock._bench.plots.fairness import draw_fairness
from anylock._bench.plots.latency import draw_hand_offs, draw_waits
from anylock._bench.plots.style import save

if TYPE_CHECKING:
    from pathlib import Path

    from anylock._bench.report import Report

PICTURES = {
    "throughput": draw_throughput,
    "waiters": draw_waiters,
    "hand-offs": draw_hand_offs,
    "waits": draw_waits,
    "fairness": draw_fairness,
}


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw what can be drawn of a report into a folder; return the files."""
    files: list[Path] = []
    for name, draw_picture in PICTURES.items():
        figure = draw_picture(report)
        if figure is not None:
            files.append(save(figure, folder / f"{name}.svg"))
    return files
