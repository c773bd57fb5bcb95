"""What `python -m verification.instructions` does."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import (
    UPDATE,
    Count,
    Finding,
    Kept,
    differences,
    more_frames,
    more_instructions,
    read,
    write,
)
from .counting import count, count_frames
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("counts.json")

PACKAGES = ("anyio", "outcome", "sniffio", "trio")
"""Those that run on the hot paths."""

WHAT_TO_DO = f"""
Something was added to a path that is used all the time. Take it off again. If it is
worth its price, keep the new counts by `{UPDATE}` and say
in the commit what the price buys.
"""


def main() -> int:
    """Count, and compare or keep."""
    keys = [each.key for each in WORKLOADS]
    parser = argparse.ArgumentParser(
        prog="python -m verification.instructions",
        description="Counts the instructions on the hot paths; see the package.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=keys, default=[], metavar="WORKLOAD"
    )
    parser.add_argument("--update", action="store_true", help="keep what is counted")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("it needs valgrind: apt-get install valgrind")
    kept = read(FILE) if FILE.exists() else {}
    here = version_here()
    before = kept.get(here)
    other = differences(before.where, where()) if before is not None else []
    if options.update:
        if other and options.only:
            parser.error(f"the rest was counted elsewhere: {'; '.join(other)}")
        counted = count(options.only)
        _show(counted, {})
        merged = {**(before.counts if before else {}), **counted}
        counts = {key: merged[key] for key in keys if key in merged}
        write(FILE, {**kept, here: Kept(where(), counts)})
        return 0
    if before is None:
        print(f"nothing is kept for Python {here}, so nothing is compared: {UPDATE}")
        return 0
    if other:
        print("Instructions are not compared, but Python frames are:", "; ".join(other))
        found = more_frames(before.counts, count_frames(options.only))
    else:
        found = _found(before.counts, options.only)
    if found:
        print("", *found, WHAT_TO_DO, sep="\n")
    return bool(found)


def _found(kept: Mapping[str, Count], keys: list[str]) -> list[Finding]:
    """Count, and once more what is found, which alone has other places in memory."""
    for _ in range(2):
        counted = count(keys)
        _show(counted, kept)
        frames = {key: each.frames for key, each in counted.items()}
        found = more_frames(kept, frames) + more_instructions(kept, counted)
        if not found:
            break
        keys = list(dict.fromkeys(each.key for each in found))
    return found


def version_here() -> str:
    """Say by what the counts of this interpreter are kept."""
    threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    major, minor, *_ = sys.version_info
    return f"{major}.{minor}{threaded} {sysconfig.get_platform()}"


def where() -> dict[str, str]:
    """Say what may make another count.

    A date of the build is as good as its options: nobody compiles twice in a second.
    """
    valgrind = subprocess.run(
        ["valgrind", "--version"],  # noqa: S607 - whichever is installed
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "python": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        **{package: version(package) for package in PACKAGES},
        "valgrind": valgrind.stdout.strip().removeprefix("valgrind-"),
    }


def _show(counted: Mapping[str, Count], before: Mapping[str, Count]) -> None:
    columns = ("ours", "kept", "growth", "peer", "ratio", "frames")
    print("workload".ljust(26), *(column.rjust(8) for column in columns))
    for key, now in counted.items():
        old = before.get(key)
        kept = "" if old is None else str(old.ours)
        growth = "" if old is None else f"{now.ours / old.ours - 1:+.1%}"
        print(
            f"{key:26} {now.ours:8} {kept:>8} {growth:>8} {now.peer:8} "
            f"{now.ratio:8.3f} {now.frames:8g}"
        )
