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

from .comparison import UPDATE, Count, Kept, findings, read, write
from .counting import count
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("counts.json")

WHAT_TO_DO = f"""
Something was added to a path that is used all the time. Take it off again. If it is
worth its price, keep the new counts by `{UPDATE}` and say
in the commit what the price buys. If nothing of ours has changed, compare where it was
counted: a new release of trio or anyio has new counts as well.
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
    if here not in kept and not options.update:
        print(f"nothing is kept for Python {here}, so nothing is compared: {UPDATE}")
        return 0
    before = kept.get(here, Kept({}, {}))
    counted = count(options.only)
    _show(counted, before.counts)
    if options.update:
        merged = {**before.counts, **counted}
        counts = {key: merged[key] for key in keys if key in merged}
        write(FILE, {**kept, here: Kept(where(), counts)})
        return 0
    found = findings(WORKLOADS, before.counts, counted)
    if found:
        print("\n" + "\n".join(found))
        print(WHAT_TO_DO)
        print("counted with:", where())
        print("kept with:   ", before.where)
    return bool(found)


def version_here() -> str:
    """Say by what the counts of this interpreter are kept."""
    threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    major, minor, *_ = sys.version_info
    return f"{major}.{minor}{threaded} {sysconfig.get_platform()}"


def where() -> dict[str, str]:
    """Say what may make another count."""
    valgrind = subprocess.run(
        ["valgrind", "--version"],  # noqa: S607 - whichever is installed
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        **{package: version(package) for package in ("anyio", "trio")},
        "valgrind": valgrind.stdout.strip().removeprefix("valgrind-"),
    }


def _show(counted: Mapping[str, Count], before: Mapping[str, Count]) -> None:
    columns = ("ours", "peer", "ratio", "kept", "frames")
    print("workload".ljust(26), *(column.rjust(8) for column in columns))
    for key, now in counted.items():
        old = before.get(key)
        kept = "" if old is None else f"{old.ratio:.3f}"
        print(
            f"{key:26} {now.ours:8} {now.peer:8} {now.ratio:8.3f} {kept:>8} "
            f"{now.frames:8g}"
        )
