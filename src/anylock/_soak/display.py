"""The soak's live line and its summary, drawn by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import live
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anylock._soak.board import COLOURS, FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from anylock._soak.watch import Outcome


class Live:
    """A line on stderr that says what is going on, if that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live: live.Live | None = None
        if console.is_terminal:
            self._live = live.Live(
                console=console,
                transient=True,
                # It would be drawn by a thread, and a process that has one should
                # not fork.
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> Callable[[str, float, float, Outcome], None]:
        if self._live is not None:
            self._live.start()
        return self._draw

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _draw(self, title: str, passed: float, of: float, outcome: Outcome) -> None:
        if self._live is None:
            return
        entries = sum(outcome.entries.values())
        faults = sum(outcome.faults.values())
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{passed:.0f}/{of:.0f} s ", "bold")
        text.append(f"{entries:,} acquisitions, {faults:,} faults ", "green")
        text.append(title)
        self._live.update(text, refresh=True)


def show(
    found: dict[str, Outcome],
    seed: int,
    rounds: int,
    seconds: float,
    console: Console | None = None,
) -> None:
    """Print the summary, on stdout by default."""
    table = Table(title=f"{rounds} rounds in {seconds:.0f} s, seed {seed}")
    table.add_column("")
    for kind in found:
        table.add_column(kind, justify="right")
    for colour in COLOURS:
        numbers = [f"{outcome.entries[colour]:,}" for outcome in found.values()]
        table.add_row(f"acquisitions by {colour}", *numbers)
    table.add_section()
    for fault in FAULTS:
        numbers = [f"{outcome.faults[fault]:,}" for outcome in found.values()]
        table.add_row(fault, *numbers)
    table.add_section()
    for colour in COLOURS:
        waits = [
            f"{outcome.worst[colour] * 1000:,.0f} ms" for outcome in found.values()
        ]
        table.add_row(f"worst wait, {colour}", *waits)
    table.add_section()
    verdicts = [
        Text("violated", "bold red") if outcome.violations else Text("none", "green")
        for outcome in found.values()
    ]
    table.add_row("violations", *verdicts)
    (console or Console()).print(table)
