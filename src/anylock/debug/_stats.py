"""What a debug lock tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal

from anylock.debug._stacks import Stack

if TYPE_CHECKING:
    from anylock.debug._records import Hold, Record, Wait


@dataclass(frozen=True)
class Who:
    """Somebody who holds a lock or waits for it.

    Attributes:
        kind: Whether it is a thread or a task of this process, or another process.
        name: The name of the thread or task, or what is known of the process.
        label: What `label` said when it came; None if nothing.
        since: Since when, by `time.monotonic`.
        seconds: For how long, at the moment of asking.
        stack: Where it came: iterate over it, or print it.
    """

    kind: Literal["process", "task", "thread"]
    name: str
    label: str | None
    since: float
    seconds: float
    stack: Stack

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" + (f" [{self.label}]" if self.label else "")


@dataclass(frozen=True)
class Stats:
    """What a debug lock tells of itself at one moment; times are in seconds.

    Attributes:
        acquisitions: How often it was acquired; to enter a re-entrant lock again does
            not count.
        contended: How often somebody had to wait, however that ended.
        timeouts: How many of these waits ended because the time was over.
        cancellations: How many were cancelled or interrupted.
        total_wait: How long those who got it had waited.
        max_wait: The longest of these waits.
        total_hold: How long it was held, those that hold it now left out.
        max_hold: The longest of these.
        owner: Who holds it; of several the first. None if nobody does.
        holders: All who hold it.
        waiters: Who waits for it, or for a condition with this lock.
    """

    acquisitions: int
    contended: int
    timeouts: int
    cancellations: int
    total_wait: float
    max_wait: float
    total_hold: float
    max_hold: float
    owner: Who | None
    holders: tuple[Who, ...]
    waiters: tuple[Who, ...]


def stats_of(
    record: Record, elsewhere: Who | None = None, beside: Record | None = None
) -> Stats:
    """Return what is known of a lock.

    Args:
        record: Of the lock.
        elsewhere: Who holds it in another process.
        beside: Of a condition with this lock.
    """
    now = monotonic()
    waits = [*record.waits, *(beside.waits if beside else ())]
    holders = [_who(hold, now) for hold in record.holds]
    if not holders and elsewhere is not None:
        holders = [elsewhere]
    return Stats(
        *record.counts,
        holders[0] if holders else None,
        tuple(holders),
        tuple(_who(wait, now) for wait in waits),
    )


def _who(of: Hold | Wait, now: float) -> Who:
    actor = of.actor
    stack = Stack(of.stack)
    return Who(actor.kind, actor.name, of.label, of.since, now - of.since, stack)
