"""The sub-command `bench`: its options, and what it needs."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = 2
"""The exit status when nothing was measured; argparse's own for wrong options."""

_DESCRIPTION = """\
Measure what the locks cost on this machine, beside the peers that are installed: each
contender in fresh interpreters, by turns, so that whatever else the machine does meets
all of them alike. What is said are ratios, with their spread. Nothing is asserted.
"""

_STATUS = """\
Exit status: 0 if all was measured, whatever it says of the targets; 1 if a measurement
broke; 2 if it cannot run; 130 after Ctrl-C, which ends it with the rows that are done.
"""


def add_bench(commands: Any) -> None:
    """Add the sub-command to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure what the locks cost here, beside their peers",
        description=_DESCRIPTION,
        epilog=_STATUS,
    )
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument(
        "--quick",
        dest="effort",
        action="store_const",
        const="quick",
        help="less than ten minutes, for a first look",
    )
    effort.add_argument(
        "--full",
        dest="effort",
        action="store_const",
        const="full",
        help="about 35 minutes, for numbers to publish; in between, about 20",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        type=_row,
        metavar="ROW",
        help="measure these rows, or parts of the table; --list names them",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="name the rows, part by part, say how long they take, and leave",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write all that was found there; - for standard output",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="DIR",
        help="draw pictures there, as SVG (extra 'plot')",
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: show and draw what an earlier --json has written",
    )
    parser.set_defaults(run=_run, effort="usual")


def run_parts(*parts: str) -> int:
    """Be a program that measures parts of the table, unless `--only` names rows."""
    from anylock.__main__ import main  # noqa: PLC0415 - which imports this module

    options = sys.argv[1:]
    only = [] if "--only" in options else ["--only", *parts]
    return main(["bench", *options, *only])


def complain(lines: Iterable[str]) -> None:
    """Tell the user something on stderr."""
    for line in lines:
        sys.stderr.write(f"anylock bench: {line}\n")


def _run(options: argparse.Namespace) -> int:
    missing = _missing(options)
    if missing is not None:
        complain([missing])
        return FAILED
    # Only now: it needs what may have been missing, and --help does not need it.
    from anylock._bench.bench import run  # noqa: PLC0415

    return run(options)


def _missing(options: argparse.Namespace) -> str | None:
    if find_spec("rich") is None:
        return "needs rich for its table: pip install 'anylock[cli]'"
    if options.plot is not None and find_spec("matplotlib") is None:
        return "--plot needs matplotlib: pip install 'anylock[plot]'"
    return None


def _row(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - for --only alone

    from anylock._bench.catalogue import PARTS, ROWS  # noqa: PLC0415 - likewise

    known = [*PARTS, *ROWS]
    if name not in known:
        like = get_close_matches(name, known)
        hint = f"; did you mean {' or '.join(like)}?" if like else ""
        message = f"there is no row {name!r}{hint} (--list names all)"
        raise argparse.ArgumentTypeError(message)
    return name
