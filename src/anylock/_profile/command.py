"""The sub-command `profile`: its options, and what it needs."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED = 2
"""The exit status when the program was not run; Python's own for a missing file."""

EVENTS = 100_000

_DESCRIPTION = """\
Run a program, unchanged, and tell which of its locks were waited for and held, how
long, who kept whom waiting, and which were taken in opposite orders. The locks are
those that it and its libraries make by threading, asyncio, multiprocessing and anylock.
"""

_STATUS = """\
The tables go to stderr when the program has ended; its arguments, stdin, stdout, Ctrl-C
and exit status are its own. Exit status: the program's, or 2 if it could not be run.
"""


def add_profile(commands: Any) -> None:
    """Add the sub-command to an argument parser's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "profile",
        help="run a program and tell which of its locks it waits for",
        usage="%(prog)s [options] (SCRIPT.py | -m MODULE) [ARGUMENT ...]",
        description=_DESCRIPTION,
        epilog=_STATUS,
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write a page of HTML, complete in itself",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON")
    parser.add_argument(
        "--events",
        type=_number,
        default=EVENTS,
        metavar="N",
        help="how many events are kept at most, the last ones (default: %(default)s)",
    )
    # Not with the name of the module as its argument: what follows is the module's,
    # even if it looks like an option of ours, and that is so for positional ones only.
    parser.add_argument("-m", action="store_true", help="run a module, not a script")
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM ...",
        help="what to run, and its arguments",
    )
    parser.set_defaults(run=run_profile)


def complain(lines: Iterable[str]) -> None:
    """Tell the user something on stderr, if it is still there."""
    with suppress(AttributeError, OSError, ValueError):
        for line in lines:
            sys.stderr.write(f"anylock profile: {line}\n")


def run_profile(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    program: list[str] = options.program
    if program[:1] == ["--"]:
        del program[0]
    if not program:
        complain(["which program? SCRIPT.py, or -m MODULE"])
        return FAILED
    if find_spec("rich") is None and not (options.output or options.json):
        complain(["needs rich for its tables: pip install 'anylock[cli]'; or use -o"])
        return FAILED
    # Only now: --help does not need it.
    from anylock._profile.profile import run  # noqa: PLC0415

    return run(options)


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        message = f"must be a whole number above 0, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number
