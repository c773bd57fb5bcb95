"""The stage of the tests of read-write locks: who is inside of which side, or waits."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from actors import Actor, Loop, TaskActor, ThreadActor, get_in, get_out
from anylock import RWLock, make_rwlock
from backends import ASYNCIO, TRIO, Backend
from staging import PATIENCE, in_thread, until, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from actors import HowToCancel

SideName = Literal["read", "write"]
RWKind = Literal["async", "thread"]

KINDS: tuple[RWKind, ...] = ("async", "thread")


def passage_of(lock: RWLock) -> Any:
    """Return what both sides share."""
    whatever: Any = lock
    return whatever._passage


def waiting(lock: RWLock) -> int:
    """Count the tasks that wait for a turn, and the writer that has it."""
    inner = passage_of(lock)
    queue: Any = getattr(inner.turnstile, "_waiters", None)
    bridge: Any = getattr(inner.turnstile, "_bridge", None)
    return len(inner.arriving) + len(queue or getattr(bridge, "_queue", ()))


def blocked_in_passage(label: str) -> bool:
    """Say whether the thread of that name is on its way in, where it may have to wait.

    Nothing else tells that a thread is blocked in a C lock.
    """
    for thread in threading.enumerate():
        if thread.name == label and thread.ident is not None:
            frame = sys._current_frames().get(thread.ident)
            while frame is not None:
                if frame.f_code.co_name in {"_entered", "block"}:
                    return True
                frame = frame.f_back
    return False


def assert_at_rest(lock: RWLock) -> None:
    """Check that nobody is inside or waits, and that both sides can be had."""
    passage = passage_of(lock)
    until(lambda: not passage.turnstile.locked())
    assert not passage.arriving
    assert not passage.readers
    assert not passage.writer
    for side in (lock.write, lock.read):
        assert not side.locked()
        until(side.try_acquire)  # a helper may have the turnstile for a moment
        assert side.locked()
        side.release()
        assert not side.locked()


class Crew:
    """Threads and tasks that use one read-write lock.

    Args:
        lock: The lock.
    """

    def __init__(self, lock: RWLock) -> None:
        self.lock = lock
        self.inside: dict[Actor, list[SideName]] = {}
        self.most = 0
        """How many were ever inside at the same time."""
        self.order: list[str] = []
        """The labels of who came in."""
        self.outcomes: dict[Actor, str] = {}
        self.actors: list[Actor] = []
        self.loops: list[Loop] = []
        self._changing = threading.Lock()

    def loop(self, backend: Backend = ASYNCIO) -> Loop:
        self.loops.append(Loop(backend))
        return self.loops[-1]

    def thread(self, label: str) -> ThreadActor:
        """Start a thread; for the kind "async" a worker thread."""
        worker_of = None
        if self.lock.kind == "async":
            worker_of = self.loops[0] if self.loops else self.loop()
        actor = ThreadActor(label, self._ended, worker_of)
        self.actors.append(actor)
        return actor

    def task(self, label: str, loop: Loop | None = None) -> TaskActor:
        if loop is None:
            loop = self.loops[0] if self.loops else self.loop()
        actor = TaskActor(label, self._ended, loop)
        self.actors.append(actor)
        return actor

    def actor(self, label: str) -> Actor:
        """Start a thread, "thread", or a task of a loop of its own, "trio"."""
        if label == "thread":
            return self.thread(label)
        if self.lock.kind == "async" and self.loops:
            return self.task(label)
        backend = TRIO if label == "trio" and usable(TRIO) else ASYNCIO
        return self.task(label, self.loop(backend))

    def _ended(self, actor: Actor, outcome: str) -> None:
        self.outcomes[actor] = outcome

    # What actors do.

    def start(self, actor: Actor, side: SideName, way: str | float = "with") -> None:
        """Have an actor come, which may have to wait."""
        self.outcomes.pop(actor, None)
        sync = way == "sync with"
        by_task = isinstance(actor, TaskActor) and not sync
        way = "with" if sync else way

        async def operation() -> str:
            lock = getattr(self.lock, side)
            if not await get_in(lock, way, by_task=by_task):
                return "refused"
            with self._changing:
                self.inside.setdefault(actor, []).append(side)
                sides = [each for has in self.inside.values() for each in has]
                self.most = max(self.most, len(sides))
                self.order.append(actor.label)
                if "write" in sides and len(sides) > 1:
                    return f"overlap: {self.inside}"
            return "in"

        actor.start(operation)

    def end(self, actor: Actor) -> str:
        """Wait until what an actor does is over, and tell how it ended."""
        until(lambda: not actor.busy)
        return self.outcomes[actor]

    def enter(self, actor: Actor, side: SideName, way: str | float = "with") -> None:
        """Have an actor enter, which need not wait."""
        assert self.try_to(actor, side, way) == "in"

    def try_to(self, actor: Actor, side: SideName, way: str | float = "try") -> str:
        """Have an actor come, and tell how that ended."""
        self.start(actor, side, way)
        return self.end(actor)

    def wait(self, actor: Actor, side: SideName, way: str | float = "with") -> None:
        """Have an actor come, which has to wait; return when it does."""
        before = waiting(self.lock)
        self.start(actor, side, way)
        if isinstance(actor, TaskActor) and way != "sync with":
            for _ in range(3):
                actor.home.let(actor)
        elif self.lock.kind == "async":
            until(lambda: waiting(self.lock) > before or not actor.busy)
        else:
            label = actor.label
            if isinstance(actor, TaskActor):
                label = actor.home._thread.name
            until(lambda: blocked_in_passage(label) or not actor.busy)
        # Its time may be over already.
        assert actor.busy or type(way) is float, self.outcomes[actor]

    def leave(self, actor: Actor, side: SideName, way: str = "with") -> None:
        """Have an actor leave a side that it is inside of."""
        by_task = isinstance(actor, TaskActor) and way != "sync with"

        async def operation() -> str:
            with self._changing:
                self.inside[actor].remove(side)
            await get_out(getattr(self.lock, side), way, by_task=by_task)
            return "out"

        actor.start(operation)
        assert self.end(actor) == "out"

    def do(self, actor: Actor, function: Callable[[], object]) -> str:
        """Have an actor call something, and tell how that ended."""

        async def operation() -> str:
            return str(function())

        actor.start(operation)
        return self.end(actor)

    def cancel(self, actor: TaskActor, how: HowToCancel = "scope") -> None:
        """Cancel a task that waits."""
        actor.cancel_soon(how)
        assert self.end(actor) == "cancelled"

    def got(self, *actors: Actor) -> None:
        """Check that those that waited come in."""
        for actor in actors:
            assert self.end(actor) == "in"

    # The end.

    def all_leave(self) -> None:
        """Have all that are inside leave, and those that come in by that."""
        until(self._have_left)

    def _have_left(self) -> bool:
        for actor, sides in list(self.inside.items()):
            if not actor.busy:
                for side in list(sides):
                    self.leave(actor, side)
        return not any(actor.busy or self.inside.get(actor) for actor in self.actors)

    def close(self) -> None:
        for actor in self.actors:
            if isinstance(actor, ThreadActor):
                actor.dismiss()
        for loop in self.loops:
            loop.end(broken=False)


@contextmanager
def crew_of(kind: RWKind, **options: Any) -> Generator[Crew]:
    """Have a crew with a fresh lock; in the end all leave, and it is as at first."""
    make: Any = make_rwlock
    crew = Crew(make(kind, name="data", **options))
    yield crew
    crew.all_leave()
    crew.close()
    with in_thread(partial(assert_at_rest, crew.lock), PATIENCE):
        pass
