"""The re-entrant locks, by random programs: whose they are, how often, who is next."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from actors import Actor, TaskActor, ThreadActor
from anylock._async.rlock import AsyncRLock
from anylock._bridge.rlock import RLockBridge
from anylock._parking import Waiter, this_thread
from backends import ASYNCIO, TRIO, Backend, require
from machine_runs import do_nothing, first_violation, lose_the_grant_of_a_task, run
from machines import TINY, WHO, Machine, step
from owners import DEAD, RLockStage
from staging import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind
    from owners import Way

WAITING = st.sampled_from(["enter", "hold", "acquire"])
TRYING = st.sampled_from(["try", "briefly", 0.0, TINY])
TRYING_BY_WITH = st.sampled_from(["no wait", "briefly", 0.0, TINY])
CANCELLING = st.sampled_from(["scope", "task"])
CANCELLING_MEANWHILE = st.tuples(CANCELLING, st.sampled_from(["before", "after"]))
LEAVING = st.sampled_from(["exit", "release"])
TURNS = st.integers(0, 2)
MANY = st.integers(2, 5)
HOW_MUCH = st.sampled_from(["all", "all", "once"])


class RLockMachine(RLockStage):
    """Re-entrant locks, against `owners.Reference`."""

    @step(RLockStage.outside, way=WAITING)
    def come_to_wait(self, actor: Actor, way: Way) -> None:
        self.tell_to_come(actor, way)
        self.settle()

    @rule(number=MANY, way=WAITING)
    def queue_up(self, number: int, way: Way) -> None:
        """Come one after the other, whoever can."""
        for actor in self.those(RLockStage.outside)[-number:]:
            self.tell_to_come(actor, way)
            self.settle()

    @rule(number=MANY, way=LEAVING)
    def take_turns(self, number: int, way: str) -> None:
        """Leave one after the other, whoever is inside."""
        for _ in range(number):
            self.release_all(way)

    @step(RLockStage.outside, way=TRYING)
    def come_to_try(self, actor: Actor, way: Way) -> None:
        self.tell_to_come(actor, way)
        self.settle()

    @step(RLockStage.holding, way=WAITING | TRYING)
    def come_again(self, actor: Actor, way: Way) -> None:
        self.tell_to_come(actor, way)
        self.settle()

    @step(RLockStage.idle_task, way=WAITING | TRYING_BY_WITH)
    def come_by_with(self, actor: Actor, way: Way) -> None:
        """As the task if that is inside, or else as its thread, which may block."""
        self.tell_to_come(actor, way, "with")
        self.settle()

    @step(RLockStage.holding, way=LEAVING, much=HOW_MUCH)
    def leave(self, actor: Actor, way: str, much: str) -> None:
        go = self.go_all if much == "all" else self.go
        self.told(actor, partial(go, way), "out")
        self.settle()

    @step(RLockStage.holding, out=LEAVING, way=WAITING)
    def leave_and_wait(self, actor: Actor, out: str, way: Way) -> None:
        """Leave and be back at once, as a newcomer."""
        self.coming_back.add(actor)
        self.be_polite(actor)
        by = "with" if actor.loop is None else "task"
        self.told(actor, partial(self.go_and_come, out, way, by), "in")
        self.settle()

    def contend(self, turns: int, who: int) -> Any:
        """Have some wait for it, and so many leave; return who could leave next."""
        self.queue_up(4, "enter")  # most often these are tasks
        self.take_turns(turns, "exit")
        return self.pick(RLockStage.holding, who)

    @rule(turns=TURNS, who=WHO, out=LEAVING, way=WAITING)
    def leave_and_block(self, turns: int, who: int, out: str, way: Way) -> None:
        """Leave, and have the loop's thread take the grant back from another task."""
        actor = self.contend(turns, who)
        if actor is None or actor.loop is None or self.kind == "async":
            return
        self.coming_back.add(actor)
        self.block(actor)
        self.told(actor, partial(self.go_and_come, out, way, "with"), "in")
        self.settle()

    @step(
        RLockStage.holding,
        out=LEAVING,
        way=TRYING,
        by=st.sampled_from(["task", "with"]),
    )
    def leave_and_try(self, actor: Actor, out: str, way: Way, by: str) -> None:
        if actor.loop is None:
            by = "with"
        elif self.kind == "async":
            by = "task"
        elif by == "with" and way == "try":
            way = "no wait"  # what tries is the task
        if self.waits.queued() and (by == "task" or self.polite(actor)):
            ends = ["refused"]
        elif self.waits or self.helping():
            # Others may get in or not; and a helper for whom nobody waits any more
            # has the lock for a moment as well.
            ends = ["refused", "in"]
        else:
            ends = ["in"]
        if actor.loop is not None and by == "with":
            self.block(actor)
        self.told(actor, partial(self.go_and_come, out, way, by), *ends)
        self.settle()

    @rule(turns=TURNS, who=WHO, much=HOW_MUCH, whom=WHO, how=CANCELLING_MEANWHILE)
    def leave_and_cancel(
        self, turns: int, who: int, much: str, whom: int, how: Any
    ) -> None:
        """Leave, and cancel somebody who may be granted the lock by that."""
        actor, other = self.contend(turns, who), self.pick_to_cancel(whom)
        if actor is None or other is None:
            return
        self.relaxed = True
        go = self.go_all if much == "all" else self.go
        if much == "once" and self.model.depth > 1:
            self.expected[other].clear()  # nobody gets in
        self.may_be_cancelled(other)
        self.told(actor, partial(self.go_and_cancel, go, other, *how), "out")
        self.settle()

    @step(Machine.cancellable, how=CANCELLING)
    def cancel_one(self, actor: TaskActor, how: Any) -> None:
        self.expected[actor].clear()  # while others hold it, it must end so
        self.cancel(actor, how)
        self.settle()

    @step(Machine.idle, way=st.sampled_from(["release", "with", "async with"]))
    def leave_wrongly(self, actor: Actor, way: str) -> None:
        """Leave without being inside, or as another than the owner."""
        if way == "async with":
            if actor.loop is None or self.model.owner is actor:
                return
        elif self.owning(actor):
            return
        self.told(actor, partial(self.go_wrongly, way), "not held")
        self.settle()

    @step(RLockStage.mortal, first=st.integers(2, 6))
    def die(self, actor: Any, first: int) -> None:
        """End as a thread that is inside: it is open to nobody any more."""
        # What blocks a thread would never end. And a program may have other rules, too.
        if self.waits.queued() != set(self.waits) or self.died:
            return
        self.died = True
        self.tell_to_come(actor, "enter")
        self.settle()
        for other in filter(self.idle_task, self.actors[first:]):
            self.tell_to_come(other, "enter")
        self.settle()
        actor.dismiss()
        until(lambda: self.subject._orphaned)
        self.model.owner = DEAD
        # Most often of the same ident.
        successor = ThreadActor(f"{actor}'", self._note_end)
        self.actors[self.actors.index(actor)] = successor
        for by in ("task", "with"):
            for way in ("enter", "no wait", TINY):
                for other in self.those(Machine.idle):
                    if self.idle(other):  # still
                        self.tell_to_come(other, way, by)
                self.settle()
        for other in self.those(Machine.idle):
            self.told(other, partial(self.go_wrongly, "release"), "not held")
        self.settle()
        for other in self.those(Machine.cancellable):
            self.expected[other].clear()
            self.cancel(other, "scope")
        self.settle()
        self.make()

    def burst_wait(self, actor: Actor) -> None:
        if self.idle(actor):
            self.tell_to_come(actor, "enter")

    def burst_try(self, actor: Actor) -> None:
        if self.idle(actor):
            self.tell_to_come(actor, "try")

    def burst_hold(self, actor: Actor) -> None:
        if self.idle(actor):
            self.tell_to_come(actor, TINY)

    def burst_block(self, actor: Actor) -> None:
        if not self.idle_task(actor) or self.kind == "async":
            return
        beside = [one for one in self.actors if one.loop is actor.loop and one.busy]
        # What has to end could not, while its loop is blocked.
        if all(one in self.waits and one not in self.ending for one in beside):
            self.tell_to_come(actor, "enter", "with")

    def burst_leave(self, actor: Actor) -> None:
        if self.holding(actor):
            self.told(actor, partial(self.go_all, "exit"), "out")

    def burst_leave_once(self, actor: Actor) -> None:
        if self.idle(actor) and self.model.owner is actor:
            self.told(actor, partial(self.go, "exit"), "out")

    def burst_cancel(self, actor: Actor) -> None:
        if self.cancellable(actor):
            self.cancel(actor, "task")

    commands: ClassVar = {
        "block": burst_block,
        "cancel": burst_cancel,
        "hold": burst_hold,
        "leave": burst_leave,
        "leave once": burst_leave_once,
        "try": burst_try,
        "wait": burst_wait,
    }


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_rlock_of_threads_and_tasks(kind: LockKind) -> None:
    run(partial(RLockMachine, kind), times=3)


