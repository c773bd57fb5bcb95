"""The tables of a profile, drawn by rich on stderr: stdout is the program's."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anylock._profile.stacktable import FOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anylock._profile.report import Lock, Report

_MOST_ROWS = 15
_NARROW = 100
"""Below that many columns, some are left out: the page has them."""
_FILE = 140
"""How wide a file is taken to be."""


def prepare() -> None:
    """Let rich load what it loads later than it is imported."""
    Console(file=io.StringIO()).print(_table("Title", "Heading"))


def show(report: Report) -> None:
    """Print the most important of it on stderr.

    Args:
        report: The report.
    """
    screen = Console(stderr=True)
    if not (screen.is_terminal or "COLUMNS" in os.environ):
        screen = Console(stderr=True, width=_FILE)
    narrow = screen.width < _NARROW
    screen.print(_heading(report), highlight=False)
    locks = [each for each in report.locks if each.family != "Condition"]
    taken = [each for each in locks if each.acquisitions or each.contended]
    if taken:
        screen.print()
        screen.print(_of_locks(taken, narrow=narrow))
    if len(taken) < len(locks):
        idle = f"Those from {len(locks) - len(taken):,} of the places were never taken."
        screen.print(Text(idle))
    conditions = [each for each in report.locks if each.family == "Condition"]
    waited = [each for each in conditions if each.contended]
    if waited:
        screen.print()
        screen.print(_of_conditions(waited))
    if report.blocked:
        screen.print()
        screen.print(_of_blocked(report))
    for found in report.found:
        screen.print()
        screen.print(Text(f"{found.kind}:", "bold red"))
        screen.print(Text(found.message), soft_wrap=True)


def _table(title: str, *words: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.pad_edge = table.show_edge = False
    table.padding = (0, 1, 0, 0)
    for heading in words:
        table.add_column(heading, overflow="fold")
    return table


def _add_numbers(table: Table, *headings: str) -> None:
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


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


def _of_locks(locks: Sequence[Lock], *, narrow: bool) -> Table:
    table = _table("Locks, by how long they were waited for", "Lock")
    if narrow:
        _add_numbers(table, "Acquired", "Waits", "Waited", "Longest", "Held")
    else:
        table.add_column("Kind", no_wrap=True)
        _add_numbers(table, "Made", "Acquired", "Waits", "Waited", "Longest")
        _add_numbers(table, "Held", "Longest")
    for lock in locks[:_MOST_ROWS]:
        used = f"{lock.acquisitions:,}", f"{lock.contended:,}"
        waited = _seconds(lock.total_wait), _seconds(lock.max_wait)
        held = _seconds(lock.total_hold), _seconds(lock.max_hold)
        if narrow:
            table.add_row(Text(lock.name), *used, *waited, held[0])
        else:
            kind = f"{lock.kind} {lock.family}"
            made = f"{lock.locks:,}"
            table.add_row(Text(lock.name), kind, made, *used, *waited, *held)
    _add_rest(table, len(locks))
    return table


def _of_conditions(conditions: Sequence[Lock]) -> Table:
    table = _table("Waits to be notified", "Condition", "Kind")
    _add_numbers(table, "Made", "Waits", "Notified", "Waited", "Longest")
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
    headings = "Who waits at", "for", "that is held since"
    table = _table("Who keeps whom waiting", *headings)
    _add_numbers(table, "Waits", "Seconds")
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
    """Return a place without the folders of its files."""
    return FOR.join(map(os.path.basename, place.split(FOR)))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds else "-"


def _add_rest(table: Table, rows: int) -> None:
    if rows > _MOST_ROWS:
        table.caption = f"and {rows - _MOST_ROWS:,} more"
        table.caption_justify = "left"
