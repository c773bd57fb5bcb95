"""The tables of a profile, drawn by rich on stderr: stdout is the program's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anylock._profile.report import Lock, Report

_MOST_ROWS = 15
_NUMBERS = ("Made", "Acquired", "Waits", "Waited", "Longest", "Held", "Longest")


def show(report: Report, console: Console | None = None) -> None:
    """Print the most important of it.

    Args:
        report: The report.
        console: Where to; by default stderr.
    """
    screen = console or Console(stderr=True)
    screen.print(_heading(report), highlight=False)
    locks = [each for each in report.locks if each.family != "Condition"]
    if locks:
        screen.print(_of_locks(locks))
    conditions = [each for each in report.locks if each.family == "Condition"]
    if conditions:
        screen.print(_of_conditions(conditions))
    if report.blocked:
        screen.print(_of_blocked(report))
    for found in report.found:
        screen.print(Text(f"{found.kind}:", "bold red"))
        screen.print(Text(found.message), soft_wrap=True)


def _heading(report: Report) -> Text:
    number = sum(each.locks for each in report.locks)
    places = len(report.locks)
    text = Text(
        f"{number:,} lock{'s' * (number != 1)} from "
        f"{places:,} place{'s' * (places != 1)}, {report.events:,} events "
        f"in {report.seconds:.2f} s",
        "bold",
    )
    if report.dropped:
        text.append(
            f"; the first {report.dropped:,} of them were dropped: they count in the "
            "tables of locks and conditions only"
        )
    return text


def _of_locks(locks: Sequence[Lock]) -> Table:
    table = Table(title="Locks, by how long they were waited for", title_justify="left")
    table.add_column("Lock", overflow="fold")
    table.add_column("Kind")
    for heading in _NUMBERS:
        table.add_column(heading, justify="right")
    for lock in locks[:_MOST_ROWS]:
        table.add_row(
            Text(lock.name),
            f"{lock.kind} {lock.family}",
            f"{lock.locks:,}",
            f"{lock.acquisitions:,}",
            f"{lock.contended:,}",
            _seconds(lock.total_wait),
            _seconds(lock.max_wait),
            _seconds(lock.total_hold),
            _seconds(lock.max_hold),
        )
    _add_rest(table, len(locks))
    return table


def _of_conditions(conditions: Sequence[Lock]) -> Table:
    table = Table(title="Waits to be notified", title_justify="left")
    table.add_column("Condition", overflow="fold")
    table.add_column("Kind")
    for heading in ("Made", "Waits", "Notified", "Waited", "Longest"):
        table.add_column(heading, justify="right")
    for each in conditions[:_MOST_ROWS]:
        table.add_row(
            Text(each.name),
            each.kind,
            f"{each.locks:,}",
            f"{each.contended:,}",
            f"{each.acquisitions:,}",
            _seconds(each.total_wait),
            _seconds(each.max_wait),
        )
    _add_rest(table, len(conditions))
    return table


def _of_blocked(report: Report) -> Table:
    table = Table(title="Who keeps whom waiting", title_justify="left")
    for heading in ("Who waits at", "for", "that is held since"):
        table.add_column(heading, overflow="fold")
    for heading in ("Waits", "Seconds"):
        table.add_column(heading, justify="right")
    for each in report.blocked[:_MOST_ROWS]:
        table.add_row(
            Text(_short(each.waiter)),
            Text(report.locks[each.lock].name),
            Text(_short(each.holder)),
            f"{each.waits:,}",
            _seconds(each.seconds),
        )
    _add_rest(table, len(report.blocked))
    return table


def _short(place: str) -> str:
    """Return a place without the folders of its file."""
    return os.path.basename(place)  # noqa: PTH119 - it is more than a path


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else "-"


def _add_rest(table: Table, rows: int) -> None:
    if rows > _MOST_ROWS:
        table.caption = f"and {rows - _MOST_ROWS:,} more"
        table.caption_justify = "left"
