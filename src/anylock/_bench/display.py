"""The progress bar and the table, drawn by rich."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from anylock._bench.starting import Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from anylock._bench.effort import Effort
    from anylock._bench.findings import Finding
    from anylock._bench.plan import Row
    from anylock._bench.report import Report
    from anylock._bench.spread import Spread

_WIDE = 140
"""Columns of a table that goes into a file, where nobody says how many there are."""

_ROUNDED_FROM = 100
_MINUTES_FROM = 90
_STYLES = {"holds": "green", "FAILS": "bold red", "unclear": "yellow"}


@contextmanager
def progress(expected: float) -> Generator[Callable[[str, float], None]]:
    """Draw a progress bar on stderr, if that is a terminal.

    Args:
        expected: How many seconds all takes, more or less.

    Yields:
        A function that takes the row, and how many of these seconds are over now in
        addition.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _draw_nothing
        return
    columns = (
        TextColumn("{task.description:<30}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    began = monotonic()
    done = 0.0
    with Progress(
        *columns,
        console=console,
        transient=True,
        # A thread that draws all the time would disturb what is measured.
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=expected, left=left(0.0, 0.0, expected))
        bar.refresh()

        def advance(key: str, seconds: float) -> None:
            nonlocal done
            done += seconds
            remaining = left(monotonic() - began, done, expected)
            bar.update(task, completed=done, description=key, left=remaining)
            bar.refresh()

        yield advance


def _draw_nothing(_key: str, _seconds: float) -> None:
    pass


def left(took: float, done: float, expected: float) -> str:
    """Say how long it still takes, from how long a part of it took.

    Args:
        took: Seconds since it began.
        done: How many seconds that was expected to take.
        expected: How many seconds all was expected to take.
    """
    pace = took / done if done else 1.0
    return f"{lasting(max(expected - done, 0.0) * pace)} left"


def lasting(seconds: float) -> str:
    """Say how long something takes."""
    if seconds < _MINUTES_FROM:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min"


def show(report: Report, to: IO[str]) -> None:
    """Print where it ran, and the table."""
    wide = None if to.isatty() or "COLUMNS" in os.environ else _WIDE
    console = Console(file=to, width=wide)
    console.print(_environment(report.environment))
    if report.findings:
        console.print(_table(report))
    # As Text, because rich would take "[trio]" in a string for one of its tags.
    for skipped in report.skipped:
        console.print(Text(f"left out, {skipped.key}: {skipped.reason}"))
    for broken in report.broken:
        console.print(Text(f"broken, {broken.key}: {broken.error}", "bold red"))


def show_rows(parts: Mapping[str, tuple[Row, ...]], effort: Effort) -> None:
    """Name all rows on stdout, and say how long those of each part take."""
    console = Console()
    # It starts nothing here: the plans alone say how long they take.
    starter = Starter(threading.Event(), Path())
    total = 0.0
    for part, rows in parts.items():
        seconds = sum(row.plan(effort, starter).expected for row in rows)
        total += seconds
        console.print(Text(part, "bold"), Text(f"({lasting(seconds)})", "dim"))
        for row in rows:
            console.print(Text(f"  {row.key}"))
    console.print(f"all of them: {lasting(total)}")


def _environment(labelled: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for label, value in labelled.items():
        grid.add_row(Text(label, "bold"), Text(value))
    return grid


def _table(report: Report) -> Table:
    table = Table(
        caption="ours / peer: the median of ratios of runs next to each other, and in "
        "brackets the quartiles, or all there were; of a rate more is better, of a "
        "time less"
    )
    for heading in ("what", "compared with"):
        table.add_column(heading, overflow="fold")
    for heading in ("ours", "peer"):
        table.add_column(heading, justify="right")
    for heading in ("", "ours / peer", "target", "verdict"):
        table.add_column(heading)
    for what, group in groupby(report.findings, key=lambda one: one.what):
        findings = list(group)
        order = list(dict.fromkeys(one.aspect for one in findings))
        findings.sort(key=lambda one: order.index(one.aspect))
        table.add_section()
        shown = order[0]
        first = f"{what}: {shown}" if shown else what
        for finding in findings:
            aspect = first or (finding.aspect if finding.aspect != shown else "")
            table.add_row(Text(aspect, "bold" if first else ""), *_cells(finding))
            first, shown = "", finding.aspect
    return table


def _cells(finding: Finding) -> list[Text]:
    target, values = finding.target, finding.values
    judged = finding.unit if target is not None and target.of == "ours" else ""
    return [
        Text(finding.peer),
        Text(number(values.ours.median)),
        Text("" if values.theirs is None else number(values.theirs.median)),
        Text(finding.unit),
        Text("" if values.ratio is None else _with_spread(values.ratio)),
        Text("" if target is None else f"{target} {judged}".rstrip()),
        _verdict(finding),
    ]


def _with_spread(ratio: Spread) -> str:
    return f"{factor(ratio.median)} ({factor(ratio.low)} to {factor(ratio.high)})"


def _verdict(finding: Finding) -> Text:
    word, _, _ = finding.verdict.partition(" ")
    text = Text(finding.verdict, _STYLES.get(word.rstrip(","), ""))
    if finding.note:
        text.append(f"{'; ' if finding.verdict else ''}{finding.note}", "dim")
    return text


def number(value: float) -> str:
    """Show about three digits."""
    return f"{value:,.0f}" if value >= _ROUNDED_FROM else f"{value:.3g}"


def factor(ratio: float) -> str:
    """Show about as many digits of a ratio as mean something."""
    digits = 0 if ratio >= 10 else 2 if ratio >= 0.1 else 4  # noqa: PLR2004 - decades
    return f"{ratio:.{digits}f}"
