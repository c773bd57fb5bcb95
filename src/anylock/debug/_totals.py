"""Sums over all that happens to debug locks, by name and place.

Locks come and go, often faster than anybody looks at them; what is summed up here
stays.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from anylock.debug import _records
from anylock.debug._records import known

if TYPE_CHECKING:
    from anylock.debug._events import Event
    from anylock.debug._findings import Finding
    from anylock.debug._records import Record

BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the buckets of durations, in seconds; one more has the rest."""


class Group(NamedTuple):
    """Locks that are counted together: of one name, made at one place."""

    kind: str
    family: str
    name: str | None
    file: str
    line: int

    @property
    def place(self) -> str:
        """Where they were made."""
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return self.place if self.name is None else self.name


class Durations:
    """How many there were, how long they were, and in which buckets."""

    __slots__ = ("buckets", "longest", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.longest = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    def add(self, seconds: float) -> None:
        """Add one."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.longest = max(self.longest, seconds)

    def merge(self, other: Durations) -> None:
        """Add all of another."""
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds
        self.longest = max(self.longest, other.longest)


class Total:
    """What happened to the locks of a group."""

    __slots__ = ("acquisitions", "holds", "waits")

    def __init__(self) -> None:
        self.acquisitions = 0
        self.holds = Durations()
        self.waits: dict[str, Durations] = {}
        """How waits ended, as in events -> these waits."""

    @property
    def waited(self) -> Durations:
        """All waits, however they ended."""
        durations = Durations()
        for each in self.waits.values():
            durations.merge(each)
        return durations

    def add(self, what: str, seconds: float) -> None:
        """Add an event, which is not the beginning of a wait."""
        if what == "released":
            self.holds.add(seconds)
            return
        if what == "got":
            self.acquisitions += 1
        if seconds:
            if what not in self.waits:
                self.waits[what] = Durations()
            self.waits[what].add(seconds)

    def copy(self) -> Total:
        """Return one that does not change any more."""
        copy = Total()
        copy.acquisitions = self.acquisitions
        copy.holds.merge(self.holds)
        for what, waits in self.waits.items():
            copy.waits[what] = Durations()
            copy.waits[what].merge(waits)
        return copy


class Totals:
    """Sums up what `listen` tells it."""

    def __init__(self) -> None:
        self._totals: dict[Group, Total] = {}
        self._findings: dict[str, int] = {}

    def note(self, event: Event) -> None:
        """Count an event."""
        if event.what == "waits":
            return
        group = group_of(event.lock)
        # The mutex that is there for counting: signal handlers get in, and forked
        # children have one of their own.
        with _records.mutex:
            total = self._totals.get(group)
            if total is None:
                total = self._totals[group] = Total()
            total.add(event.what, event.seconds)

    def note_finding(self, finding: Finding) -> None:
        """Count a finding."""
        with _records.mutex:
            self._findings[finding.kind] = self._findings.get(finding.kind, 0) + 1

    def totals(self) -> dict[Group, Total]:
        """Return the sums of this moment, which do not change any more."""
        with _records.mutex:
            return {group: total.copy() for group, total in self._totals.items()}

    def findings(self) -> dict[str, int]:
        """Return how many findings there were of each kind."""
        return self._findings.copy()


def group_of(record: Record) -> Group:
    """Return what a lock is counted with."""
    site = record.site
    return Group(record.kind, record.family, record.name, site.file, site.line)


def present() -> dict[Group, tuple[int, int]]:
    """Return how many hold locks of each group, and wait for them, at this moment."""
    counts: dict[Group, tuple[int, int]] = {}
    for record in known():
        group = group_of(record)
        holders, waiters = counts.get(group, (0, 0))
        counts[group] = holders + len(record.holds), waiters + len(record.waits)
    return counts
