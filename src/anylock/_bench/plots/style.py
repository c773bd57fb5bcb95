"""What all pictures share: panels, colours for light and dark, how they are saved."""

from __future__ import annotations

import io
import re
from textwrap import fill
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context  # pyright: ignore[reportUnknownVariableType]
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A picture brings its own background, so that it never has light text on a light page,
# whatever the page around it believes the reader prefers.
PAPER, INK, FAINT = "#ffffff", "#1f2328", "#d1d9e0"
DARK = {PAPER: "#0d1117", INK: "#e6edf3", FAINT: "#30363d"}
"""Colour in the light -> the same in the dark."""

OURS = "#d1495b"
PEERS = (
    *("#3a7ca5", "#2a9d6f", "#b8860b", "#8a63c9", "#7a828a", "#c2559a"),
    *("#00859b", "#9a6b3f", "#5c7fdb", "#6b8e23", "#c0621a"),
)
"""Of middling brightness: they stand out from either background."""

MARKERS = "osD^vP"
"""For who cannot tell the colours apart."""

NARROW, WIDE = (3, (4.6, 3.4)), (2, (7.0, 3.0))
"""How many panels are beside each other, and how large each is, in inches."""

_LETTERS = 36
"""Of a line of a title."""

_SETTINGS: Any = {
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "grid.color": FAINT,
    "legend.edgecolor": FAINT,
    "legend.facecolor": PAPER,
    "legend.fontsize": "small",
    "legend.labelcolor": INK,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",  # text stays text: it can be searched, and coloured
    "svg.hashsalt": "anylock",  # the same report gives the same file
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def panels(
    titles: Sequence[str], layout: tuple[int, tuple[float, float]] = NARROW
) -> tuple[Figure, list[Any]]:
    """Give a figure, and one set of axes for each title.

    Args:
        titles: What the panels are called.
        layout: How they are laid out.
    """
    most, (width, height) = layout
    columns = min(most, len(titles))
    rows = -(-len(titles) // columns)
    with rc_context(_SETTINGS):
        size = (width * columns, height * rows)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(fill(title, _LETTERS), loc="left")
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    return figure, grid[: len(titles)]


def looks(labels: Sequence[str]) -> dict[str, dict[str, str]]:
    """Say how each lock looks, the same in all panels: ours stands out."""
    ours = [label for label in labels if label.startswith("make_")]
    order = [*ours, *(label for label in labels if label not in ours)]
    colours = [*[OURS] * len(ours), *PEERS * len(labels)]
    return {
        label: {
            "color": colour,
            "marker": MARKERS[index % len(MARKERS)],
            "linewidth": "2.2" if label in ours else "1.2",
            # Two of ours in one picture have the same colour.
            "linestyle": "--" if label in ours[1::2] else "-",
        }
        for index, (label, colour) in enumerate(zip(order, colours, strict=False))
    }


def legend(axes: Any) -> None:
    """Say which colour is which lock."""
    with rc_context(_SETTINGS):
        axes.legend(framealpha=0.8)


def save(figure: Figure, file: Path) -> Path:
    """Write a figure as SVG that is readable in light and dark."""
    out = io.StringIO()
    with rc_context(_SETTINGS):
        # Without the date, and without matplotlib's registry of open windows.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None})
    rules = "".join(
        f'[style*="{name}: {light}"] {{ {name}: {dark} !important }}\n'
        for light, dark in DARK.items()
        for name in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>"
    head, tag, body = re.split(r"(<svg [^>]*>)", out.getvalue(), maxsplit=1)
    file.write_text(f"{head}{tag}\n {style}{body}", encoding="utf-8")
    return file
