"""Those who contend for the lock: threads, tasks elsewhere, tasks of our own loop."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.lowlevel

from anylock.testing._stage import GRACE, TURNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self

    from anylock import Hold, Lock
    from anylock.testing._stage import LoopThread, Stage

Flavour = Literal["scope", "native"]
"""How a task is started and cancelled: by anyio, or by asyncio itself.

The two differ in what a lock has to stand. anyio does not cancel a task that is about
to run, `asyncio.Task.cancel` does; and an eager task factory has no hold over tasks of
anyio.
"""


def flavours(stage: Stage) -> tuple[Flavour, ...]:
    """Return the ways to cancel that the event loop of the stage has."""
    return ("scope", "native") if stage.backend.library == "asyncio" else ("scope",)


def ways_in(lock: Lock) -> tuple[Callable[[], Lock | Hold], ...]:
    """Return what makes the managers by which one may enter the lock."""
    return lambda: lock, lock.hold, lambda: lock.hold(timeout=60)


async def settle() -> None:
    """Let all tasks of this event loop get as far as they can without help."""
    for _ in range(TURNS):
        await anyio.lowlevel.checkpoint()


class Participant:
    """A thread, or a task elsewhere, that wants the lock and stays until told to leave.

    Attributes:
        inside: Set when it has got the lock.
        outcome: How it ended.
    """

    outcome: Future[None]

    def __init__(self, stage: Stage, manager: Lock | Hold, who: str) -> None:
        self.inside = threading.Event()
        self._stage = stage
        self._manager = manager
        self._who = who

    def leave(self) -> None:
        """Tell it to leave."""
        raise NotImplementedError

    def expect_inside(self, when: str) -> None:
        """Wait until it is inside."""
        while not self.inside.wait(0.001) and not self.outcome.done():
            if not self._stage.left:
                break
        if self.outcome.done():
            self.outcome.result()
        self._stage.until_set(
            self.inside, f"{self._who} should have got the lock {when}"
        )

    def expect_outside(self, when: str) -> None:
        """Watch for a moment that it does not get in."""
        if self.inside.wait(GRACE):
            self._stage.fail(f"{self._who} got the lock {when}")
        if self.outcome.done():
            self.outcome.result()

    def finish(self) -> None:
        """Tell it to leave, and wait until it is gone."""
        self.leave()
        self._stage.result(self.outcome, f"{self._who} should have left the lock")


class InThread(Participant):
    """A thread that wants the lock by `with`."""

    def __init__(
        self, stage: Stage, manager: Lock | Hold, who: str = "a thread"
    ) -> None:
        super().__init__(stage, manager, who)
        self._leaving = threading.Event()
        stage.at_end.append(self._leaving.set)
        self.outcome = stage.start(self._run)

    def _run(self) -> None:
        with self._manager:
            self.inside.set()
            self._leaving.wait()

    def leave(self) -> None:
        """Tell it to leave."""
        self._leaving.set()


class InTask(Participant):
    """A task, of an event loop in another thread, that wants it by `async with`."""

    _scope: anyio.CancelScope
    _leaving: anyio.Event

    def __init__(
        self,
        stage: Stage,
        manager: Lock | Hold,
        who: str = "a task",
        loop: LoopThread | None = None,
    ) -> None:
        super().__init__(stage, manager, who)
        self._loop = loop or stage.loop
        self._started = threading.Event()
        self.outcome = self._loop.start(self._run)
        stage.until_set(self._started, f"{who} should have started")

    async def _run(self) -> None:
        self._leaving = anyio.Event()
        with anyio.CancelScope() as self._scope:
            self._started.set()
            async with self._manager:
                self.inside.set()
                await self._leaving.wait()

    def leave(self) -> None:
        """Tell it to leave."""
        self._loop.start(self._leaving.set)

    def cancel(self) -> None:
        """Cancel it, and wait until it is gone."""
        self._loop.start(self._scope.cancel)
        self._stage.result(self.outcome, f"{self._who} should have been cancelled")


class Contender:
    """A task of our own event loop that wants the lock, and stays until told to leave.

    Attributes:
        state: What has become of it so far.
        error: What it failed with.
        seconds: How long that took.
    """

    def __init__(self, manager: Lock | Hold, errors: type[Exception] | None) -> None:
        self.state: Literal["waiting", "inside", "left", "cancelled", "failed"] = (
            "waiting"
        )
        self.error: Exception | None = None
        self.seconds = 0.0
        self.task: asyncio.Task[None] | None = None
        self._manager = manager
        self._errors = errors
        self._leaving = anyio.Event()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        began = monotonic()
        try:
            with self._scope:
                async with self._manager:
                    self.state = "inside"
                    await self._leaving.wait()
                self.state = "left"
            if self._scope.cancelled_caught:
                self.state = "cancelled"
        except anyio.get_cancelled_exc_class():
            # By asyncio itself, or by a lock that should not. Nothing is left to do.
            self.state = "cancelled"
        except Exception as error:  # noqa: BLE001 - reported by until() of the crowd
            self.error = error
            self.state = "failed"
            self.seconds = monotonic() - began

    @property
    def unexpected(self) -> Exception | None:
        """What it failed with and should not have."""
        if self._errors is not None and isinstance(self.error, self._errors):
            return None
        return self.error

    def leave(self) -> None:
        """Tell it to leave, as soon as it is inside."""
        self._leaving.set()

    def cancel(self) -> None:
        """Cancel it, in the way that goes with how it was started."""
        if self.task is None:
            self._scope.cancel()
        else:
            self.task.cancel()

    def note_cancellation(self, task: asyncio.Task[None]) -> None:
        """Find that the task of asyncio was cancelled, perhaps before it ever ran."""
        if task.cancelled():
            self.state = "cancelled"


class Crowd:
    """The contenders of one event loop; at the end they are cancelled."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._group = anyio.create_task_group()
        self._contenders: list[Contender] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        self._group.cancel_scope.cancel()
        bare = [c.task for c in self._contenders if c.task is not None]
        for task in bare:
            task.cancel()
        if bare:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(bare, timeout=self._stage.left)
        return await self._group.__aexit__(exc_type, exc_value, traceback)

    def add(
        self,
        manager: Lock | Hold,
        flavour: Flavour = "scope",
        *,
        errors: type[Exception] | None = None,
    ) -> Contender:
        """Start a task that wants the lock; it may fail with these errors."""
        contender = Contender(manager, errors)
        self._contenders.append(contender)
        if flavour == "native":
            contender.task = asyncio.get_running_loop().create_task(contender.run())
            contender.task.add_done_callback(contender.note_cancellation)
        else:
            self._group.start_soon(contender.run)
        return contender

    async def join(
        self,
        manager: Lock | Hold,
        flavour: Flavour = "scope",
        *,
        errors: type[Exception] | None = None,
    ) -> Contender:
        """Start a task as `add` does, and let it come to where it waits."""
        # Otherwise trio runs the tasks that were started together in any order.
        contender = self.add(manager, flavour, errors=errors)
        await settle()
        return contender

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Let others run until it is so; `what` says what should have happened."""

        def met() -> bool:
            for contender in self._contenders:
                error = contender.unexpected
                if error is not None:
                    self._stage.fail(f"a task that wanted it failed: {error!r}", error)
            return condition()

        await self._stage.until(met, what)

    async def until_state(
        self, contenders: Contender | list[Contender], *states: str, what: str
    ) -> None:
        """Let others run until all contenders are in one of the states."""
        awaited = contenders if isinstance(contenders, list) else [contenders]
        await self.until(lambda: all(c.state in states for c in awaited), what)

    async def finish(self, contender: Contender, who: str = "a task") -> None:
        """Wait until the contender is inside, tell it to leave, wait for that."""
        await self.until_state(
            contender, "inside", what=f"{who} should have got the lock"
        )
        contender.leave()
        await self.until_state(contender, "left", what=f"{who} should have left it")
