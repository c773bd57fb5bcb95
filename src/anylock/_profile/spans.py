"""From events to spans of time: who held or awaited what, from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anylock.debug import Actor, Event, RawStack, Record

What = Literal["hold", "notice", "wait"]
"""Held; waited to be notified, of a condition; waited to have it."""

HELD, AWAITED = "held at the end", "waiting at the end"


class Span(NamedTuple):
    """That somebody held a lock or waited for it, from one moment to another."""

    what: What
    lock: Record
    actor: Actor
    start: float
    end: float
    stack: RawStack
    label: str | None
    outcome: str
    """What a wait came to; of a hold, whether it went on to the end."""


def spans_of(
    events: Iterable[Event], records: Iterable[Record], now: float
) -> list[Span]:
    """Return what events tell, and what goes on at this moment, in order of time.

    Args:
        events: Not all that there were, maybe: each tells how long it took.
        records: Of all locks that there are.
        now: This moment.
    """
    spans = [_ended(event) for event in events if event.what != "waits"]
    # That a lock was got without a wait is seen by the hold that follows.
    spans = [each for each in spans if each.outcome != "got" or each.start < each.end]
    spans += _going_on(records, now)
    return sorted(spans, key=lambda span: span.start)


def _ended(event: Event) -> Span:
    released = event.what == "released"
    return Span(
        "hold" if released else _waited_for(event.lock),
        event.lock,
        event.actor,
        event.when - event.seconds,
        event.when,
        event.stack,
        event.label,
        "" if released else event.what,
    )


def _going_on(records: Iterable[Record], now: float) -> Iterator[Span]:
    for lock in records:
        waited_for = _waited_for(lock)
        for hold in lock.holds:
            yield Span(
                "hold", lock, hold.actor, hold.since, now, hold.stack, hold.label, HELD
            )
        for wait in lock.waits:
            yield Span(
                waited_for,
                lock,
                wait.actor,
                wait.since,
                now,
                wait.stack,
                wait.label,
                AWAITED,
            )


def _waited_for(lock: Record) -> What:
    return "notice" if lock.family == "Condition" else "wait"
