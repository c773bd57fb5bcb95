"""The command line: `python -m anylock COMMAND`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from anylock import __version__
from anylock._bench.command import add_bench
from anylock._demo.command import add_demo
from anylock._machine.command import add_locks, add_run
from anylock._profile.command import add_profile, run_profile
from anylock._soak.command import add_soak

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130
"""What shells make of a command that Ctrl-C ended: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status.

    Args:
        arguments: What follows the program's name; None takes `sys.argv`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m anylock",
        description="One lock for threads, processes, asyncio and trio.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_bench(commands)
    add_demo(commands)
    add_locks(commands)
    add_profile(commands)
    add_run(commands)
    add_soak(commands)
    try:
        options = parser.parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        if run is not run_profile:
            return run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    # It is somebody else's program that Ctrl-C ends, and that says how.
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