@pytest.mark.parametrize("loop", [ASYNCIO, TRIO], ids=str)
def test_rlock_of_tasks(loop: Backend) -> None:
    require(loop)
    run(partial(RLockMachine, "async", loop), times=3)


# That the machine finds what is wrong: one fault each, of those that others had.


def know_threads_only(patch: pytest.MonkeyPatch) -> None:
    """Take every task of the thread for the one that holds it."""

    def held_by_me(bridge: Any) -> bool:
        holder = bridge.holder
        return holder is not None and holder.thread is this_thread.marker

    patch.setattr(RLockBridge, "held_by_me", held_by_me)


def let_anybody_leave(patch: pytest.MonkeyPatch) -> None:
    def leave(bridge: Any) -> bool:
        if bridge.holder is None:
            return False
        if bridge.depth:
            bridge.depth -= 1
        else:
            bridge.give_up()
        return True

    patch.setattr(RLockBridge, "leave", leave)


def count_no_depth(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RLockBridge, "enter_again", RLockBridge.held_by_me)


def keep_the_elected(patch: pytest.MonkeyPatch) -> None:
    """Let the elected thread have it, and not look who is queued behind."""
    patch.setattr(RLockBridge, "_distrust", do_nothing)


def suffer_the_dead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RLockBridge, "_refuse_the_abandoned", do_nothing)


