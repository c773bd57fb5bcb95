"""The state machine of the semaphores.

Who is inside may come in once more, and anybody may give permits back: also those
that nobody has taken, of which there are more from then on.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import initialize

import permits
from actors import Actor, TaskActor, Waits, demand, get_in, get_out
from anylock import make_semaphore
from machines import NEVER, TINY, WHO, Machine, step

MOST = 2
"""Permits that an actor takes at most."""

WAITING = st.sampled_from(["enter", "hold", "acquire", NEVER])
TRYING = st.sampled_from(["try", 0.0, TINY])
CANCELLING = st.sampled_from(["scope", "task"])
LEAVING = st.sampled_from(["exit", "exit", "release"])


class Reference:
    """A semaphore: so many at a time, and anybody may give permits back."""

    def __init__(self, value: int, bound: float) -> None:
        self.free = value
        self.bound = bound
        self.inside: dict[Actor, int] = {}

    def came(self, actor: Actor) -> None:
        demand(self.free > 0, actor, "came in beside", self.inside)
        self.free -= 1
        self.inside[actor] = self.inside.get(actor, 0) + 1

    def went(self, actor: Actor) -> None:
        self.inside[actor] -= 1
        self.freed(1)

    def freed(self, number: int) -> None:
        demand(self.free + number <= self.bound, "there are too many permits")
        self.free += number


class SemaphoreMachine(Machine):
    """Semaphores, against `Reference`."""

    @initialize(
        tenure=st.sampled_from([0.0, NEVER]),
        value=st.integers(1, 3),
        bounded=st.booleans(),
    )
    def set_up(self, tenure: float, value: int, *, bounded: bool) -> None:
        self.value, self.bounded = value, bounded
        self.begin(tenure)

    def make(self) -> None:
        self.waits = Waits(several=True)
        made: Any = make_semaphore
        self.subject = made(self.kind, self.value, bounded=self.bounded, name="it")
        self.model = Reference(self.value, self.value if self.bounded else NEVER)
        self.ways: dict[Actor, list[str]] = {actor: [] for actor in self.actors}
        """How each of them came in: as a task does, or as a thread does."""
        self.blocking: set[Actor] = set()
        """The tasks that come in as a thread does, or are about to."""
        self.insider: Actor | None = None
        """Who came in by `with` or `async with`, if nobody has left since."""
        self.counted = True
        """Whether nobody has released by itself so far."""
        self.coming_back: set[Actor] = set()
        """Who is to wait as soon as it is out."""

    # Who.

    def inside(self, actor: Actor) -> int:
        return self.model.inside.get(actor, 0)

    def may_leave(self, actor: Actor) -> bool:
        """Say whether it can leave, and whoever else does at the same time."""
        within = not self.bounded or self._total() <= self.value
        return self.idle(actor) and self.inside(actor) > 0 and within

    def may_not_leave(self, actor: Actor) -> bool:
        """Say whether somebody has given back already what it has."""
        full = self.bounded and self.model.free == self.value
        return self.idle(actor) and self.inside(actor) > 0 and full

    def may_come(self, actor: Actor) -> bool:
        return self.idle(actor) and self.inside(actor) < MOST

    def may_wait(self, actor: Actor) -> bool:
        # Who waits for what it has itself must be one that can be cancelled.
        return self.may_come(actor) and (
            isinstance(actor, TaskActor) or not self.inside(actor)
        )

    def task_that_may_come(self, actor: Actor) -> bool:
        return actor.loop is not None and self.may_come(actor)

    def _total(self) -> int:
        return self.model.free + sum(self.model.inside.values())

    def free(self) -> bool:
        return self.model.free > 0

    def empty(self) -> bool:
        return not any(self.model.inside.values())

    def owing(self) -> bool:
        return self.free() and len(self.waits) > 0

    def replay(self, actor: Actor, what: str) -> None:
        self.insider = None
        if what.startswith("came"):
            self.model.came(actor)
            self.waits.serve(actor, self.turn)
            if what == "came by with":
                self.insider = actor
        elif what == "went":
            self.model.went(actor)
            if actor in self.coming_back:
                self.coming_back.discard(actor)
                self.waits.add(actor, self.turn)
        elif what == "went for good":
            self.model.inside[actor] -= 1
        else:
            self.model.freed(int(what))

    def check(self) -> None:
        demand(self.subject.value == self.model.free, "value:", self._state())
        demand(self.subject.locked() is not self.free(), "locked:", self._state())

    def would_deadlock(self, actor: Actor, way: str | float) -> bool:
        """Say whether it is known that a task would wait for itself for ever."""
        if self.model.free or self.value > 1 or way not in {"enter", "hold", "acquire"}:
            return False
        if self.kind == "async":
            return self.bounded and self.insider is actor and way != "acquire"
        return self.counted and actor.loop is not None and "task" in self.ways[actor]

    # What they do.

    async def come(self, way: str | float, actor: Actor) -> str:
        by_task = actor.loop is not None and actor not in self.blocking
        if not await get_in(self.subject, way, by_task=by_task):
            return "refused"
        anyhow = way == "try" or (way == "acquire" and self.kind == "async" and by_task)
        as_thread = not by_task or (way == "try" and self.kind != "async")
        self.ways[actor].append("thread" if as_thread else "task")
        self.note(actor, "came anyhow" if anyhow else "came by with")
        return "in"

    async def go(self, how: str, actor: Actor) -> str:
        by_task = self.ways[actor].pop() == "task"
        if how == "release":
            self.counted = False
        self.note(actor, "went")
        await get_out(self.subject, how, by_task=by_task)
        return "out"

    async def go_for_good(self, how: str, actor: Actor) -> str:
        by_task = self.ways[actor].pop() == "task"
        self.note(actor, "went for good")
        await get_out(self.subject, how, by_task=by_task)
        return "out"

    async def go_and_come(self, out: str, way: str | float, actor: Actor) -> str:
        await self.go(out, actor)
        self.blocking.discard(actor)
        return await self.come(way, actor)

    async def go_and_cancel(self, other: TaskActor, how: Any, actor: Actor) -> str:
        await self.go("exit", actor)
        if other.loop is actor.loop:
            other.cancel(how)
        else:
            other.cancel_soon(how)
        return "out"

    async def give(self, number: int, actor: Actor) -> str:
        self.counted = False
        self.note(actor, str(number))
        self.subject.release(number)
        return "out"

    async def give_too_many(self, number: int, _: Actor) -> str:
        self.subject.release(number)
        return "out"

    # The rules.

    def tell_to_come(self, actor: Actor, way: str | float) -> None:
        self.blocking.discard(actor)
        if not self.relaxed and self.would_deadlock(actor, way):
            self.told(actor, partial(self.come, way), "deadlock")
            return
        self.will_wait(actor)
        self.told(actor, partial(self.come, way), "in")

    def tell_to_try(self, actor: Actor, way: str | float) -> None:
        self.blocking.discard(actor)
        ends = {"in", "refused"}
        if not self.relaxed:
            ends = {"in" if self.free() else "refused"}
        self.told(actor, partial(self.come, way), *ends)

    @step(may_wait, way=WAITING)
    def enter(self, actor: Actor, way: str | float) -> None:
        self.tell_to_come(actor, way)
        self.settle()

    @step(may_come, way=TRYING)
    def try_to_enter(self, actor: Actor, way: str | float) -> None:
        self.tell_to_try(actor, way)
        self.settle()

    @step(task_that_may_come, way=st.sampled_from(["enter", 0.0, TINY]))
    def enter_by_with(self, actor: Any, way: str | float) -> None:
        """Use `with` in a task, which blocks its event loop if it has to wait."""
        inside = [a for a in self.actors for _ in range(self.inside(a))]
        by_tasks = sum(
            self.ways[a].count("task") for a in self.actors if a.loop is actor.loop
        )
        if self.kind == "async":
            ends = "deadlock"
        elif self.free():
            ends = "in"
        elif way != "enter":
            ends = "refused"
        elif self.counted and by_tasks == self.value:
            ends = "deadlock"
        elif any(a.loop is None for a in inside):
            ends = "in"  # threads that are inside do not wait, but leave
        else:
            return  # nobody would know that it never ends
        self.blocking.add(actor)
        actor.loop.blocked_by = actor
        if ends == "in":
            self.will_wait(actor)
        self.told(actor, partial(self.come, way), ends)
        self.settle()

    @step(may_leave, how=LEAVING)
    def leave(self, actor: Actor, how: str) -> None:
        self.told(actor, partial(self.go, how), "out")
        self.settle()

    @step(may_not_leave, how=LEAVING)
    def leave_too_often(self, actor: Actor, how: str) -> None:
        # The kind "process" leaves `with` by a C method that has its own error.
        operation = partial(self.go_for_good, how)
        self.told(actor, operation, "over-released", "not held")
        self.settle()

    @step(may_leave, out=LEAVING, way=WAITING)
    def leave_and_enter(self, actor: Actor, out: str, way: str | float) -> None:
        """Leave and be back at once, as a newcomer."""
        if self.inside(actor) > 1:
            return
        self.coming_back.add(actor)
        self.be_polite(actor)
        self.told(actor, partial(self.go_and_come, out, way), "in")
        self.settle()

    @step(may_leave, out=LEAVING, way=TRYING)
    def leave_and_try(self, actor: Actor, out: str, way: str | float) -> None:
        if self.waits.queued():
            ends = ["refused"]
        elif self.waits or self.helping():
            # A thread may get in or not; and a helper for whom nobody waits any more
            # has a permit for a moment as well.
            ends = ["refused", "in"]
        else:
            ends = ["in"]
        self.told(actor, partial(self.go_and_come, out, way), *ends)
        self.settle()

    @step(may_leave, whom=WHO, how=CANCELLING)
    def leave_and_cancel(self, actor: Actor, whom: int, how: Any) -> None:
        """Leave, and cancel somebody who may have been granted the permit by that."""
        other = self.pick_to_cancel(whom)
        if other is None:
            return
        self.relaxed = True
        self.may_be_cancelled(other)
        self.told(actor, partial(self.go_and_cancel, other, how), "out")
        self.settle()

    @step(Machine.cancellable, how=CANCELLING)
    def cancel_one(self, actor: TaskActor, how: Any) -> None:
        self.expected[actor].clear()  # while no permit is free, it must end so
        self.cancel(actor, how)
        self.settle()

    @step(Machine.idle, number=st.integers(1, 3))
    def release(self, actor: Actor, number: int) -> None:
        """Give back what others have, or what nobody has."""
        if self.bounded and self.model.free + number > self.value:
            self.told(actor, partial(self.give_too_many, number), "over-released")
        elif self._total() + number > len(self.actors):
            return  # nobody would wait any more
        else:
            self.told(actor, partial(self.give, number), "out")
        self.settle()

    def _burst_enter(self, actor: Actor) -> None:
        if self.may_wait(actor) and not self.inside(actor):
            self.tell_to_come(actor, "enter")

    def _burst_try(self, actor: Actor) -> None:
        if self.may_come(actor):
            self.tell_to_try(actor, "try")

    def _burst_hold(self, actor: Actor) -> None:
        if self.may_come(actor):
            self.tell_to_try(actor, TINY)

    def _burst_leave(self, actor: Actor) -> None:
        if self.may_leave(actor):
            self.told(actor, partial(self.go, "exit"), "out")

    def _burst_release(self, actor: Actor) -> None:
        if self.idle(actor) and not self.bounded and self._total() < len(self.actors):
            self.told(actor, partial(self.give, 1), "out")

    def _burst_cancel(self, actor: Actor) -> None:
        if isinstance(actor, TaskActor) and self.cancellable(actor):
            self.cancel(actor, "task")

    commands: ClassVar = {
        "cancel": _burst_cancel,
        "enter": _burst_enter,
        "hold": _burst_hold,
        "leave": _burst_leave,
        "release": _burst_release,
        "try": _burst_try,
    }

    def release_all(self) -> None:
        for actor in self.those(SemaphoreMachine.may_not_leave):
            self.told(
                actor, partial(self.go_for_good, "exit"), "over-released", "not held"
            )
            self.settle()
        for actor in self.those(SemaphoreMachine.idle):
            if self.inside(actor) and not self.may_not_leave(actor):
                self.told(actor, partial(self.go, "exit"), "out")
                self.settle()

    def assert_at_rest(self) -> None:
        if self.kind == "async":
            permits.assert_at_rest(self.subject, self.model.free)
        else:
            permits.at_rest(self.subject, self.model.free)
