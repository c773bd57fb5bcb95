"""Event loops that a scheduler runs: their clock is its own, and so is their order."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from anylock import _parking

from .primitives import Primitive

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from .scheduler import Scheduler

    Act = Callable[[], Coroutine[Any, Any, None]]

HAVE_TRIO = importlib.util.find_spec("trio") is not None

_FOR_EVER = 10_000.0
"""Seconds beyond which a loop has nothing to wait for; trio asks for a day then."""


class Flavour(Protocol):
    """What scenarios need of an event loop."""

    def run(self, main: Act) -> None:
        """Run it in this thread, to the end of `main`, and close it."""
        ...

    async def turn(self) -> None:
        """Let other tasks run."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        ...

    async def together(self, tasks: Sequence[Act]) -> None:
        """Run tasks to their ends."""
        ...

    async def cancelled(self, task: Act, delay: Act) -> None:
        """Run a task that is cancelled when `delay` is over."""
        ...

    async def left(self, tasks: Sequence[Act], delay: Act, remains: list[Any]) -> None:
        """Run tasks until `delay` is over, and do not wait for them any longer.

        What is left of them is put into `remains`. That is no attribute, because it
        must not be reached from them: while one of them is queued for the lock, what
        it refers to is no garbage.
        """
        ...


class SeededLoop(asyncio.BaseEventLoop):
    """An asyncio loop whose callbacks run in the order that the seed wants.

    It waits by the scheduler, and for nothing but callbacks.
    """

    _ready: Any

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._shuffles = scheduler.random.random() < 0.7  # noqa: PLR2004 - most do
        self._selector = self
        self.set_exception_handler(self._complain)
        if sys.version_info >= (3, 12) and scheduler.random.random() < 0.3:  # noqa: PLR2004 - some
            self.set_task_factory(asyncio.eager_task_factory)

    def time(self) -> float:
        """Tell the scheduler's time."""
        return self._scheduler.now

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for callbacks, in the place of a selector."""
        if timeout is None or timeout > 0:
            self._scheduler.wait(lambda: bool(self._ready), timeout)
        else:
            self._scheduler.pause("a turn of asyncio")
        return []

    def _process_events(self, _events: list[Any]) -> None:
        if self._shuffles:
            ready = list(self._ready)
            self._scheduler.random.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)

    def _write_to_self(self) -> None:
        pass  # who waits for callbacks is asked at each decision

    def _complain(self, _loop: Any, context: dict[str, Any]) -> None:
        if "was destroyed but it is pending" not in context["message"]:
            self._scheduler.fail(f"asyncio: {context}")


class _LeftAtOnce(SystemExit):
    """Ends an asyncio loop before it runs anybody else, as an interrupt does."""


class Asyncio:
    """Tasks of asyncio."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def run(self, main: Act) -> None:
        """Run it in this thread, to the end of `main`, and close it as it is."""
        loop = SeededLoop(self._scheduler)
        try:
            with suppress(_LeftAtOnce):
                loop.run_until_complete(main())
        finally:
            loop.close()

    def begin(self, tasks: Sequence[Act], delay: Act) -> Callable[[], None]:
        """Run tasks until `delay` is over; give what runs them to their ends.

        That may be called in another thread.
        """
        loop = SeededLoop(self._scheduler)
        running = [loop.create_task(task()) for task in tasks]
        loop.run_until_complete(delay())

        async def rest() -> None:
            for task in running:
                await task

        def go_on() -> None:
            try:
                loop.run_until_complete(rest())
            finally:
                loop.close()

        return go_on

    async def turn(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)

    async def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        await asyncio.sleep(seconds)

    async def together(self, tasks: Sequence[Act]) -> None:
        """Run tasks to their ends."""
        for running in [asyncio.ensure_future(task()) for task in tasks]:
            await running

    async def cancelled(self, task: Act, delay: Act) -> None:
        """Run a task that is cancelled when `delay` is over."""
        running = asyncio.ensure_future(task())
        await delay()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async def left(self, tasks: Sequence[Act], delay: Act, remains: list[Any]) -> None:
        """Run tasks until `delay` is over, and leave them where they are."""
        running = [asyncio.ensure_future(task()) for task in tasks]
        remains += running
        await delay()
        for task in running:
            if task.done():
                await task
        raise _LeftAtOnce


class Trio:
    """Tasks of trio."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._trio: Any = importlib.import_module("trio")

    def run(self, main: Act) -> None:
        """Run it in this thread, to the end of `main`."""
        self._trio.run(main, clock=Clock(self._scheduler))

    async def turn(self) -> None:
        """Let other tasks run."""
        await self._trio.lowlevel.checkpoint()

    async def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        await self._trio.sleep(seconds)

    async def together(self, tasks: Sequence[Act]) -> None:
        """Run tasks to their ends."""
        async with self._trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)

    async def cancelled(self, task: Act, delay: Act) -> None:
        """Run a task that is cancelled when `delay` is over."""
        scope = self._trio.CancelScope()

        async def within() -> None:
            with scope:
                await task()

        async with self._trio.open_nursery() as nursery:
            nursery.start_soon(within)
            await delay()
            scope.cancel()

    async def left(self, tasks: Sequence[Act], delay: Act, _remains: list[Any]) -> None:
        """Run tasks until `delay` is over, and cancel them then, as trio has it."""
        scopes = [self._trio.CancelScope() for _ in tasks]

        async def within(scope: Any, task: Act) -> None:
            with scope:
                await task()

        async with self._trio.open_nursery() as nursery:
            for scope, task in zip(scopes, tasks, strict=True):
                nursery.start_soon(within, scope, task)
            await delay()
            # One by one: within one scope their order would be that of a set.
            for scope in scopes:
                scope.cancel()


class Clock:
    """The scheduler's time, as trio wants it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def start_clock(self) -> None:
        """Begin; it runs already."""

    def current_time(self) -> float:
        """Tell the time."""
        return self._scheduler.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Say how long it is to a deadline."""
        return deadline - self._scheduler.now


def install_trio() -> None:
    """Have trio wait by the scheduler; its order is drawn from `seed_trio`."""
    if not HAVE_TRIO:
        return
    core: Any = importlib.import_module("trio._core._run")
    _parking.in_trio()  # which takes another way when it meets trio
    manager = core.TheIOManager
    poll = manager.get_events

    def get_events(self: Any, timeout: float) -> Any:
        # What is polled is told only once, so that it must not be polled in vain.
        found: list[Any] = []

        def ready() -> bool:
            if not found:
                found.extend(poll(self, 0))
            return bool(found)

        scheduler = Primitive.scheduler
        if timeout <= 0:
            scheduler.pause("a turn of trio")
            ready()
        else:
            scheduler.wait(ready, None if timeout > _FOR_EVER else timeout)
        return found

    manager.get_events = get_events


def seed_trio(random: Any) -> None:
    """Have trio shuffle its tasks by this."""
    if HAVE_TRIO:
        core: Any = importlib.import_module("trio._core._run")
        core._ALLOW_DETERMINISTIC_SCHEDULING = True
        core._r = random
