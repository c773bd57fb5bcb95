"""The sub-command `soak`: its options, and what it needs."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = 2
"""The exit status when nothing was found out; argparse's own for wrong options."""

KINDS = ("thread", "process", "machine", "async")

_DESCRIPTION = """\
Use one lock after the other, with threads, processes and tasks on asyncio and trio
together, amid time-outs, cancellations, closed event loops, forks, signal handlers
that raise and, of kind "machine", processes that are killed; and check by a shared
record that no two were ever inside, that no update was lost, that nobody waits for ever
and that a death inside is told, once.
"""

_STATUS = """\
All is drawn from the seed. How threads and processes interleave is not, so that the
same seed may have to run several times until it finds the same again. Exit status: 0 if
all went well, 1 if something was violated (the seed is printed), 2 if the soak cannot
run, 130 after Ctrl-C, which ends it with the summary.
"""


def add_soak(commands: Any) -> None:
    """Add the sub-command to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "soak",
        help="look for lost wake-ups, locks and permits amid faults, for a while",
        description=_DESCRIPTION,
        epilog=_STATUS,
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=60.0,
        metavar="N",
        help="how long, more or less (default: 60)",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=KINDS,
        help="soak this kind; may be given several times (default: all)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        metavar="S",
        help="a whole number from which all choices are drawn (default: a new one)",
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=30.0,
        metavar="N",
        help="after how many seconds in which nobody gets in, while somebody wants to, "
        "it is a hang (default: 30)",
    )
    parser.set_defaults(run=_run)


def complain(lines: Iterable[str]) -> None:
    """Tell the user something on stderr."""
    for line in lines:
        sys.stderr.write(f"anylock soak: {line}\n")
    sys.stderr.flush()


def _run(options: argparse.Namespace) -> int:
    if find_spec("rich") is None:
        complain(["needs rich for what it shows: pip install 'anylock[cli]'"])
        return FAILED
    # Only now: it needs what may have been missing, and --help does not need it.
    from anylock._soak.soak import run  # noqa: PLC0415

    return run(options)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        message = f"must be a number of seconds above 0, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        message = f"must be a whole number, 0 or more, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
