"""The state machine of the conditions: who is told to do what, and how that ends."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import hypothesis.strategies as st

from actors import Actor, TaskActor
from condition_stage import MANY, ConditionStage
from machines import NEVER, TINY, WHO, Machine, step

DEEPEST = 3
"""How often a re-entrant lock is entered at most."""

COMING = st.sampled_from(["enter", "hold", NEVER, 0.0, TINY])
ENTERING = st.sampled_from(["enter", "hold", 0.0])
WAITING = st.sampled_from([None, None, NEVER, 0.0, TINY])
CANCELLING = st.sampled_from(["scope", "task"])
LEAVING = st.sampled_from(["exit", "release"])
HOW_MANY = st.sampled_from([1, 1, 2, MANY])


class ConditionMachine(ConditionStage):
    """Conditions, of locks that are re-entrant and of others."""

    def tell_to_come(self, actor: Actor, way: str | float) -> None:
        if way in {"enter", "hold", NEVER}:
            self.waits.add(actor, self.turn)
            self.told(actor, partial(self.come, way), "in")
        elif self.relaxed:
            self.told(actor, partial(self.come, way), "in", "refused")
        else:
            self.told(
                actor, partial(self.come, way), "in" if self.free() else "refused"
            )

    def tell_to_wait(self, actor: Actor, seconds: float | None) -> None:
        self._tell_to_wait(actor, seconds, partial(self.wait, seconds))

    def _tell_to_wait(self, actor: Actor, seconds: float | None, wait: Any) -> None:
        ends = {"done", "notified"}
        if seconds in {0.0, TINY}:
            self.due.add(actor)
            ends |= {"in vain", "over"}
        if self.outside(actor):
            self.waits.add(actor, self.turn)
            wait = partial(self.visit, wait)
        self.told(actor, wait, *ends)

    def may_be_cancelled(self, actor: Actor) -> None:
        if actor in self.model.waiting and actor not in self.due:
            for whose in self.model.notices:
                if actor in whose:
                    # It passes its notification on, to any of those who wait now.
                    whose |= {*self.model.waiting}
                    self.vague = True
            self.due.add(actor)
        super().may_be_cancelled(actor)

    @step(ConditionStage.outside, way=COMING)
    def enter(self, actor: Actor, way: str | float) -> None:
        self.tell_to_come(actor, way)
        self.settle()

    @step(ConditionStage.holding, way=ENTERING)
    def enter_again(self, actor: Actor, way: str | float) -> None:
        if self.reentrant and self.depth[actor] < DEEPEST:
            self.told(actor, partial(self.come_again, way), "in")
            self.settle()

    @step(ConditionStage.holding, how=LEAVING)
    def leave(self, actor: Actor, how: str) -> None:
        self.told(actor, partial(self.go, how), "out")
        self.settle()

    @step(ConditionStage.may_wait, seconds=WAITING)
    def begin_to_wait(self, actor: Actor, seconds: float | None) -> None:
        self.tell_to_wait(actor, seconds)
        self.settle()

    @step(ConditionStage.may_come_and_wait, seconds=WAITING)
    def come_and_wait(self, actor: Actor, seconds: float | None) -> None:
        self.tell_to_wait(actor, seconds)
        self.settle()

    @step(ConditionStage.may_wait, seconds=WAITING)
    def begin_to_wait_for(self, actor: Actor, seconds: float | None) -> None:
        self._tell_to_wait(actor, seconds, partial(self.wait_for, seconds))
        self.settle()

    @step(ConditionStage.may_come_and_wait, seconds=WAITING)
    def come_and_wait_for(self, actor: Actor, seconds: float | None) -> None:
        self._tell_to_wait(actor, seconds, partial(self.wait_for, seconds))
        self.settle()

    @step(ConditionStage.may_visit, number=HOW_MANY)
    def come_and_notify(self, actor: Actor, number: int) -> None:
        self.waits.add(actor, self.turn)
        self.told(actor, partial(self.visit, partial(self.notify, number)), "told")
        self.settle()

    @step(ConditionStage.may_visit, number=st.integers(1, 2))
    def come_and_produce(self, actor: Actor, number: int) -> None:
        self.waits.add(actor, self.turn)
        self.told(actor, partial(self.visit, partial(self.produce, number)), "told")
        self.settle()

    @step(ConditionStage.may_notify, number=HOW_MANY)
    def notify_some(self, actor: Actor, number: int) -> None:
        self.told(actor, partial(self.notify, number), "told")
        self.settle()

    @step(ConditionStage.may_notify, number=st.integers(1, 2))
    def produce_some(self, actor: Actor, number: int) -> None:
        self.told(actor, partial(self.produce, number), "told")
        self.settle()

    def tell_and_cancel(self, actor: Actor, first: Any, whom: int, how: Any) -> None:
        other = self.pick_to_cancel(whom)
        if other is not None:
            self.relaxed = True
            self.may_be_cancelled(other)
            operation = partial(self.cancel_then, first, other, how)
            self.told(actor, operation, "told", "out")
            self.settle()

    @step(ConditionStage.may_notify, number=HOW_MANY, whom=WHO, how=CANCELLING)
    def notify_and_cancel(self, actor: Actor, number: int, whom: int, how: Any) -> None:
        """Notify, and cancel somebody who may have been notified by that."""
        self.tell_and_cancel(actor, partial(self.notify, number), whom, how)

    @step(ConditionStage.holding, whom=WHO, how=CANCELLING)
    def leave_and_cancel(self, actor: Actor, whom: int, how: Any) -> None:
        """Leave, and cancel somebody who may have been given the lock by that."""
        self.tell_and_cancel(actor, partial(self.go, "exit"), whom, how)

    @step(Machine.cancellable, how=CANCELLING)
    def cancel_one(self, actor: TaskActor, how: Any) -> None:
        notified = any(actor in whose for whose in self.model.notices)
        if actor not in self.due and not notified:
            self.expected[actor].clear()  # it can end in no other way
        self.cancel(actor, how)
        self.settle()

    @step(ConditionStage.outside, waits=st.booleans())
    def misuse(self, actor: Actor, waits: bool) -> None:  # noqa: FBT001
        """Wait or notify without the lock."""
        if not self.free() and not self.reentrant and self.kind != "process":
            return  # any passes for who holds it
        by_task = actor.loop is not None
        operation: Any = partial(self.wait_without_the_lock, by_task)
        if not waits or (self.kind == "async" and not by_task):
            operation = self.notify_without_the_lock
        self.told(actor, operation, "not held")
        self.settle()

    @step(ConditionStage.holding)
    def wait_in_the_other_colour(self, actor: Actor) -> None:
        if self.kind == "thread":
            by_task = actor.loop is not None
            operation = partial(self.wait_without_the_lock, not by_task)
            self.told(actor, operation, "deadlock" if by_task else "not held")
            self.settle()

    def _burst_enter(self, actor: Actor) -> None:
        if self.outside(actor):
            self.tell_to_come(actor, "enter")

    def _burst_hold(self, actor: Actor) -> None:
        if self.outside(actor):
            self.tell_to_come(actor, TINY)

    def _burst_leave(self, actor: Actor) -> None:
        if self.holding(actor):
            self.told(actor, partial(self.go, "exit"), "out")

    def _burst_wait(self, actor: Actor) -> None:
        if self.may_wait(actor):
            self.tell_to_wait(actor, None)

    def _burst_come_and_wait(self, actor: Actor) -> None:
        if self.may_come_and_wait(actor):
            self.tell_to_wait(actor, None)

    def _burst_notify(self, actor: Actor) -> None:
        if self.may_notify(actor):
            self.told(actor, partial(self.notify, 1), "told")

    def _burst_cancel(self, actor: Actor) -> None:
        if isinstance(actor, TaskActor) and self.cancellable(actor):
            self.cancel(actor, "task")

    commands: ClassVar = {
        "cancel": _burst_cancel,
        "come and wait": _burst_come_and_wait,
        "enter": _burst_enter,
        "hold": _burst_hold,
        "leave": _burst_leave,
        "notify": _burst_notify,
        "wait": _burst_wait,
    }

    def release_all(self) -> None:
        waiting = self.model.waiting and not self.due
        for actor in self.those(ConditionMachine.outside)[:1]:
            if self.free() and waiting:
                self.tell_to_come(actor, "enter")
                self.settle()
        for actor in self.those(ConditionMachine.holding):
            self.told(
                actor, self.finish if waiting else partial(self.go, "exit"), "out"
            )
        self.settle()
