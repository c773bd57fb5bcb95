"""Compares what was counted with what is kept."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .workloads import Workload

UPDATE = "python -m nox -s instructions -- --update"


@dataclass(frozen=True)
class Count:
    """What one execution of a workload takes.

    Args:
        ours: Instructions.
        peer: Those of the peer.
        frames: Python frames of anylock that are entered or resumed.
    """

    ours: int
    peer: int
    frames: float

    @property
    def ratio(self) -> float:
        """Ours to the peer's."""
        return self.ours / self.peer


@dataclass(frozen=True)
class Kept:
    """What was counted on one version of Python.

    Args:
        where: The interpreter and the packages it was counted with.
        counts: Workload -> what it took.
    """

    where: Mapping[str, str]
    counts: Mapping[str, Count]


def read(file: Path) -> dict[str, Kept]:
    """Read what is kept, by the version of Python."""
    found = json.loads(file.read_text(encoding="utf-8"))
    return {
        version: Kept(
            kept["where"],
            {key: Count(*count) for key, count in kept["counts"].items()},
        )
        for version, kept in found.items()
    }


def write(file: Path, kept: Mapping[str, Kept]) -> None:
    """Write it, with a line for each workload: that is what a diff should show."""
    versions: list[str] = []
    for version in sorted(kept):
        lines = ",\n".join(
            f"      {json.dumps(key)}: {json.dumps(astuple(count))}"
            for key, count in kept[version].counts.items()
        )
        where = json.dumps(kept[version].where)
        versions.append(
            f'  "{version}": {{\n    "where": {where},\n'
            f'    "counts": {{\n{lines}\n    }}\n  }}'
        )
    file.write_text("{\n" + ",\n".join(versions) + "\n}\n", encoding="utf-8")


def findings(
    workloads: tuple[Workload, ...],
    kept: Mapping[str, Count],
    counted: Mapping[str, Count],
) -> list[str]:
    """Say what takes more than it did."""
    found: list[str] = []
    for each in workloads:
        if each.key not in counted:
            continue
        now, before = counted[each.key], kept.get(each.key)
        if before is None:
            found.append(f"{each.key}: nothing is kept to compare it with")
            continue
        # Frames are whole, but for those of an event loop that run now and then.
        if now.frames > before.frames + 0.01:
            found.append(
                f"{each.key}: {now.frames:g} Python frames of anylock, "
                f"before {before.frames:g}"
            )
        growth = now.ratio / before.ratio - 1
        if growth > each.allowed:
            found.append(
                f"{each.key}: {now.ratio:.3f} of {each.peer.label}, "
                f"before {before.ratio:.3f}: {growth:+.1%}, "
                f"allowed {each.allowed:+.0%}; "
                f"instructions {now.ours}, before {before.ours}; "
                f"of the peer {now.peer}, before {before.peer}"
            )
    return found
