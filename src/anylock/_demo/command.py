"""The sub-command `demo`: its options, and what it needs."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = 2
"""The exit status when nothing was found out; argparse's own for wrong options."""

KINDS = ("thread", "process", "asyncio", "trio")
NO_TRIO = "not installed: pip install 'anylock[trio]'"

_MOST_WORKERS = 100

_DESCRIPTION = """\
Count the words of text files into one shared SQLite file, by reading it, adding and
writing it back: the same critical section under threads, processes, asyncio and trio,
each without a lock and with one. Without a lock updates get lost.
"""

_STATUS = """\
Exit status: 0 if every count under a lock is right, 1 if one is wrong, 2 if the demo
cannot run, 130 after Ctrl-C.
"""


def add_demo(commands: Any) -> None:
    """Add the sub-command to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="see updates get lost without a lock, and none with one",
        description=_DESCRIPTION,
        epilog=_STATUS,
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="a text file (default: sources of the standard library)",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=KINDS,
        help="run this kind of workers; may be given several times (default: all)",
    )
    parser.add_argument(
        "--workers",
        type=_workers,
        default=4,
        metavar="N",
        help=f"how many workers count at the same time, 1 to {_MOST_WORKERS} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--start-method",
        choices=multiprocessing.get_all_start_methods(),
        help="how processes are started (default: as this Python does)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    parser.set_defaults(run=_run)


def complain(lines: Iterable[str]) -> None:
    """Tell the user something on stderr."""
    for line in lines:
        sys.stderr.write(f"anylock demo: {line}\n")


def _run(options: argparse.Namespace) -> int:
    missing = _missing(options)
    if missing is not None:
        complain([missing])
        return FAILED
    # Only now: it needs what may have been missing, and --help does not need it.
    from anylock._demo.demo import run  # noqa: PLC0415

    return run(options)


def _missing(options: argparse.Namespace) -> str | None:
    if find_spec("_sqlite3") is None:
        return "this Python was built without sqlite3, in which the demo counts"
    if not options.json and find_spec("rich") is None:
        return "needs rich for its table: pip install 'anylock[cli]' (or choose --json)"
    if "trio" in (options.kind or ()) and find_spec("trio") is None:
        return f"--kind trio: {NO_TRIO}"
    return None


def _workers(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= _MOST_WORKERS:
        message = f"must be a whole number from 1 to {_MOST_WORKERS}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number
