"""Real threads of which one runs at a time, and a clock that only they move.

Threads and not greenlets, because what is tested asks for them: thread-locals, the
owners of re-entrant locks, event loops that run in this thread.
"""

from __future__ import annotations

import _thread
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .policies import Policy

HASTE = 0.02
"""How often the clock jumps to the next deadline although somebody could run."""

SOON = 0.2
"""Seconds that it jumps at most then: who is only slow is not slower than that."""

TICK = 2e-6
"""Seconds that pass from one decision to the next."""

PATIENCE = 60.0
"""Seconds on the clock for which all may wait for time to pass; then it is a hang."""

MOST = 200_000
"""Decisions after which it is a hang as well."""


class Participant:
    """A thread that the scheduler runs and stops."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.baton = _thread.allocate_lock()
        self.baton.acquire()
        self.ident = 0
        self.ready: Callable[[], bool] | None = None
        """What it waits for; None if it could run."""
        self.deadline: float | None = None

    def runnable(self, now: float) -> bool:
        """Say whether it could run at that time."""
        if self.ready is None or self.ready():
            return True
        return self.deadline is not None and self.deadline <= now


class Scheduler:
    """Runs its participants one at a time, in the order of its policy.

    Args:
        random: Where everything is drawn from.
        policy: Decides who runs.
        tracer: For `sys.settrace`, in each participant; or None.
    """

    def __init__(self, random: Random, policy: Policy, tracer: Any) -> None:
        self.random = random
        self.policy = policy
        self.now = 0.0
        self.failure: str | None = None
        self.trace: list[str] = []
        """Every switch: who runs from then on, and where it stopped who ran before."""
        self.starved = False
        """Whether the locks cannot always start threads."""
        self.at_rest: Callable[[], str | None] = lambda: None
        """Asked for a complaint whenever nobody can run before time has passed."""
        self._tracer = tracer
        self._alive: list[Participant] = []
        self._running: Participant | None = None
        self._idle = 0.0
        self._decisions = 0
        self._over = _thread.allocate_lock()
        self._over.acquire()

    # From outside.

    def spawn(self, name: str, target: Callable[[], None]) -> None:
        """Add a participant; from outside, or from one that runs."""
        participant = Participant(name)
        self._alive.append(participant)
        _thread.start_new_thread(self._live, (participant, target))

    def run(self) -> None:
        """Run all participants to their ends, or to the first failure.

        After a failure they are left where they are: to make them end would be to run
        what has just failed.
        """
        if self._alive:
            self._running = self._choose(None)
            self._running.baton.release()
            self._over.acquire()

    # From participants.

    @property
    def is_here(self) -> bool:
        """Whether the caller is the participant that runs."""
        running = self._running
        return running is not None and running.ident == _thread.get_ident()

    def pause(self, where: str = "") -> None:
        """Let others run, if the policy wants it so."""
        me = self._running
        if me is not None and me.ident == _thread.get_ident():
            self._switch(me, self._choose(me), where)

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Let others run until it is so, or so many seconds are over."""
        me = self._running
        if me is None or me.ident != _thread.get_ident():
            if not ready():
                message = "only participants can wait"
                raise RuntimeError(message)
            return True
        me.ready = ready
        me.deadline = None if timeout is None else self.now + timeout
        self._switch(me, self._choose(None), "waits")
        me.ready = me.deadline = None
        return ready()

    def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        self.wait(lambda: False, seconds)

    def fail(self, message: str) -> None:
        """End the run here; does not return to a participant."""
        if self.failure is None:
            self.failure = message
            self._over.release()
        if self.is_here:
            sys.settrace(None)
            bed = _thread.allocate_lock()
            bed.acquire()
            bed.acquire()

    # Switching.

    def _live(self, me: Participant, target: Callable[[], None]) -> None:
        me.baton.acquire()
        me.ident = _thread.get_ident()
        try:
            sys.settrace(self._tracer)
            try:
                target()
            finally:
                sys.settrace(None)
        except BaseException:  # noqa: BLE001 - whatever it is, it is reported
            self.fail(f"{me.name}: {traceback.format_exc()}")
        del target
        self._alive.remove(me)
        if self._alive:
            self._switch(None, self._choose(None), f"{me.name} ends")
        else:
            self._running = None
            self._over.release()

    def _switch(self, me: Participant | None, chosen: Participant, why: str) -> None:
        if chosen is me:
            return
        self.trace.append(f"{self.now:.6f} {chosen.name}  <- {why}")
        self._running = chosen
        chosen.baton.release()
        if me is not None:
            me.baton.acquire()

    def _choose(self, current: Participant | None) -> Participant:
        self._decisions += 1
        self.now += TICK
        if self.random.random() < HASTE:
            self._jump(SOON)
        while True:
            runnable = [one for one in self._alive if one.runnable(self.now)]
            if runnable and self._decisions < MOST:
                chosen: Any = self.policy.choose(runnable, current)
                return chosen  # type: ignore[no-any-return]
            before = self.now
            if runnable:
                self.fail("it does not end:\n" + self._stacks())
            running, self._running = self._running, None  # it looks at traced code
            complaint = self.at_rest()
            self._running = running
            if complaint is not None:
                self.fail(f"when all wait: {complaint}\n" + self._stacks())
            if not self._jump(PATIENCE):
                self.fail("nobody can ever run again:\n" + self._stacks())
            self._idle += self.now - before
            if self._idle > PATIENCE:
                self.fail("all wait, for time to pass:\n" + self._stacks())

    def _jump(self, most: float) -> bool:
        """Set the clock to the next deadline."""
        deadlines = [one.deadline for one in self._alive if one.deadline is not None]
        nearest = min(deadlines, default=None)
        if nearest is None or nearest > self.now + most:
            return False
        self.now = max(self.now, nearest)
        return True

    def _stacks(self) -> str:
        frames = sys._current_frames()
        told: list[str] = []
        for one in self._alive:
            frame = frames.get(one.ident)
            stack = traceback.format_stack(frame) if frame is not None else []
            told.append(f"--- {one.name}\n" + "".join(stack))
        return "\n".join(told)
