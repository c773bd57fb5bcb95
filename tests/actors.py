"""The stage of the state machines: threads and tasks that do one thing at a time.

Beside them their ways in and out, and the order that all kinds promise them.

Each actor lives as long as the stage does, because it is by themselves that threads
and tasks are known to the locks. It is told what to do and tells how that ended.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio import to_thread

from anylock import LockNotHeldError, LockTimeout, SemaphoreOverReleased, WouldDeadlock
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from backends import Backend

    Operation = Callable[[], Coroutine[Any, Any, str]]

HowToCancel = Literal["scope", "task"]

NOT_HELD = {LockNotHeldError, RuntimeError, ValueError, AssertionError}
"""What a release of what is not held raises: ours, or that of a C method."""


def told(error: Exception) -> str:
    """Name what an operation raised."""
    if isinstance(error, LockTimeout):
        return "refused"
    if isinstance(error, WouldDeadlock):
        return "deadlock"
    if isinstance(error, SemaphoreOverReleased):
        return "over-released"
    # Not their subclasses: "is bound to a different event loop" is a RuntimeError too.
    return "not held" if type(error) in NOT_HELD else repr(error)


async def attempt(operation: Operation) -> str:
    try:
        return await operation()
    except Exception as error:  # noqa: BLE001 - the machine judges it
        return told(error)


def at_once(operation: Operation) -> str:
    try:
        attempt(operation).send(None)
    except StopIteration as ended:
        outcome: str = ended.value
        return outcome
    return "it awaited something in a thread"


class Actor:
    """Somebody who does what it is told.

    Args:
        label: Its name in reports.
        ended: Called in its thread with itself and how its operation ended.
    """

    loop: Loop | None = None
    """The event loop that it is a task of; None for a thread."""

    def __init__(self, label: str, ended: Callable[[Actor, str], None]) -> None:
        self.label = label
        self.busy = False
        self._ended = ended

    def __repr__(self) -> str:
        return self.label

    def start(self, operation: Operation) -> None:
        """Have it begin an operation; it must have ended the one before."""
        assert not self.busy, self
        self.busy = True
        self._begin(operation)

    def _begin(self, operation: Operation) -> None:
        raise NotImplementedError

    def _end(self, outcome: str) -> None:
        self._ended(self, outcome)
        self.busy = False


class ThreadActor(Actor):
    """A thread; or a worker thread of an event loop, if it is given one."""

    def __init__(
        self,
        label: str,
        ended: Callable[[Actor, str], None],
        worker_of: Loop | None = None,
    ) -> None:
        super().__init__(label, ended)
        self._inbox = SimpleQueue[Any]()
        if worker_of is None:
            threading.Thread(target=self._live, name=label, daemon=True).start()
        else:
            worker_of.start(to_thread.run_sync, self._live)

    def _begin(self, operation: Operation) -> None:
        self._inbox.put(operation)

    def dismiss(self) -> None:
        self._inbox.put(None)

    def _live(self) -> None:
        while (operation := self._inbox.get()) is not None:
            # An operation is a coroutine so that one text serves both colours. In a
            # thread it awaits nothing, and so it ends at once.
            self._end(at_once(operation))


class Loop:
    """An event loop that runs in a thread of its own."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.blocked_by: Actor | None = None
        """The task that may be blocking this loop's thread."""
        self.soon: Callable[..., object]
        """Has a function called in the loop, in order; waits for nothing."""
        self._tasks: Any
        running = threading.Event()

        async def main() -> None:
            if backend.library == "asyncio":
                # It is by the context that anyio knows in which library it is.
                call = asyncio.get_running_loop().call_soon_threadsafe
                self.soon = partial(call, context=copy_context())
            else:
                lowlevel: Any = importlib.import_module("trio.lowlevel")
                self.soon = lowlevel.current_trio_token().run_sync_soon
            async with anyio.create_task_group() as self._tasks:
                running.set()
                await anyio.sleep_forever()

        def run() -> None:
            options = backend.options
            anyio.run(main, backend=backend.library, backend_options=options)

        # A daemon: if a lock is broken it may be blocked for ever.
        self._thread = threading.Thread(target=run, name=str(backend), daemon=True)
        self._thread.start()
        assert running.wait(PATIENCE)

    def start(self, function: Callable[..., Any], *args: object) -> None:
        """Start a task, from any other thread."""
        self.soon(self._tasks.start_soon, function, *args)

    def let(self, actor: TaskActor) -> None:
        """Return when the actor has begun, and run until it ended or had to wait.

        Or at once if a task may be blocking the loop.
        """
        if self.blocked_by is not None:
            return
        while not actor.begun:
            self._turn()
        self._turn()  # it was seen to have begun, maybe amid the step in which it did

    def _turn(self) -> None:
        turned = threading.Event()
        self.soon(turned.set)
        assert turned.wait(PATIENCE), f"{self.backend} is blocked"

    def end(self, *, broken: bool) -> None:
        self.soon(self._tasks.cancel_scope.cancel)
        if not broken:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), f"{self.backend} did not end"


