"""The demo's progress bar and table, drawn by rich."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anylock._demo.findings import Findings
    from anylock._demo.runs import Outcome

_FRAME = 0.1
"""Seconds between two pictures of the progress bar."""


@contextmanager
def progress() -> Generator[Callable[[str, float], None]]:
    """Draw a progress bar on stderr, if that is a terminal.

    Yields:
        A function that takes what is being done and which share of the whole is
        done now in addition. Any thread may call it.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _draw_nothing
        return
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        TaskProgressColumn(),
    )
    drawing = threading.Lock()
    drawn = 0.0
    with Progress(
        *columns,
        console=console,
        transient=True,
        # It would be drawn by a thread, and a process that has one should not fork.
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=1.0)

        def advance(title: str, share: float) -> None:
            nonlocal drawn
            with drawing:
                bar.update(task, advance=share, description=title)
                if monotonic() - drawn >= _FRAME:
                    bar.refresh()
                    drawn = monotonic()

        yield advance


def _draw_nothing(_title: str, _share: float) -> None:
    pass


def show(findings: Findings, console: Console | None = None) -> None:
    """Print the table, on stdout by default."""
    table = Table(
        title=(
            f"{findings.expected:,} words of {_plural(findings.files, 'file')} in "
            f"{_plural(findings.updates, 'update')} of one SQLite file"
        ),
        caption=_caption(findings),
    )
    table.add_column("Kind")
    for heading in ("Workers", "Expected", "Without lock", "With lock", "Seconds"):
        table.add_column(heading, justify="right")
    for row in findings.kinds:
        table.add_row(
            row.kind,
            str(row.workers),
            f"{findings.expected:,}",
            _counted(findings, row.without_lock, "yellow"),
            _counted(findings, row.with_lock, "bold red"),
            f"{row.without_lock.seconds:.2f} / {row.with_lock.seconds:.2f}",
        )
    for kind in findings.skipped:
        table.add_row(kind, "", "", "not installed")
    (console or Console()).print(table)


def _caption(findings: Findings) -> Text:
    # A Text, because rich would take "[trio]" in a string for one of its tags.
    lines = ["lost: words missing after lost updates; seconds: without / with lock"]
    lines += [f"{kind}: {reason}" for kind, reason in findings.skipped.items()]
    return Text("\n".join(lines))


def _counted(findings: Findings, outcome: Outcome, style_of_wrong: str) -> Text:
    lost = findings.lost(outcome)
    if outcome.correct:
        return Text("right", "green")
    if lost == 0:
        return Text("wrong words", style_of_wrong)
    return Text(f"{lost:,} lost ({lost / findings.expected:.0%})", style_of_wrong)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
