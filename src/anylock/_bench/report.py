"""All that one run of the benchmarks has found, and how it looks in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anylock._bench.findings import (
    Broken,
    Distribution,
    Finding,
    Point,
    Skipped,
    Timeline,
    as_json,
    distribution_of,
    finding_of,
    point_of,
    timeline_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anylock._bench.findings import Item


class UnreadableReportError(ValueError):
    """What should be a report of the benchmarks is none."""


@dataclass
class Report:
    """Where the benchmarks ran, and what they found.

    Args:
        environment: What is known about the machine and the software: label -> value.
        complete: Whether every row that was asked for had its turn.
    """

    environment: dict[str, str]
    complete: bool = True
    findings: list[Finding] = field(default_factory=list[Finding])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    broken: list[Broken] = field(default_factory=list[Broken])
    points: list[Point] = field(default_factory=list[Point])
    distributions: list[Distribution] = field(default_factory=list[Distribution])
    timelines: list[Timeline] = field(default_factory=list[Timeline])

    def add(self, items: Iterable[Item]) -> None:
        """Take what a row has found."""
        kept: dict[type, list[Any]] = {
            Finding: self.findings,
            Skipped: self.skipped,
            Broken: self.broken,
            Point: self.points,
            Distribution: self.distributions,
            Timeline: self.timelines,
        }
        for item in items:
            kept[type(item)].append(item)

    def as_json(self) -> str:
        """Give all of it to a program."""
        said: dict[str, Any] = {
            "environment": self.environment,
            "complete": self.complete,
            "findings": [as_json(finding) for finding in self.findings],
            "skipped": [as_json(skipped) for skipped in self.skipped],
            "broken": [as_json(broken) for broken in self.broken],
            "points": [as_json(point) for point in self.points],
            "distributions": [as_json(one) for one in self.distributions],
            "timelines": [as_json(timeline) for timeline in self.timelines],
        }
        return json.dumps(said, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Take it from a program.

        Raises:
            UnreadableReportError: That is not what `as_json` gives.
        """
        try:
            said = json.loads(text)
            return cls(
                environment=dict(said["environment"]),
                complete=said["complete"],
                findings=[finding_of(each) for each in said["findings"]],
                skipped=[Skipped(**each) for each in said["skipped"]],
                broken=[Broken(**each) for each in said["broken"]],
                points=[point_of(each) for each in said["points"]],
                distributions=[distribution_of(each) for each in said["distributions"]],
                timelines=[timeline_of(each) for each in said["timelines"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"this is no report of the benchmarks: {error!r}"
            raise UnreadableReportError(message) from error