class TaskActor(Actor):
    """A task."""

    def __init__(
        self, label: str, ended: Callable[[Actor, str], None], loop: Loop
    ) -> None:
        super().__init__(label, ended)
        self.loop = self.home = loop
        self.begun = True
        """Whether it has begun its operation; set and asked for in its loop."""
        self._operation: Any = None
        self._scope: anyio.CancelScope | None = None
        self._called: anyio.Event
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        ready = threading.Event()
        loop.start(self._live, ready)
        assert ready.wait(PATIENCE)

    def _begin(self, operation: Operation) -> None:
        self._operation = operation
        self.begun = False
        self.home.soon(self._call)

    def _call(self) -> None:
        self._called.set()

    def cancel(self, how: HowToCancel = "scope") -> None:
        """Cancel its operation, if it is not over; called in its loop."""
        if self._scope is None:
            return
        if how == "task" and self._task is not None:
            self._cancelled = True
            self._task.cancel()
        else:
            self._scope.cancel()

    def cancel_soon(self, how: HowToCancel = "scope") -> None:
        """Have it cancelled, in its loop; called in any other thread."""
        self.home.soon(self.cancel, how)

    async def _live(self, ready: threading.Event) -> None:
        if self.home.backend.library == "asyncio":
            self._task = asyncio.current_task()
        self._called = anyio.Event()
        ready.set()
        while True:
            await self._called.wait()
            self._called = anyio.Event()
            self._cancelled = False
            outcome = "cancelled"
            try:
                with anyio.CancelScope() as self._scope:
                    self.begun = True
                    outcome = await attempt(self._operation)
            except asyncio.CancelledError:
                if not self._cancelled:
                    raise
                if sys.version_info >= (3, 11) and self._task is not None:
                    self._task.uncancel()
            self._scope = None
            self._end(outcome)


async def get_in(lock: Any, way: str | float, *, by_task: bool) -> bool:
    """Get in by `with` or by `async with`; False if that was not to be in time."""
    taken: bool
    if way == "try":
        taken = lock.try_acquire()
        return taken
    if way == "acquire" and by_task is (lock.kind == "async"):
        acquired: Any = lock.acquire()
        taken = await acquired if by_task else acquired
        return taken
    manager = lock.hold(way) if type(way) is float else lock
    if way == "hold":
        manager = lock.hold()
    if by_task:
        await manager.__aenter__()
    else:
        manager.__enter__()
    return True


async def get_out(lock: Any, way: str, *, by_task: bool) -> None:
    if way == "release":
        lock.release()
    elif by_task:
        await lock.__aexit__(None, None, None)
    else:
        lock.__exit__(None, None, None)


class Violation(AssertionError):  # noqa: N818 - the word for it
    """The lock did what the model rules out, or did not do what it demands."""


def demand(condition: object, *what: object) -> None:
    if not condition:
        raise Violation(" ".join(map(str, what)))


class Waits:
    """Who waits, and who of them may be served; the order that all kinds promise.

    Args:
        several: Whether several may be served at once. They run in any order then, and
            only afterwards can it be told whether one of them overtook another.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.since: dict[Actor, int] = {}
        """By rules; who came by the same rule may have come in any order."""
        self.polite_to: dict[Actor, set[Actor]] = {}
        """Threads that came while the helper of the tasks stood in the turnstile. It
        leaves that with the lock for one of them, or when none of them is left."""
        self._several = several
        self._overtaken: list[tuple[Actor, dict[Actor, int]]] = []
        """Who was served, and who were to be before, or at least one of them."""

    def __contains__(self, actor: Actor) -> bool:
        return actor in self.since

    def __iter__(self) -> Iterator[Actor]:
        return iter(list(self.since))

    def __len__(self) -> int:
        return len(self.since)

    def add(self, actor: Actor, turn: int) -> None:
        self.since[actor] = turn

    def queued(self) -> set[Actor]:
        """Return the tasks; who blocks its loop may or may not be in the queue."""
        return {a for a in self.since if a.loop and a.loop.blocked_by is not a}

    def serve(self, actor: Actor, turn: int) -> None:
        """Let somebody in, who may have waited; check that it overtook nobody."""
        polite_to = self.polite_to.pop(actor, None)
        if polite_to:
            demand(self._several, actor, "passed the turnstile")
            self._overtaken.append((actor, {a: self.since[a] for a in polite_to}))
        loop = actor.loop
        if loop is not None and loop.blocked_by is not actor:
            mine = self.since.pop(actor, turn)
            first = {
                a: its for a, its in self.since.items() if a.loop is loop and its < mine
            }
            demand(self._several or not first, actor, "overtook", [*first])
            self._overtaken += [(actor, {other: its}) for other, its in first.items()]
        self.since.pop(actor, None)
        for tasks in self.polite_to.values():
            if actor in tasks or (loop is not None and loop.blocked_by is actor):
                tasks.clear()

    def judge(self) -> None:
        """Check that nobody was overtaken, now that all who could be served were."""
        for actor, first in self._overtaken:
            waiting = first.items() <= self.since.items()
            demand(not waiting, actor, "overtook", [*first])
        self._overtaken.clear()

    def drop(self, actor: Actor) -> None:
        self.since.pop(actor, None)
        self.polite_to.pop(actor, None)
        for tasks in self.polite_to.values():
            tasks.discard(actor)
