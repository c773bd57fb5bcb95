"""Where a benchmark runs."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anylock

PEERS = (
    "anyio",
    "trio",
    "aiologic",
    "fair-async-rlock",
    "aiorwlock",
    "fasteners",
    "filelock",
    "locklib",
    "portalocker",
    "readerwriterlock",
)
"""The distributions that ours is compared with, or built on."""


def surroundings() -> dict[str, str]:
    """Describe the interpreter, the machine and the packages."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "GIL": gil(),
        "switch interval": f"{sys.getswitchinterval() * 1000:g} ms",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "CPU": cpu(),
        "cores": cores(),
        "load at the start": load(),
        # That of the import, which is what is measured, not of an installation.
        "anylock": anylock.__version__,
        "pyperf": installed("pyperf"),
        **{package: installed(package) for package in PEERS},
    }


def gil() -> str:
    """Say whether threads take turns."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "on"
    enabled = getattr(sys, "_is_gil_enabled", None)
    on = enabled is None or enabled()
    return f"{'on' if on else 'off'}, in a free-threaded build"


def cpu(info: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor."""
    try:
        for line in info.read_text(encoding="utf-8").splitlines():
            label, _, value = line.partition(":")
            if label.strip() == "model name":
                return value.strip()
    except OSError:
        pass  # only Linux has it
    return platform.processor() or "unknown"


def cores() -> str:
    """Count the processors, and those that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    usable = f", {len(affinity(0))} usable" if affinity is not None else ""
    return f"{os.cpu_count()}{usable}"


def load() -> str:
    """Say how busy the machine is: on average over 1, 5 and 15 minutes."""
    averages = getattr(os, "getloadavg", None)
    return "unknown" if averages is None else " ".join(f"{n:.2f}" for n in averages())


def installed(package: str) -> str:
    """Give the version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
