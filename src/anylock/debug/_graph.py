"""Who waits for whom: whether a wait would close a cycle."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from anylock import _parking
from anylock._errors import WouldDeadlock
from anylock.debug import _records
from anylock.debug._findings import LockWarning, find
from anylock.debug._limits import may_be_cancelled
from anylock.debug._settings import settings
from anylock.debug._stacks import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anylock.debug._actors import Actor
    from anylock.debug._findings import Kind
    from anylock.debug._records import Hold, Wait


class Link(NamedTuple):
    """That a wait is for a lock that somebody holds."""

    wait: Wait
    hold: Hold


def announce(wait: Wait) -> None:
    """Let others see that somebody is about to wait, unless that would never end.

    Whoever takes it back does `retract`.

    Raises:
        WouldDeadlock: The wait would close a cycle.
    """
    record, actor = wait.record, wait.actor
    near: list[Link] | None = None
    # Two who close a cycle at the same moment come here one after the other. The first
    # finds nothing and waits; the second finds the wait of the first. What either
    # holds it has noted before it came.
    with _records.mutex:
        wait.live = True
        record.announced[wait] = None
        actor.wait = wait
        if wait.blocks is not None:
            wait.blocks.wait = wait
            _records.blocking[wait] = None
        holder = record.holder
        if not record.beside and not record.shared:  # most of all
            wait.behind = () if holder is None else (holder,)
        else:
            wait.behind = record.held_against()
        cycle = None
        if wait.behind and settings.deadlocks != "off":
            cycle = find_cycle(wait)
        if cycle and (settings.deadlocks == "warn" or wait.must_get or _but(cycle)):
            near, cycle = cycle, None
        if cycle:
            retract(wait)
    if cycle:
        error = _refusal(cycle)
        find("deadlock", actor, names(cycle), str(error), warn=False)
        raise error
    if near and _is_news(near):
        _tell(near)


def _refusal(cycle: list[Link]) -> WouldDeadlock:
    wait, hold = cycle[0]
    if len(cycle) == 1 and hold.actor is wait.actor:
        reason, advice = f"this {wait.actor.kind} holds it", "release it first"
    elif len(cycle) == 1:
        reason = "a task of this thread's event loop holds it"
        advice = "use 'async with' in tasks"
    else:
        reason = "it would close a cycle"
        advice = (
            "take these locks in the same order everywhere, or wait for one of them "
            "with a time-out"
        )
    advice = f"{advice}\n{describe(cycle)}"
    return WouldDeadlock(reason, advice, wait.record.name)


def _tell(cycle: list[Link]) -> None:
    but = _but(cycle)
    message = f"this is a deadlock{but}\n{describe(cycle)}"
    kind: Kind = "near deadlock" if but else "deadlock"
    find_amid(cycle[0].wait, kind, names(cycle), message)


def find_amid(wait: Wait, kind: Kind, locks: tuple[str, ...], message: str) -> None:
    """Tell of something while somebody waits, who may have to go on."""
    with suppress(*(LockWarning,) if wait.must_get else ()):  # if that is an error
        find(kind, wait.actor, locks, message)


def _but(cycle: list[Link]) -> str:
    """Tell why it might not last; empty if it does."""
    if not all(hold.scoped or hold.record.reentrant for _, hold in cycle):
        return ", unless somebody releases what another has taken by acquire()"
    if any(map(_ends, cycle)):
        return ", but a wait in it has a limit or may be cancelled"
    return ""


def retract(wait: Wait) -> None:
    """Take back what was announced; may be done twice."""
    wait.live = False
    wait.actor.wait = wait.before
    if wait.blocks is not None:
        wait.blocks.wait = wait.blocked_before
        _records.blocking.pop(wait, None)
    wait.record.announced.pop(wait, None)


_told: set[frozenset[object]] = set()


def _is_news(cycle: list[Link]) -> bool:
    sites = frozenset(link.wait.record.site for link in cycle)
    if sites in _told:
        return False
    _told.add(sites)
    return True


def forget() -> None:
    """Forget what was told."""
    _told.clear()


def find_cycle(start: Wait) -> list[Link] | None:
    """Return a cycle of waits that begins with that one, and is true at one moment."""
    seen: set[Wait] = set()
    paths: list[tuple[Wait, tuple[Link, ...]]] = [(start, ())]
    while paths:
        wait, path = paths.pop()
        for hold in _held_against(wait):
            longer = (*path, Link(wait, hold))
            for blocked_by in _waits_of(hold.actor):
                if blocked_by is start:
                    # Each link was there when we came by. If all of them still are,
                    # there was a moment at which all of them were.
                    if all(map(_still, longer)):
                        return list(longer)
                elif blocked_by not in seen:
                    seen.add(blocked_by)
                    paths.append((blocked_by, longer))
    return None


def _held_against(wait: Wait) -> Iterator[Hold]:
    """Give those who have to release before the wait can end."""
    if wait.for_notice:
        return
    for record in wait.record.blockers:
        if not record.handed:
            yield from record.holds


def _waits_of(actor: Actor) -> Iterator[Wait]:
    """Give the waits that keep somebody from going on."""
    if actor.wait is not None:
        yield actor.wait
    if actor.kind != "task":
        return
    # A thread that is blocked runs none of the tasks of its event loop.
    loop = _parking.loop_of(actor.subject)
    if loop is None:
        return
    for wait in _records.blocking.copy():
        others = wait.live and wait.actor is not actor
        if others and any(each is loop for each in wait.loops):
            yield wait


def _still(link: Link) -> bool:
    wait, hold = link
    return wait.live and hold in hold.record.holds


def _ends(link: Link) -> bool:
    """Say whether the wait ends by itself, or is cancelled as it seems."""
    wait = link.wait
    if wait.limited:
        return True
    if wait.blocks is not None or wait.actor.kind != "task":
        return False
    return may_be_cancelled(wait.actor.subject)


def names(cycle: list[Link]) -> tuple[str, ...]:
    """Return the names of the locks in it."""
    return tuple(str(link.wait.record) for link in cycle)


def describe(cycle: list[Link]) -> str:
    """Tell who holds what since where, and waits for what where."""
    now = monotonic()
    lines: list[str] = []
    for n, (wait, _) in enumerate(cycle):
        before = cycle[n - 1].hold
        who = f"{wait.actor}" + (f" [{wait.label}]" if wait.label else "")
        if wait.actor is not before.actor:
            lines.append(
                f"  {before.actor} cannot run: {who} blocks the thread of its loop"
            )
        lines += [
            f"  {who}",
            _of_hold(before, now),
            f"    waits for {wait.record}, at {Stack(wait.stack).place}",
        ]
    return "\n".join(lines)


def _of_hold(hold: Hold, now: float) -> str:
    whose = "" if hold.label is None else f" [{hold.label}]"
    since = f"for {now - hold.since:.3f} s, taken at {Stack(hold.stack).place}"
    return f"    {hold.actor} holds {hold.record}{whose} {since}"
