"""Who kept whom waiting: the holds that lie within a wait."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from anylock._profile.ledger import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anylock._profile.spans import Span
    from anylock._profile.stacktable import StackTable

_ENOUGH = 5


@dataclass
class Blocking:
    """How long those at one place waited for those who had come at another.

    Attributes:
        key: Of the locks.
        waiter: The number of the stack of one who waited.
        holder: That of one who held it meanwhile.
        seconds: How long.
        waits: How many waits these were.
        waiters: Names of some who waited.
        holders: Names of some who held it.
    """

    key: Key
    waiter: int
    holder: int
    seconds: float = 0.0
    waits: int = 0
    waiters: dict[str, None] = field(default_factory=dict[str, None])
    holders: dict[str, None] = field(default_factory=dict[str, None])


def who_blocks_whom(spans: Iterable[Span], stacks: StackTable) -> list[Blocking]:
    """Return who kept whom waiting, those that took the longest first.

    Where several hold a semaphore, each of them counts.

    Args:
        spans: In order of time.
        stacks: Where stacks get their numbers.
    """
    holds: defaultdict[int, list[Span]] = defaultdict(list)
    waits: list[Span] = []
    for span in spans:
        if span.what == "hold":
            holds[span.lock.number].append(span)
        elif span.what == "wait":
            waits.append(span)
    held = {number: _Holds(each) for number, each in holds.items()}
    found: dict[tuple[Key, str, str], Blocking] = {}
    for wait in waits:
        key, waiter = key_of(wait.lock), stacks.number(wait.stack)
        counted: set[tuple[Key, str, str]] = set()
        for lock in wait.lock.blockers or (wait.lock,):
            for hold in held[lock.number].during(wait) if lock.number in held else ():
                holder = stacks.number(hold.stack)
                places = key, stacks.place(waiter), stacks.place(holder)
                blocking = found.setdefault(places, Blocking(key, waiter, holder))
                blocking.seconds += min(wait.end, hold.end) - max(
                    wait.start, hold.start
                )
                blocking.waits += places not in counted
                counted.add(places)
                _name(blocking.waiters, wait)
                _name(blocking.holders, hold)
    return sorted(found.values(), key=lambda each: -each.seconds)


def _name(names: dict[str, None], span: Span) -> None:
    if len(names) < _ENOUGH:
        names[span.actor.name] = None


class _Holds:
    """The holds of one lock."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self._starts = [span.start for span in spans]
        self._ends = list(accumulate((span.end for span in spans), max))
        """Up to when those so far have all ended."""

    def during(self, wait: Span) -> Iterator[Span]:
        """Give those that lie within a wait, in part at least."""
        number = bisect_left(self._starts, wait.end)
        while number and self._ends[number - 1] > wait.start:
            number -= 1
            if self._spans[number].end > wait.start:
                yield self._spans[number]
