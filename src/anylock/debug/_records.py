"""What is known of one debug lock: who holds it, who waits for it, and counts."""

from __future__ import annotations

import _thread
import os
import weakref
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from anylock.debug._stacks import get_frame, site_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug._actors import Actor
    from anylock.debug._board import Board
    from anylock.debug._order import Node
    from anylock.debug._stacks import RawStack, Site

_numbers = count(1)

records: dict[int, weakref.ref[Record]] = {}
"""All that there are, by number."""

mutex = _thread.RLock()
"""Held while waits are announced and looked at, and while what several may count at the
same time is counted; never while anybody waits. A signal handler gets in."""


blocking: dict[Wait, None] = {}
"""The waits that block a thread."""


class Hold:
    """That somebody holds a lock."""

    __slots__ = ("actor", "depth", "label", "record", "scoped", "since", "stack")

    def __init__(  # noqa: PLR0913 - all of them at once, as it is made often
        self,
        record: Record,
        actor: Actor,
        since: float,
        stack: RawStack,
        label: str | None,
        *,
        scoped: bool,
    ) -> None:
        self.record: Record = record
        self.actor: Actor = actor
        self.since: float = since
        self.stack: RawStack = stack
        self.label: str | None = label
        self.scoped: bool = scoped
        """Whether the same actor is to release it: it came in by `with`. Who calls
        `acquire` may do so for somebody else, who releases it."""
        self.depth: int = 1
        """How often it has entered."""


class Wait:
    """That somebody waits for a lock, or to be notified of something."""

    __slots__ = (
        "actor",
        "before",
        "behind",
        "blocked_before",
        "blocks",
        "contended",
        "for_notice",
        "label",
        "limited",
        "live",
        "loops",
        "must_get",
        "record",
        "since",
        "stack",
    )

    def __init__(  # noqa: PLR0913 - all of them at once, as it is made often
        self,
        record: Record,
        actor: Actor,
        since: float,
        stack: RawStack,
        label: str | None,
        *,
        limited: bool,
    ) -> None:
        self.record: Record = record
        self.actor: Actor = actor
        self.since: float = since
        self.stack: RawStack = stack
        self.label: str | None = label
        self.live: bool = False
        """Whether others see it."""
        self.limited: bool = limited
        """Whether it ends by itself some day."""
        self.before: Wait | None = actor.wait
        """What the same actor waits for, if this is in a signal handler."""
        self.blocked_before: Wait | None = None
        """What the thread was blocked by, likewise."""
        self.blocks: Actor | None = None
        """The thread that it blocks; None if a task waits without blocking one."""
        self.loops: tuple[Any, ...] = ()
        """The event loops of that thread, which stop meanwhile."""
        self.contended: bool = False
        """Whether the lock was not free."""
        self.for_notice: bool = False
        """Whether it waits to be notified, by whoever may do that."""
        self.must_get: bool = False
        """Whether it takes back what was given up while it waited to be notified: who
        leaves such a wait without the lock would release somebody else's."""
        self.behind: tuple[Hold, ...] = ()
        """Who had the lock when the wait began."""


