"""State machines: random programs for few actors, and what has to come of them.

A rule has some actors do something, waits until all of them are done or have to wait,
and compares with a reference model. The model is told in the order of one log. An
actor notes there that it came in after it has, and that it goes out before it does:
so two that are inside at once show, whatever the threads do meanwhile.
"""

from __future__ import annotations

from functools import partial, wraps
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from actors import Actor, Loop, TaskActor, ThreadActor, Waits, demand
from anylock._bridge import queue
from backends import ASYNCIO, TRIO, Backend
from staging import PATIENCE, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anylock import LockKind

TINY = 0.001
"""Seconds that are over soon."""

NEVER = 3600.0
"""A tenure that does not end: tasks always hand over what they have."""

WHO = st.integers(0, 59)
"""Stands for an actor: of six or fewer, each is as likely."""


def step(
    which: Callable[[Any, Actor], bool], **drawn: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Any]:
    """Make a rule of what one of certain actors does; nothing if there are none.

    It is no rule with a precondition, and the actor is not drawn from those there are,
    because both may be another way the next time: which of two threads was faster is
    not for Hypothesis to decide, and it insists that the same choices lead to the same
    choices.
    """

    def make_rule(function: Callable[..., None]) -> Any:
        @wraps(function)
        def act(machine: Machine, who: int, **what: Any) -> None:
            actor = machine.pick(which, who)
            if actor is not None:
                function(machine, actor, **what)

        made: Any = rule
        return made(who=WHO, **drawn)(act)

    return make_rule


def _named(operation: Any) -> str:
    if isinstance(operation, partial):
        return " ".join(map(_named, (operation.func, *operation.args)))
    return str(getattr(operation, "__name__", operation))


