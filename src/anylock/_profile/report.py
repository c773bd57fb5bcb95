"""What a profile tells, as it goes to the screen, to the page and to JSON."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from anylock import debug
from anylock._profile.blocking import who_blocks_whom
from anylock._profile.ledger import key_of, totals
from anylock._profile.spans import spans_of
from anylock._profile.stacktable import Frame, StackTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anylock._profile.ledger import Key, Tally
    from anylock._profile.recording import Recording
    from anylock.debug import Actor
    from anylock.debug._order import Edge


@dataclass(frozen=True)
class Lock:
    """The locks that were made at one place; all times are seconds."""

    name: str
    kind: str
    family: str
    file: str
    line: int
    function: str
    source: str
    locks: int
    acquisitions: int
    contended: int
    timeouts: int
    cancellations: int
    total_wait: float
    max_wait: float
    total_hold: float
    max_hold: float


@dataclass(frozen=True)
class Blocked:
    """Those who waited at one place for those who held the lock from another on."""

    lock: int
    waiter: str
    holder: str
    seconds: float
    waits: int
    waiters: list[str]
    holders: list[str]
    waiter_stack: int
    holder_stack: int


@dataclass(frozen=True)
class Order:
    """That a lock was taken while another one was held."""

    first: int
    then: int
    who: str
    held: int
    taken: int
    inverted: bool
    """Whether some others lead from the second to the first."""


@dataclass(frozen=True)
class Found:
    """A finding of the debug locks."""

    when: float
    kind: str
    who: str
    locks: list[str]
    message: str


@dataclass(frozen=True)
class Report:
    """All of it; locks and stacks are referred to by their place in the lists."""

    program: list[str]
    python: str
    seconds: float
    events: int
    dropped: int
    locks: list[Lock]
    blocked: list[Blocked]
    orders: list[Order]
    found: list[Found]
    actors: list[str]
    spans: list[tuple[Any, ...]]
    """Actor, lock, its number, what, start, end, stack, outcome, label."""
    stacks: list[list[Frame]]
    version: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


SPAN = ("actor", "lock", "number", "what", "start", "end", "stack", "outcome", "label")


def report_of(
    recording: Recording, program: list[str], started: float, now: float
) -> Report:
    """Make the report of what was recorded.

    Args:
        recording: It is over.
        program: And its arguments.
        started: When the program did, by `time.monotonic`.
        now: When it ended.
    """
    events = list(recording.events)
    records = debug.known()
    tallies = totals(records, now)
    for key, in_vain in recording.in_vain.items():
        if key in tallies:  # not if it was anylock's own, is gone, and dropped
            tallies[key].add_wait(in_vain.total, in_vain.longest)
    sums = sorted(tallies.items(), key=_most_waited_for)
    numbers = {key: number for number, (key, _) in enumerate(sums)}
    stacks = StackTable()
    spans = spans_of(events, records, now)
    blocked = [
        Blocked(
            numbers[each.key],
            stacks.place(each.waiter),
            stacks.place(each.holder),
            each.seconds,
            each.waits,
            list(each.waiters),
            list(each.holders),
            each.waiter,
            each.holder,
        )
        for each in who_blocks_whom(spans, stacks)
    ]
    actors: dict[int, tuple[int, str]] = {}
    for span in spans:
        actors.setdefault(span.actor.number, (len(actors), _named(span.actor)))
    return Report(
        program,
        f"{platform.python_implementation()} {platform.python_version()}",
        now - started,
        recording.seen,
        recording.seen - len(events),
        [_lock(*each) for each in sums],
        blocked,
        _orders(numbers, stacks),
        [
            Found(
                each.when - started,
                each.kind,
                _named(each.actor),
                list(each.locks),
                each.message,
            )
            for each in recording.findings
        ],
        [name for _, name in actors.values()],
        [
            (
                actors[span.actor.number][0],
                numbers[key_of(span.lock)],
                span.lock.number,
                span.what,
                round(span.start - started, 6),
                round(span.end - started, 6),
                stacks.number(span.stack),
                span.outcome,
                span.label,
            )
            for span in spans
        ],
        stacks.stacks,
    )


def _named(actor: Actor) -> str:
    return f"{actor.kind} {actor.name}"


def _most_waited_for(item: tuple[Key, Tally]) -> tuple[float, float, str]:
    key, tally = item
    return -tally.total_wait, -tally.total_hold, str(key)


def _lock(key: Key, tally: Tally) -> Lock:
    site = key.site
    return Lock(
        tally.name,
        key.kind,
        key.family,
        site.file,
        site.line,
        site.function,
        site.source,
        tally.locks,
        tally.acquisitions,
        tally.contended,
        tally.timeouts,
        tally.cancellations,
        tally.total_wait,
        tally.max_wait,
        tally.total_hold,
        tally.max_hold,
    )


def _orders(numbers: Mapping[Key, int], stacks: StackTable) -> list[Order]:
    edges = debug.edges()
    after: dict[int, set[int]] = {}
    for edge in edges:
        first, then = numbers[key_of(edge.first)], numbers[key_of(edge.then)]
        if not edge.shared:
            after.setdefault(first, set()).add(then)
    return [_order(edge, numbers, after, stacks) for edge in edges]


def _order(
    edge: Edge,
    numbers: Mapping[Key, int],
    after: Mapping[int, Iterable[int]],
    stacks: StackTable,
) -> Order:
    first, then = numbers[key_of(edge.first)], numbers[key_of(edge.then)]
    return Order(
        first,
        then,
        edge.who,
        stacks.number(edge.held),
        stacks.number(edge.taken),
        not edge.shared and _leads(after, then, first),
    )


def _leads(after: Mapping[int, Iterable[int]], start: int, end: int) -> bool:
    seen = {start}
    front = [start]
    while front:
        for each in set(after.get(front.pop(), ())) - seen:
            seen.add(each)
            front.append(each)
    return end in seen