def leave_the_grant(patch: pytest.MonkeyPatch) -> None:
    """Let a thread wait for a task of its loop that was granted it and cannot run."""
    patch.setattr(RLockBridge, "_take_back", do_nothing)


def forget_the_depth(patch: pytest.MonkeyPatch) -> None:
    """Open it as soon as its owner leaves once, by whichever way."""

    def release(lock: Any) -> None:
        lock._reentries = 0
        undo(lock)

    undo = AsyncRLock.release
    patch.setattr(AsyncRLock, "release", release)


def steal_the_grant(patch: pytest.MonkeyPatch) -> None:
    def take(lock: Any, actor: Any) -> bool:
        if isinstance(lock._owner, Waiter):
            lock._owner = actor
            return True
        return taken(lock, actor)

    taken = AsyncRLock._take
    patch.setattr(AsyncRLock, "_take", take)


@pytest.mark.parametrize(
    ("kind", "fault", "sign"),
    [
        ("thread", know_threads_only, "beside|not {"),
        ("thread", let_anybody_leave, "not {'not held'}|let out|beside"),
        ("thread", count_no_depth, "not held, not {|locked:|beside"),
        ("thread", keep_the_elected, "for ever|locked:"),
        ("thread", suffer_the_dead, "for ever"),
        ("thread", leave_the_grant, "for ever"),
        ("async", lose_the_grant_of_a_task, "for ever|locked:"),
        ("async", forget_the_depth, "not held, not {|locked:|beside"),
        ("async", steal_the_grant, "beside|overtook"),
    ],
)
def test_a_fault_is_found(
    kind: LockKind,
    fault: Callable[[pytest.MonkeyPatch], None],
    sign: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch)
    found = first_violation(partial(RLockMachine, kind))
    assert re.search(sign, found)