class Machine(RuleBasedStateMachine):
    """What all machines share: the stage, the log, and how to wait.

    Args:
        kind: That of the locks.
        backend: The event loop, for the kind "async"; the others have two.
    """

    patience = PATIENCE
    subject: Any

    def __init__(self, kind: LockKind, backend: Backend = ASYNCIO) -> None:
        super().__init__()
        self.kind: LockKind = kind
        self.turn = 0
        self.waits = Waits()
        self.expected: dict[Actor, set[str]] = {}
        self.ending: set[Actor] = set()
        """Who was cancelled."""
        self.relaxed = False
        """Whether several things happen at once, so that several ends are right."""
        self.broken = False
        self._log: list[tuple[Actor, str, bool]] = []
        """Who, what, and whether that was the end of what it was told."""
        self._replayed = 0
        self._history: list[str] = []
        """What they were told, and what they did; for who reads of a violation."""
        self._tenure = queue.TENURE
        if kind == "async":
            self.loops = [Loop(backend)]
        else:
            self.loops = [Loop(ASYNCIO), Loop(TRIO if usable(TRIO) else ASYNCIO)]
        self.actors = self._cast()

    def _cast(self) -> list[Actor]:
        first, *others = self.loops
        tasks = [TaskActor(f"A{number}", self._note_end, first) for number in (1, 2, 3)]
        if not others:
            return [*tasks, ThreadActor("W1", self._note_end, first)]
        threads = [ThreadActor(f"T{number}", self._note_end) for number in (1, 2)]
        return [*threads, *tasks, TaskActor("B1", self._note_end, others[0])]

    @initialize(tenure=st.sampled_from([0.0, NEVER]))
    def set_up(self, tenure: float) -> None:
        self.begin(tenure)

    def begin(self, tenure: float) -> None:
        # Whether tasks hand the lock on is a matter of time; here it is one of choice.
        queue.TENURE = tenure
        self.make()

    # What a machine says of its subject.

    def make(self) -> None:
        """Make the subject and its model."""
        raise NotImplementedError

    def replay(self, actor: Actor, what: str) -> None:
        """Tell the model what an actor noted."""
        raise NotImplementedError

    def owing(self) -> bool:
        """Say whether somebody who waits should have been served."""
        raise NotImplementedError

    def check(self) -> None:
        """Compare what can be seen of the subject, when nothing happens any more."""

    def release_all(self) -> None:
        """Let everybody end what they are in."""
        raise NotImplementedError

    def assert_at_rest(self) -> None:
        raise NotImplementedError

    def bridges(self) -> list[Any]:
        bridge = getattr(self.subject, "_bridge", None)
        return [] if bridge is None else [bridge]

    def free(self) -> bool:
        """Say whether somebody who came now would be served."""
        raise NotImplementedError

    def empty(self) -> bool:
        """Say whether nobody is inside."""
        return self.free()

    def resting(self, actor: Actor) -> bool:
        """Say whether an actor that is busy need not do anything by itself."""
        return actor in self.waits and actor not in self.ending

    # To act.

    def those(self, which: Callable[[Any, Actor], bool]) -> list[Actor]:
        """Return those of whom something is so; who waits longest comes first."""
        actors = dict.fromkeys([*self.waits, *self.actors])
        return [actor for actor in actors if which(self, actor)]

    def pick(self, which: Callable[[Any, Actor], bool], number: int) -> Any:
        found = self.those(which)
        return found[number % len(found)] if found else None

    def idle(self, actor: Actor) -> bool:
        """Say whether it can be told to do something."""
        stopped = actor.loop is not None and actor.loop.blocked_by is not None
        return not actor.busy and not stopped

    def pick_to_cancel(self, number: int) -> Any:
        """Choose who is cancelled: most often one of those that are served next."""
        if number % 3:
            return next(iter(self.those(Machine.cancellable)), None)
        return self.pick(Machine.cancellable, number // 3)

    def cancellable(self, actor: Actor) -> bool:
        return (
            isinstance(actor, TaskActor)
            and actor.busy
            and actor in self.waits
            and actor not in self.ending
            and actor.home.blocked_by is None
        )

    def note(self, actor: Actor, what: str) -> None:
        """Log what an actor does; called in the midst of it."""
        self._log.append((actor, what, False))

    def _note_end(self, actor: Actor, outcome: str) -> None:
        self._log.append((actor, outcome, True))

    def told(
        self,
        actor: Actor,
        operation: Callable[[Actor], Coroutine[Any, Any, str]],
        *expected: str,
    ) -> None:
        """Have an actor do something that is expected to end in one of some ways."""
        self.expected[actor] = set(expected)
        self._history.append(f"{actor}<{_named(operation)}>")
        actor.start(partial(operation, actor))

    def will_wait(self, actor: Actor) -> None:
        """Note that what an actor is told next waits for ever, if it has to."""
        self.be_polite(actor)
        self.waits.add(actor, self.turn)

    def be_polite(self, actor: Actor) -> None:
        """Note that a thread comes later than tasks for whom a helper stands ready."""
        standing = any(bridge._turnstile.locked() for bridge in self.bridges())
        if actor.loop is None and standing and not self.relaxed:
            self.waits.polite_to[actor] = self.waits.queued()

    def may_be_cancelled(self, actor: Actor) -> None:
        """Note that an actor is cancelled, but may just have been served."""
        self.expected[actor].add("cancelled")
        self.ending.add(actor)

    def cancel(self, actor: Any, how: Any) -> None:
        self.may_be_cancelled(actor)
        self._history.append(f"{actor}<cancelled, {how}>")
        actor.cancel_soon(how)

    commands: ClassVar[dict[str, Callable[[Any, Actor], None]]]
    """What actors can be told at the same time; each does nothing if it cannot be."""

    @rule(program=st.lists(st.tuples(WHO, WHO), min_size=2, max_size=4))
    def at_once(self, program: list[tuple[int, int]]) -> None:
        """Tell several actors something, without waiting in between."""
        self.relaxed = True
        names = sorted(self.commands)
        for who, what in program:
            actor = self.pick(lambda _, actor: actor not in self.expected, who)
            if actor is not None:
                self.commands[names[what % len(names)]](self, actor)
        self.settle()

    # To wait, and to judge.

    def settle(self) -> None:
        """Wait until nothing happens any more, and judge what did."""
        self.broken = True
        if self.relaxed:
            self.waits.polite_to.clear()
        for actor in self.actors:
            if isinstance(actor, TaskActor) and actor.busy:
                actor.home.let(actor)
        deadline = monotonic() + self.patience
        while not self._settled():
            demand(monotonic() < deadline, "it goes on for ever:", self._state())
            sleep(0.0001)
        self.relaxed = False
        self.turn += 1
        self.waits.judge()
        self.check()
        self.broken = False

    def _settled(self) -> bool:
        # In this order: what is noted comes before the end of being busy.
        busy = self.those(lambda _, actor: actor.busy)
        while self._replayed < len(self._log):
            actor, what, over = self._log[self._replayed]
            self._replayed += 1
            self._history.append(f"{actor} {what}")
            if over:
                self._judge(actor, what)
            else:
                self.replay(actor, what)
        if self.owing() or not all(map(self.resting, busy)):
            return False
        return self._at_ease()

    def _judge(self, actor: Actor, outcome: str) -> None:
        expected = self.expected.pop(actor)
        demand(
            outcome in expected, f"{actor}: {outcome}, not {expected}", self._state()
        )
        self.waits.drop(actor)
        self.ending.discard(actor)
        if actor.loop is not None and actor.loop.blocked_by is actor:
            actor.loop.blocked_by = None

    def helping(self) -> bool:
        """Say whether a helper thread is under way."""
        return any(bridge._helping for bridge in self.bridges())

    def _at_ease(self) -> bool:
        """Say whether the helpers are where they stay until somebody does something."""
        for bridge in self.bridges():
            if bridge._mail:
                return False
            # Where all is free it has nothing to wait for, and ends.
            if bridge._helping and (self.free() or not bridge._turnstile.locked()):
                return False
        return True

    def _state(self) -> str:
        bridges = [
            {"queue": len(b._queue), "helping": b._helping} for b in self.bridges()
        ]
        return (
            f"{[*self.waits]} wait; {self.subject!r}; {bridges}; {self._history[-20:]}"
        )

    def teardown(self) -> None:
        try:
            if not self.broken:
                self._end_all()
        finally:
            for actor in self.actors:
                if isinstance(actor, ThreadActor):
                    actor.dismiss()
            for loop in self.loops:
                loop.end(broken=self.broken)
            queue.TENURE = self._tenure
        if not self.broken:
            self.assert_at_rest()

    def _end_all(self) -> None:
        for _ in range(100):
            busy = self.those(Machine.cancellable)
            for actor in busy:
                self.cancel(actor, "scope")
            if busy:
                self.settle()
            if not any(actor.busy for actor in self.actors) and self.empty():
                return
            self.release_all()
        demand(False, "it does not come to rest:", self._state())
