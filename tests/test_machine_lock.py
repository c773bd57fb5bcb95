"""The locks, by random programs: exclusion, order, and that nobody waits for ever."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis.strategies as st
import pytest

from actors import Actor, TaskActor, demand, get_in, get_out
from anylock import make_lock
from anylock._async._owned import AsyncOwned
from anylock._bridge.base import Bridge
from anylock._bridge.lock import Holder, LockBridge
from anylock._bridge.queue import Waiting
from anylock._parking import Waiter
from backends import ASYNCIO, TRIO, Backend, require
from machine_runs import (
    HUNT,
    do_nothing,
    first_violation,
    lose_the_grant,
    lose_the_grant_of_a_task,
    run,
    serve_the_last,
)
from machines import TINY, WHO, Machine, step
from staging import assert_at_rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

WAITING = st.sampled_from(["enter", "hold", "acquire"])
TRYING = st.sampled_from(["try", 0.0, TINY])
CANCELLING = st.sampled_from(["scope", "task"])
LEAVING = st.sampled_from(["exit", "release"])


class Reference:
    """A lock: one at a time."""

    def __init__(self) -> None:
        self.holder: Actor | None = None

    def came(self, actor: Actor) -> None:
        demand(self.holder is None, actor, "came in beside", self.holder)
        self.holder = actor

    def went(self, actor: Actor) -> None:
        demand(self.holder is actor, actor, "was let out, not", self.holder)
        self.holder = None


class LockMachine(Machine):
    """Locks, against `Reference`."""

    def make(self) -> None:
        self.subject = make_lock(self.kind, name="the-lock")
        self.model = Reference()
        self.came_by: dict[Actor, str | float] = {}
        self.threads_way: set[Actor] = set()
        """Who came in as a thread does, or is about to."""
        self.coming_back: set[Actor] = set()
        """Who is to wait as soon as it is out."""

    # Who.

    def holding(self, actor: Actor) -> bool:
        return self.idle(actor) and self.model.holder is actor

    def outside(self, actor: Actor) -> bool:
        return self.idle(actor) and self.model.holder is not actor

    def task_outside(self, actor: Actor) -> bool:
        return actor.loop is not None and self.outside(actor)

    def known(self) -> bool:
        """Say whether the lock knows which task has it."""
        holder = self.model.holder
        if holder is None or holder in self.threads_way:
            return False
        if self.kind == "async":
            return True
        return holder.loop is not None and self.came_by[holder] != "try"

    def holding_known(self, actor: Actor) -> bool:
        return self.holding(actor) and self.known()

    def free(self) -> bool:
        return self.model.holder is None

    def owing(self) -> bool:
        return self.free() and len(self.waits) > 0

    def replay(self, actor: Actor, what: str) -> None:
        if what == "came":
            self.model.came(actor)
            self.waits.serve(actor, self.turn)
        else:
            self.model.went(actor)
            if actor in self.coming_back:
                self.coming_back.discard(actor)
                self.waits.add(actor, self.turn)

    def check(self) -> None:
        demand(self.subject.locked() is not self.free(), "locked:", self._state())

    # What they do.

    async def come(self, way: str | float, actor: Actor) -> str:
        by_task = actor.loop is not None and actor not in self.threads_way
        if await get_in(self.subject, way, by_task=by_task):
            self.came_by[actor] = way
            self.note(actor, "came")
            return "in"
        return "refused"

    async def go(self, way: str, actor: Actor) -> str:
        by_task = actor.loop is not None and actor not in self.threads_way
        if self.came_by[actor] == "try" and self.kind != "async":
            by_task, way = False, "release"
        self.note(actor, "went")
        await get_out(self.subject, way, by_task=by_task)
        return "out"

    async def go_and_come(self, out: str, way: str | float, actor: Actor) -> str:
        await self.go(out, actor)
        self.threads_way.discard(actor)
        return await self.come(way, actor)

    async def go_and_cancel(self, other: TaskActor, how: Any, actor: Actor) -> str:
        await self.go("exit", actor)
        if other.loop is actor.loop:
            other.cancel(how)
        else:
            other.cancel_soon(how)
        return "out"

    async def release(self, holder: Actor | None, _: Actor) -> str:
        if holder is not None:
            self.note(holder, "went")
        self.subject.release()
        return "out"

    # The rules.

    def tell_to_enter(self, actor: Actor, way: str) -> None:
        self.threads_way.discard(actor)
        self.will_wait(actor)
        self.told(actor, partial(self.come, way), "in")

    def tell_to_try(self, actor: Actor, way: str | float) -> None:
        self.threads_way.discard(actor)
        ends = {"in", "refused"}
        if not self.relaxed:
            ends = {"in" if self.free() else "refused"}
        self.told(actor, partial(self.come, way), *ends)

    @step(outside, way=WAITING)
    def enter(self, actor: Actor, way: str) -> None:
        self.tell_to_enter(actor, way)
        self.settle()

    @step(outside, way=TRYING)
    def try_to_enter(self, actor: Actor, way: str | float) -> None:
        self.tell_to_try(actor, way)
        self.settle()

    @step(task_outside, way=st.sampled_from(["enter", 0.0, TINY]))
    def enter_by_with(self, actor: Any, way: str | float) -> None:
        """Use `with` in a task, which blocks its event loop if it has to wait."""
        holder = self.model.holder
        beside = holder is not None and holder.loop is actor.loop
        if self.kind == "async":
            ends = "deadlock"
        elif holder is None or (way == "enter" and not beside):
            ends = "in"
        elif way == "enter":
            if not self.known():
                return  # nobody would know that it never ends
            ends = "deadlock"
        else:
            ends = "refused"
        self.threads_way.add(actor)
        actor.loop.blocked_by = actor
        if ends == "in":
            self.will_wait(actor)
        self.told(actor, partial(self.come, way), ends)
        self.settle()

    @step(holding_known, way=st.sampled_from(["enter", 0.0, TINY]))
    def enter_again(self, actor: Actor, way: str | float) -> None:
        ends = "deadlock" if way == "enter" else "refused"
        self.told(actor, partial(self.come, way), ends)
        self.settle()

    @step(holding, way=LEAVING)
    def leave(self, actor: Actor, way: str) -> None:
        self.told(actor, partial(self.go, way), "out")
        self.settle()

    @step(holding, out=LEAVING, way=WAITING)
    def leave_and_enter(self, actor: Actor, out: str, way: str) -> None:
        """Leave and be back at once, as a newcomer."""
        self.coming_back.add(actor)
        self.be_polite(actor)
        self.told(actor, partial(self.go_and_come, out, way), "in")
        self.settle()

    @step(holding, out=LEAVING, way=TRYING)
    def leave_and_try(self, actor: Actor, out: str, way: str | float) -> None:
        if self.waits.queued():
            ends = ["refused"]
        elif self.waits or self.helping():
            # A thread may get in or not; and a helper for whom nobody waits any more
            # has the lock for a moment as well.
            ends = ["refused", "in"]
        else:
            ends = ["in"]
        self.told(actor, partial(self.go_and_come, out, way), *ends)
        self.settle()

    @step(holding, whom=WHO, how=CANCELLING)
    def leave_and_cancel(self, actor: Actor, whom: int, how: Any) -> None:
        """Leave, and cancel somebody who may have been granted the lock by that."""
        other = self.pick_to_cancel(whom)
        if other is None:
            return
        self.relaxed = True
        self.may_be_cancelled(other)
        self.told(actor, partial(self.go_and_cancel, other, how), "out")
        self.settle()

    @step(Machine.cancellable, how=CANCELLING)
    def cancel_one(self, actor: TaskActor, how: Any) -> None:
        self.expected[actor].clear()  # while others hold it, it must end so
        self.cancel(actor, how)
        self.settle()

    @step(outside)
    def release_anyhow(self, actor: Actor) -> None:
        """Release what somebody else holds, which any may do, or nobody holds."""
        holder = self.model.holder
        if self.kind == "async" and actor.loop is None:
            return  # of those of the loop only
        ends = "not held" if holder is None else "out"
        self.told(actor, partial(self.release, holder), ends)
        self.settle()

    def _burst_enter(self, actor: Actor) -> None:
        if self.outside(actor):
            self.tell_to_enter(actor, "enter")

    def _burst_try(self, actor: Actor) -> None:
        if self.outside(actor):
            self.tell_to_try(actor, "try")

    def _burst_hold(self, actor: Actor) -> None:
        if self.outside(actor):
            self.tell_to_try(actor, TINY)

    def _burst_leave(self, actor: Actor) -> None:
        if self.holding(actor):
            self.told(actor, partial(self.go, "exit"), "out")

    def _burst_cancel(self, actor: Actor) -> None:
        if isinstance(actor, TaskActor) and self.cancellable(actor):
            self.cancel(actor, "task")

    commands: ClassVar = {
        "cancel": _burst_cancel,
        "enter": _burst_enter,
        "hold": _burst_hold,
        "leave": _burst_leave,
        "try": _burst_try,
    }

    def release_all(self) -> None:
        for actor in self.those(LockMachine.holding):
            self.told(actor, partial(self.go, "exit"), "out")
        self.settle()

    def assert_at_rest(self) -> None:
        assert_at_rest(self.subject)


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_lock_of_threads_and_tasks(kind: LockKind) -> None:
    run(partial(LockMachine, kind))


@pytest.mark.parametrize("loop", [ASYNCIO, TRIO], ids=str)
def test_lock_of_tasks(loop: Backend) -> None:
    require(loop)
    run(partial(LockMachine, "async", loop))


# That the machine finds what is wrong: one fault each, of those that others had.


def overtake_the_queue(patch: pytest.MonkeyPatch) -> None:
    def take(bridge: Any) -> bool:
        if not bridge._acquire(False):
            return False
        bridge.holder = Holder()
        return True

    patch.setattr(LockBridge, "take", take)


def steal_the_grant(patch: pytest.MonkeyPatch) -> None:
    def take(lock: Any, actor: Any) -> bool:
        if lock._owner is not None and not isinstance(lock._owner, Waiter):
            return False
        lock._owner = actor
        return True

    patch.setattr(AsyncOwned, "_take", take)


def pass_by_the_turnstile(patch: pytest.MonkeyPatch) -> None:
    def block(bridge: Any, timeout: float | None) -> bool:
        taken: bool = bridge._acquire(True, -1 if timeout is None else timeout)
        return taken

    patch.setattr(Bridge, "_block_politely", block)


def suffer_the_deadlock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LockBridge, "_refuse_deadlock", do_nothing)


def forget_the_helper(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Waiting, "_summon_helper", do_nothing)


@pytest.mark.parametrize(
    ("kind", "fault", "sign"),
    [
        ("thread", lose_the_grant, "for ever|locked"),
        ("thread", overtake_the_queue, "overtook"),
        ("thread", serve_the_last, "overtook"),
        ("thread", pass_by_the_turnstile, "turnstile|overtook|not {'refused'}"),
        ("thread", suffer_the_deadlock, "for ever"),
        ("thread", forget_the_helper, "for ever"),
        ("async", lose_the_grant_of_a_task, "for ever|locked"),
        ("async", steal_the_grant, "beside|overtook"),
    ],
)
def test_a_fault_is_found(
    kind: LockKind,
    fault: Callable[[pytest.MonkeyPatch], None],
    sign: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "thread" and not HUNT:
        pytest.skip("which thread is faster decides, so it is for hunts: ANYLOCK_HUNT")
    fault(monkeypatch)
    assert re.search(sign, first_violation(partial(LockMachine, kind)))
