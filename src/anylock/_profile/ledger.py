"""What is kept of locks that are no more: sums by where they were made.

A program may make a lock for each connection. What it keeps here is one line of the
program, however many there were.
"""

from __future__ import annotations

import _thread
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from anylock._profile.origin import name_of
from anylock.debug._records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anylock.debug import Site

_MANY = 1000
"""How many gone locks are kept one by one at most, more or less."""


class Key(NamedTuple):
    """What is summed up together."""

    site: Site
    kind: str
    family: str


@dataclass
class Tally:
    """What was counted of the locks of one key."""

    name: str
    locks: int = 0
    acquisitions: int = 0
    contended: int = 0
    timeouts: int = 0
    cancellations: int = 0
    total_wait: float = 0.0
    max_wait: float = 0.0
    total_hold: float = 0.0
    max_hold: float = 0.0

    def add(self, other: Tally) -> None:
        """Add the counts of others of the same key."""
        self.locks += other.locks
        self.acquisitions += other.acquisitions
        self.contended += other.contended
        self.timeouts += other.timeouts
        self.cancellations += other.cancellations
        self.total_wait += other.total_wait
        self.max_wait = max(self.max_wait, other.max_wait)
        self.total_hold += other.total_hold
        self.max_hold = max(self.max_hold, other.max_hold)

    def add_wait(self, total: float, longest: float) -> None:
        """Add waits that were not for the good."""
        self.total_wait += total
        self.max_wait = max(self.max_wait, longest)


def key_of(record: Record) -> Key:
    """Return what the lock of that record is summed up with."""
    return Key(record.site, record.kind, record.family)


def tally_of(record: Record) -> Tally:
    """Return the counts of one lock."""
    return Tally(record.name or name_of(record.site), 1, *record.counts)


_gone: deque[tuple[Key, Tally]] = deque()
_sums: dict[Key, Tally] = {}
_summing = _thread.allocate_lock()


class CountedRecord(Record):
    """A record of a lock that is not forgotten with it."""

    __slots__ = ()

    def __del__(self) -> None:
        # At any moment, in any thread: so nothing else is touched.
        _gone.append((key_of(self), tally_of(self)))


def record_at(  # noqa: PLR0913 - what a record wants
    site: Site,
    kind: str,
    family: str,
    busy: Callable[[], object],
    *,
    shared: bool = False,
    reentrant: bool = False,
    owned: bool = True,
) -> CountedRecord:
    """Make the record of a lock; the arguments are those of `Record`."""
    record = CountedRecord(
        kind,
        family,
        name_of(site),
        busy,
        shared=shared,
        reentrant=reentrant,
        owned=owned,
    )
    record.site = site
    if len(_gone) > _MANY:
        _sum_up()
    return record


def _sum_up() -> None:
    # Who finds another one at it leaves it to that one: it may be its own thread.
    if not _summing.acquire(False):
        return
    try:
        for _ in range(len(_gone)):
            key, tally = _gone.popleft()
            _add(_sums, key, tally)
    finally:
        _summing.release()


def _add(sums: dict[Key, Tally], key: Key, tally: Tally) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = tally
    else:
        known.add(tally)


def totals(records: Iterable[Record], now: float) -> dict[Key, Tally]:
    """Return the sums of all locks, with those that there still are.

    Args:
        records: Of the latter.
        now: Up to when they are held and waited for that are so still.
    """
    _sum_up()
    found: dict[Key, Tally] = {}
    for key, tally in _sums.items():
        _add(found, key, Tally(**vars(tally)))
    for record in records:
        tally = tally_of(record)
        for wait in record.waits:
            tally.add_wait(now - wait.since, now - wait.since)
        # A permit that was taken for good is not held.
        for hold in record.holds if record.owned else ():
            tally.total_hold += now - hold.since
            tally.max_hold = max(tally.max_hold, now - hold.since)
        _add(found, key_of(record), tally)
    return found
