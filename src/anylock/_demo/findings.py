"""What the demo has found out, and how it looks in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anylock._demo.runs import Outcome


@dataclass(frozen=True)
class Finding:
    """What was found out about one kind of workers."""

    kind: str
    workers: int
    without_lock: Outcome
    with_lock: Outcome


@dataclass(frozen=True)
class Findings:
    """What was found out in all."""

    files: int
    updates: int
    """How often each run has read, added and written."""
    expected: int
    """The words that a single thread counted."""
    start_method: str
    kinds: list[Finding]
    skipped: dict[str, str]
    """The kinds that were not run, and why."""

    @property
    def correct(self) -> bool:
        """Whether every count under a lock is right."""
        return all(finding.with_lock.correct for finding in self.kinds)

    def lost(self, outcome: Outcome) -> int:
        """Say how many words are missing from a count."""
        return self.expected - outcome.words

    def as_json(self) -> str:
        """Give all of it to a program."""
        found: dict[str, Any] = {**asdict(self), "correct": self.correct}
        for kind, finding in zip(found["kinds"], self.kinds, strict=True):
            kind["without_lock"]["lost"] = self.lost(finding.without_lock)
            kind["with_lock"]["lost"] = self.lost(finding.with_lock)
        return json.dumps(found, indent=2)
