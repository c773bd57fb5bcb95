"""Compares what was counted with what is kept."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UPDATE = "python -m nox -s instructions -- --update"

ALLOWED = 0.05
"""By what share instructions may grow. Those of one build repeat to 0.5 %, also on
another processor; where things are in memory, which any change moves, made 3 %."""


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


@dataclass(frozen=True)
class Finding:
    """What takes more than it did.

    Args:
        key: The workload.
        what: What there is more of.
    """

    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}"


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say in what the places differ where it was counted."""
    names = dict.fromkeys((*before, *now))
    return [
        f"{name} is {now.get(name)}, was {before.get(name)}"
        for name in names
        if now.get(name) != before.get(name)
    ]


def more_frames(
    kept: Mapping[str, Count], frames: Mapping[str, float]
) -> list[Finding]:
    """Say what runs more Python than it did, on any build of the same version."""
    found: list[Finding] = []
    for key, now in frames.items():
        before = kept.get(key)
        if before is None:
            found.append(Finding(key, "nothing is kept to compare it with"))
        # Frames are whole, but for those of an event loop that run now and then.
        elif now > before.frames + 0.01:
            what = f"{now:g} Python frames of anylock, before {before.frames:g}"
            found.append(Finding(key, what))
    return found


def more_instructions(
    kept: Mapping[str, Count], counted: Mapping[str, Count]
) -> list[Finding]:
    """Say what takes more instructions than it did; of one and the same build."""
    found: list[Finding] = []
    for key, now in counted.items():
        before = kept.get(key, now)
        growth = now.ours / before.ours - 1
        if growth > ALLOWED:
            what = (
                f"{now.ours} instructions, before {before.ours}: {growth:+.1%}, "
                f"allowed {ALLOWED:+.0%}; of the peer {now.peer}, before {before.peer}"
            )
            found.append(Finding(key, what))
    return found
