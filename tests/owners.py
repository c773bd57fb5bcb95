"""Whose a re-entrant lock is: what its state machine knows, and what its actors do.

Who enters by `with` in a task that is outside does so as the thread of its event loop,
and all tasks that run there may enter again by `with`, and leave. So the owner is a
thread, a task, or the thread of an event loop, for which its `Loop` stands.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from actors import Actor, Loop, TaskActor, demand
from anylock import make_rlock
from machines import TINY, Machine
from staging import assert_at_rest

if TYPE_CHECKING:
    Owner = Actor | Loop | str
    Way = str | float

DEAD = "a thread that has ended"

ACQUIRING: dict[Any, Any] = {
    "acquire": (),
    "briefly": (True, TINY),
    "no wait": (False,),
}
"""Ways in by `acquire`, where it is of the colour in question: what it is given."""


def waits(way: Way) -> bool:
    return way in {"enter", "hold", "acquire"}


async def enter(lock: Any, way: Any, *, by_task: bool) -> Any:
    """Enter, and return what leads out; None if it was not to be in time."""
    if way == "try":
        return lock.release if lock.try_acquire() else None
    if way in ACQUIRING and by_task is (lock.kind == "async"):
        entered: Any = lock.acquire(*ACQUIRING[way])
        if by_task:
            entered = await entered
        return lock.release if entered else None
    timeout = {"acquire": None, "hold": None, "no wait": 0.0, "briefly": TINY}
    manager = lock if way == "enter" else lock.hold(timeout.get(way, way))
    if by_task:
        await manager.__aenter__()
        return partial(manager.__aexit__, None, None, None)
    # As a `with` statement does: it has found its way out before it goes in.
    go_in, go_out = manager.__enter__, manager.__exit__
    go_in()
    return partial(go_out, None, None, None)


class Reference:
    """A re-entrant lock: whose it is, and how often."""

    def __init__(self) -> None:
        self.owner: Owner | None = None
        self.depth = 0

    def came(self, who: Owner) -> None:
        demand(self.owner in (None, who), who, "came in beside", self.owner)
        self.owner = who
        self.depth += 1

    def went(self, who: Owner) -> None:
        demand(self.owner is who, who, "was let out, not", self.owner)
        self.depth -= 1
        self.owner = who if self.depth else None


class RLockStage(Machine):
    """The stage of re-entrant locks, against `Reference`; the rules are elsewhere."""

    died = False
    """Whether a thread has ended inside already, which takes long to see through."""

    def make(self) -> None:
        self.subject = make_rlock(self.kind, name="the-rlock")
        self.model = Reference()
        self.inside = defaultdict[Any, list[Any]](list)
        """What leads out again, of each owner; changed only in that owner's thread."""
        self.coming_back: set[Actor] = set()
        """Who is to wait as soon as it is out."""

    # Who.

    def owning(self, actor: Actor) -> bool:
        owner = self.model.owner
        return owner is not None and owner in (actor, actor.loop)

    def holding(self, actor: Actor) -> bool:
        return self.idle(actor) and self.owning(actor)

    def outside(self, actor: Actor) -> bool:
        return self.idle(actor) and not self.owning(actor)

    def idle_task(self, actor: Actor) -> bool:
        return actor.loop is not None and self.idle(actor)

    def mortal(self, actor: Actor) -> bool:
        """Say whether it is a thread that is inside, or can be at once."""
        mortal = self.kind != "async" and actor.loop is None and self.idle(actor)
        return mortal and (self.free() or self.owning(actor))

    def free(self) -> bool:
        return self.model.owner is None

    def owing(self) -> bool:
        return self.free() and len(self.waits) > 0

    def replay(self, actor: Actor, what: str) -> None:
        who: Any = actor if what in {"came", "went"} else actor.loop
        if what.startswith("came"):
            self.model.came(who)
            if self.model.depth == 1:
                self.waits.serve(actor, self.turn)
        else:
            self.model.went(who)
            if self.free() and actor in self.coming_back:
                self.coming_back.discard(actor)
                self.waits.add(actor, self.turn)

    def polite(self, actor: Actor) -> bool:
        """Say whether it is a thread that cannot come before tasks that wait."""
        # A loop's thread has the lock by itself. It leaves the turnstile to whoever is
        # there before it takes the lock that the helper had for it.
        return actor.loop is None and not any(loop.blocked_by for loop in self.loops)

    def be_polite(self, actor: Actor) -> None:
        if self.polite(actor):
            super().be_polite(actor)

    def check(self) -> None:
        demand(self.subject.locked() is not self.free(), "locked:", self._state())

    def _at_ease(self) -> bool:
        owner: Any = self.model.owner
        home = owner if isinstance(owner, Loop) else getattr(owner, "loop", None)
        # What is of its own loop does not block anybody: it enters again, or is told.
        if not super()._at_ease() or (home is not None and home.blocked_by is not None):
            return False
        # A helper releases what it kept for the others after its last step.
        return not (self.free() and self.subject.locked())

    # What they do.

    async def come(self, way: Way, by: str, actor: Actor) -> str:
        by_task = by == "task"
        who: Any = actor
        # To try is to take it for the task, but what the thread has is the thread's.
        as_thread = not by_task or (way == "try" and self.inside[actor.loop])
        if actor.loop is not None and as_thread and not self.inside[actor]:
            who = actor.loop
        leave = await enter(self.subject, way, by_task=by_task)
        if leave is None:
            return "refused"
        self.inside[who].append(leave)
        self.note(actor, "came" if who is actor else "came, as its loop")
        return "in"

    async def go(self, way: str, actor: Actor) -> str:
        who: Any = actor if self.inside[actor] else actor.loop
        leave = self.inside[who].pop()
        self.note(actor, "went" if who is actor else "went, as its loop")
        left = self.subject.release() if way == "release" else leave()
        if left is not None:  # by `async with`
            await left
        return "out"

    async def go_all(self, way: str, actor: Actor) -> str:
        while self.inside[actor] or self.inside[actor.loop]:
            await self.go(way, actor)
        return "out"

    async def go_and_come(self, out: str, way: Way, by: str, actor: Actor) -> str:
        await self.go_all(out, actor)
        return await self.come(way, by, actor)

    async def go_and_cancel(
        self, go: Any, other: TaskActor, how: Any, when: str, actor: Actor
    ) -> str:
        cancel = other.cancel if other.loop is actor.loop else other.cancel_soon
        if when == "before":
            cancel(how)
        await go("exit", actor)
        if when == "after":
            cancel(how)
        return "out"

    async def go_wrongly(self, way: str, _: Actor) -> str:
        if way == "release":
            self.subject.release()
        elif way == "with":
            self.subject.__exit__(None, None, None)
        else:
            await self.subject.__aexit__(None, None, None)
        return "out"

    # How it has to end.

    def end_of(self, actor: Actor, way: Way, by: str) -> str:
        """Say how it ends if an actor comes, and nothing else happens meanwhile."""
        owner, home = self.model.owner, actor.loop
        task_by_with = by == "with" and home is not None
        if task_by_with and self.kind == "async" and owner is not actor:
            return "deadlock"
        my_thread = owner is home and (task_by_with or way == "try")
        if owner in (None, actor) or my_thread:
            return "in"
        if not waits(way):
            return "refused"
        beside = task_by_with and isinstance(owner, TaskActor) and owner.loop is home
        return "deadlock" if beside or owner in (home, DEAD) else "in"

    def tell_to_come(self, actor: Actor, way: Way, by: str = "task") -> None:
        if actor.loop is None:
            by = "with"
        ends = {self.end_of(actor, way, by)}
        enters_again = self.owning(actor)
        if self.relaxed and self.model.owner is not actor:
            enters_again = False  # other tasks may have its thread leave meanwhile
            ends = {"in"} if waits(way) else {"in", "refused"}
            if waits(way) and actor.loop is not None:
                ends.add("deadlock")
        if actor.loop is not None and by == "with":
            self.block(actor)
        if "in" in ends and waits(way) and not enters_again:
            self.will_wait(actor)
        self.told(actor, partial(self.come, way, by), *ends)

    def block(self, actor: Actor) -> None:
        """Note that a task may block its event loop."""
        loop: Any = actor.loop
        loop.blocked_by = actor
        self.waits.polite_to.clear()

    def release_all(self, way: str = "exit") -> None:
        for actor in self.those(RLockStage.holding)[:1]:
            self.told(actor, partial(self.go_all, way), "out")
        self.settle()

    def _end_all(self) -> None:
        super()._end_all()
        for actor in self.actors:
            for _ in range(2):
                self.tell_to_come(actor, 0.0)
                self.settle()
            self.release_all()

    def assert_at_rest(self) -> None:
        if self.kind == "async":
            assert not self.subject.locked()
        else:
            assert_at_rest(self.subject)