class Record:
    """What is known of one debug lock.

    Args:
        kind: Of the lock.
        family: What it is: "Lock", "RLock", and so on.
        name: Of the lock.
        busy: Says whether who comes has to wait.
        shared: Whether several may hold it at the same time.
        reentrant: Whether who holds it may enter again.
        owned: Whether who holds it is who will release it.
    """

    __slots__ = (
        "__weakref__",
        "acquisitions",
        "among",
        "announced",
        "beside",
        "board",
        "busy",
        "cancellations",
        "contended",
        "family",
        "handed",
        "holder",
        "kind",
        "max_hold",
        "max_wait",
        "name",
        "node",
        "number",
        "owned",
        "reentrant",
        "reset_after_fork",
        "shared",
        "site",
        "timeouts",
        "total_hold",
        "total_wait",
    )

    def __init__(  # noqa: PLR0913 - by name only
        self,
        kind: str,
        family: str,
        name: str | None,
        busy: Callable[[], object],
        *,
        shared: bool = False,
        reentrant: bool = False,
        owned: bool = True,
    ) -> None:
        self.number: int = next(_numbers)
        self.kind: str = kind
        self.family: str = family
        self.name: str | None = name
        self.busy: Callable[[], object] = busy
        self.shared: bool = shared
        self.reentrant: bool = reentrant
        self.owned: bool = owned
        self.site: Site = site_of(get_frame(1))
        self.node: Node | None = None
        """Of its site, in the order of sites; None until it is taken beside another."""
        self.handed: bool = False
        """Whether somebody has released it who did not hold it: no telling then who
        will."""
        self.board: Board | None = None
        """Where other processes see who holds it."""
        self.reset_after_fork: bool = False
        self.holder: Hold | None = None
        """Who holds it, if it is not shared."""
        self.among: dict[Hold, None] = {}
        """Who holds it, if it is."""
        self.announced: dict[Wait, None] = {}
        """Who waits, and who was interrupted before it took this back."""
        self.beside: tuple[Record, ...] = ()
        """Whose holders keep others from this lock, if these are not its own."""
        # Of one that is not shared, its holder counts; else whoever has the mutex.
        self.acquisitions: int = 0
        self.contended: int = 0
        self.timeouts: int = 0
        self.cancellations: int = 0
        self.total_wait: float = 0.0
        self.max_wait: float = 0.0
        self.total_hold: float = 0.0
        self.max_hold: float = 0.0
        records[self.number] = weakref.ref(self, partial(records.pop, self.number))

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Who holds it, the first one first."""
        if self.shared:
            return tuple(self.among.copy())  # as others may come and go
        holder = self.holder
        return () if holder is None else (holder,)

    @property
    def blockers(self) -> tuple[Record, ...]:
        """Whose holders keep others from this lock, and have to release it."""
        return self.beside or ((self,) if self.owned else ())

    def held_by(self, actor: Actor) -> dict[Hold, None]:
        """Return where it is noted what somebody holds of this kind."""
        return actor.holds if self.owned else actor.permits

    def held_against(self) -> tuple[Hold, ...]:
        """Return who has to release before somebody else gets it."""
        return tuple(hold for each in self.blockers for hold in each.holds)

    def count(self, waited: float) -> None:
        """Count an acquisition, and how long it was waited for."""
        self.acquisitions += 1
        self.total_wait += waited
        self.max_wait = max(self.max_wait, waited)

    def count_hold(self, held: float) -> None:
        """Count how long it was held."""
        self.total_hold += held
        if held > self.max_hold:  # noqa: PLR1730 - max takes three times as long
            self.max_hold = held

    def forget_holds(self) -> None:
        """Forget who holds it, which nobody does."""
        for hold in self.holds:
            self.held_by(hold.actor).pop(hold, None)
        self.holder = None
        self.among.clear()

    @property
    def waits(self) -> list[Wait]:
        """Who waits for it."""
        announced = self.announced.copy()
        return [wait for wait in announced if wait.live]

    @property
    def counts(self) -> tuple[int, int, int, int, float, float, float, float]:
        """The first eight fields of its `Stats`, in their order."""
        return (
            self.acquisitions,
            self.contended,
            self.timeouts,
            self.cancellations,
            self.total_wait,
            self.max_wait,
            self.total_hold,
            self.max_hold,
        )

    @property
    def owner(self) -> Hold | None:
        """Who has held it the longest; None if nobody does."""
        if not self.shared:
            return self.holder
        while True:
            with suppress(RuntimeError):  # somebody came or went: look again
                return next(iter(self.among), None)

    def __str__(self) -> str:
        label = f"{self.family} number {self.number}"
        return repr(self.name) if self.name is not None else f"{label} of {self.site}"

    def __repr__(self) -> str:
        return f"<record of {self.kind} {self.family} {self}>"


def known() -> list[Record]:
    """Return all records, the oldest first."""
    found = [each() for each in records.copy().values()]
    return [record for record in found if record is not None]


State = Literal["held", "awaited"]


def _in_child() -> None:
    # Only the thread that forked is here. What others held of a lock between threads
    # stays held, and is told so. A lock between processes is the parent's.
    global mutex  # noqa: PLW0603 - a missing thread may hold that of the parent
    from anylock.debug._actors import this_thread  # noqa: PLC0415 - it needs this

    mutex = _thread.RLock()
    for record in known():
        for wait in record.waits:
            if wait.blocks is not this_thread.actor:
                wait.live = False
                wait.actor.wait = None
                del record.announced[wait]
                blocking.pop(wait, None)
        if record.reset_after_fork or record.kind in {"machine", "process"}:
            record.forget_holds()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
