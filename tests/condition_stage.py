"""Conditions, their model, and what the actors of a state machine do to them.

Whoever waits has a way of its own to wait for the lock, which is for the machine of
the locks to judge. Here it is who is notified, that nobody is forgotten, and that every
wait ends with the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis.stateful import initialize

from actors import Actor, TaskActor, ThreadActor, demand, get_in, get_out
from anylock import make_condition, make_lock, make_rlock
from conditions import assert_at_rest
from machines import NEVER, TINY, Machine
from staging import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MANY = 100
"""Jobs that are enough for all, and notifications."""


class Reference:
    """A lock, those who wait, and for each notification those whom it may be for."""

    def __init__(self) -> None:
        self.holder: Actor | None = None
        self.waiting: dict[Actor, int] = {}
        """With a number each, in the order in which they came."""
        self.notices: list[set[Actor]] = []
        self.numbers = 0

    def came(self, actor: Actor) -> None:
        demand(self.holder is None, actor, "came in beside", self.holder)
        self.holder = actor

    def went(self, actor: Actor) -> None:
        demand(self.holder is actor, actor, "was let out, not", self.holder)
        self.holder = None

    def waits(self, actor: Actor) -> None:
        self.went(actor)
        self.numbers += 1
        self.waiting[actor] = self.numbers

    def notify(self, number: int) -> None:
        number = min(number, len(self.waiting))
        self.notices += [{*self.waiting} for _ in range(number)]

    def back(self, actor: Actor, *, notified: bool) -> bool:
        """End a wait; False if it was notified by nobody."""
        self.came(actor)
        del self.waiting[actor]
        mine = next((whose for whose in self.notices if actor in whose), None)
        if notified and mine is not None:
            self.notices.remove(mine)
        # If it was notified and does not say so, another one has to be.
        self.notices = [rest for whose in self.notices if (rest := whose - {actor})]
        return mine is not None or not notified


class ConditionStage(Machine):
    """Conditions, against `Reference`; the rules are those of `ConditionMachine`."""

    @initialize(tenure=st.sampled_from([0.0, NEVER]), reentrant=st.booleans())
    def set_up(self, tenure: float, *, reentrant: bool) -> None:
        self.reentrant = reentrant
        self.begin(tenure)

    def make(self) -> None:
        made: Any = make_rlock if self.reentrant else make_lock
        self.subject = make_condition(self.kind, made(self.kind), name="it")
        self.model = Reference()
        self.depth: dict[Actor, int] = {}
        self.due: set[Actor] = set()
        """Those who wait, and are to be back by themselves."""
        self.vague = False
        """Whether who was notified met who waits no more: then one waiter too many may
        have been notified."""
        self.overtaken: list[tuple[Actor, dict[Actor, int]]] = []
        self.jobs = 0
        """What those who `wait_for` something wait for; changed with the lock held."""

    def _cast(self) -> list[Actor]:
        if self.kind != "process":
            return super()._cast()
        return [ThreadActor(f"T{number}", self._note_end) for number in (1, 2, 3, 4)]

    # Who.

    def holding(self, actor: Actor) -> bool:
        return self.idle(actor) and self.model.holder is actor

    def outside(self, actor: Actor) -> bool:
        return self.idle(actor) and self.model.holder is not actor

    def may_wait(self, actor: Actor) -> bool:
        return self.holding(actor) and self._could_wait(actor)

    def may_come_and_wait(self, actor: Actor) -> bool:
        return self.outside(actor) and self._could_wait(actor)

    def _could_wait(self, actor: Actor) -> bool:
        colour = self.kind != "async" or actor.loop is not None
        # And somebody is left to notify it.
        return colour and any(
            other is not actor and other not in self.waits for other in self.actors
        )

    def may_visit(self, actor: Actor) -> bool:
        """Say whether it can come and notify somebody."""
        return self.outside(actor) and (self.kind != "process" or self.free())

    def may_notify(self, actor: Actor) -> bool:
        # Between processes a notification is lost on who is about to time out.
        return self.holding(actor) and not (self.kind == "process" and self.due)

    def free(self) -> bool:
        return self.model.holder is None

    def resting(self, actor: Actor) -> bool:
        wants_the_lock = actor in self.model.waiting
        return actor in self.waits and (actor not in self.ending or wants_the_lock)

    def owing(self) -> bool:
        if not self.free():
            return False
        if self.subject.locked() or self.model.notices or self.due:
            return True
        # Somebody who came later may have been passed a notification.
        queued = len(getattr(self.subject, "_notices", self.model.waiting))
        return {*self.waits} != {*self.model.waiting} or queued < len(self.waits)

    def bridges(self) -> list[Any]:
        bridge = getattr(self.subject._lock, "_bridge", None)
        return [] if bridge is None else [bridge]

    def replay(self, actor: Actor, what: str) -> None:
        how, _, rest = what.partition(" ")
        if how == "came":
            self.model.came(actor)
            self.waits.drop(actor)
        elif how == "went":
            self.model.went(actor)
        elif how == "waits":
            self.model.waits(actor)
            self.waits.add(actor, self.turn)
            if actor in self.ending:  # it was cancelled on its way in
                self.due.add(actor)
        elif how == "notifies":
            self.vague |= self.relaxed or bool(self.due)
            self.model.notify(int(rest))
        else:
            self.replay_back(actor, rest)

    def replay_back(self, actor: Actor, how: str) -> None:
        self.waits.drop(actor)
        if how != "somehow":  # or it may wait again, for the time that is left
            self.due.discard(actor)
        mine = self.model.waiting[actor]
        if how == "notified":
            before = {a: its for a, its in self.model.waiting.items() if its < mine}
            self.overtaken += [(actor, {other: its}) for other, its in before.items()]
        # After a wait_for with a time-out nobody knows, and any answer is right.
        self.vague |= how == "somehow"
        right = self.model.back(actor, notified=how in {"notified", "somehow"})
        demand(right or self.vague, actor, "was notified by nobody:", self._state())

    def _judge(self, actor: Actor, outcome: str) -> None:
        super()._judge(actor, outcome)
        self.due.discard(actor)

    def check(self) -> None:
        demand(self.subject.locked() is not self.free(), "locked:", self._state())
        if not self.free():
            return
        # Now all have been back who were notified.
        for actor, first in self.overtaken:
            waiting = first.items() <= self.model.waiting.items()
            demand(self.kind == "process" or not waiting, actor, "overtook", [*first])
        self.overtaken.clear()
        self.vague = False

    # What they do.

    async def come(self, way: str | float, actor: Actor) -> str:
        if not await get_in(self.subject, way, by_task=actor.loop is not None):
            return "refused"
        self.depth[actor] = 1
        self.note(actor, "came")
        return "in"

    async def come_again(self, way: str | float, actor: Actor) -> str:
        await get_in(self.subject, way, by_task=actor.loop is not None)
        self.depth[actor] += 1
        return "in"

    async def go(self, how: str, actor: Actor) -> str:
        """Leave, as often as it has come."""
        while self.depth[actor]:
            self.depth[actor] -= 1
            if not self.depth[actor]:
                self.note(actor, "went")
            await get_out(self.subject, how, by_task=actor.loop is not None)
        return "out"

    async def wait(self, seconds: float | None, actor: Actor) -> str:
        self.note(actor, "waits")
        ends = "cancelled"
        try:
            if actor.loop is not None:
                notified = await self.subject.async_wait(seconds)
            else:
                notified = self.subject.wait(seconds)
            ends = "notified" if notified else "over"
        finally:
            self.note(actor, f"back {ends}")
        return ends

    async def wait_for(self, seconds: float | None, actor: Actor) -> str:
        """Wait for a job. It is the predicate that sees how each wait ends."""
        waits = False

        def take_one() -> bool:
            nonlocal waits
            if waits:
                self.note(actor, "back somehow" if seconds == TINY else "back notified")
            waits = not self.jobs
            if waits:
                self.note(actor, "waits")
                return False
            self.jobs -= 1
            return True

        try:
            if actor.loop is not None:
                done = await self.subject.async_wait_for(take_one, seconds)
            else:
                done = self.subject.wait_for(take_one, seconds)
        finally:
            if waits:  # or it did: if its time was over it has not given up the lock
                self.note(actor, "back cancelled")
        return "done" if done else "in vain"

    async def visit(
        self, act: Callable[[Actor], Coroutine[Any, Any, str]], actor: Actor
    ) -> str:
        """Do something in a `with` block."""
        await self.come("enter", actor)
        try:
            return await act(actor)
        finally:
            await self.go("exit", actor)

    async def notify(self, number: int, actor: Actor) -> str:
        self.note(actor, f"notifies {number}")
        if number == MANY:
            self.subject.notify_all()
        else:
            self.subject.notify(number)
        return "told"

    async def produce(self, number: int, actor: Actor) -> str:
        self.jobs += number
        return await self.notify(number, actor)

    async def finish(self, actor: Actor) -> str:
        await self.produce(MANY, actor)
        return await self.go("exit", actor)

    async def cancel_then(
        self, first: Any, other: TaskActor, how: Any, actor: Actor
    ) -> str:
        """Do something, and cancel somebody whom it may concern."""
        outcome: str = await first(actor)
        if other.loop is actor.loop:
            other.cancel(how)
        else:
            other.cancel_soon(how)
        return outcome

    async def notify_without_the_lock(self, _: Actor) -> str:
        self.subject.notify()
        return "told"

    async def wait_without_the_lock(self, by_task: bool, _: Actor) -> str:  # noqa: FBT001 - told by partial
        await self.subject.async_wait() if by_task else self.subject.wait()
        return "waited"

    def assert_at_rest(self) -> None:
        if self.kind == "thread":
            assert_at_rest(self.subject)
        until(lambda: not self.subject.locked())
