"""The actors of a scenario, as they visit a real lock."""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock import LockTimeout, WouldDeadlock

from .inspection import granted_here
from .loops import Asyncio, Trio
from .patches import NoThreadError
from .primitives import Lock

if TYPE_CHECKING:
    from .loops import Flavour
    from .scenarios import Loop, Pauses, Visit, Visits
    from .scheduler import Scheduler


class Section:
    """What the lock protects; notes who is inside.

    Args:
        scheduler: To be told when too many are.
        permits: How many may be.
    """

    def __init__(self, scheduler: Scheduler, permits: int) -> None:
        self._scheduler = scheduler
        self.permits = permits
        self.visits = 0
        self.goods = 0
        """For those who wait for a condition."""
        self._inside: list[object] = []

    def enter(self, who: object) -> None:
        """Go in: a loop's task, or a thread."""
        self._inside.append(who)
        self.visits += 1
        if len(self._inside) > self.permits:
            self._scheduler.fail(f"{len(self._inside)} are inside")

    def leave(self, who: object) -> None:
        """Go out."""
        self._inside.remove(who)

    def has_goods(self) -> bool:
        """Say whether there is anything to consume."""
        return self.goods > 0

    def consume(self, there: bool) -> None:  # noqa: FBT001 - as the wait has returned
        """Consume, if the wait says that it is there."""
        if there != self.has_goods():
            self._scheduler.fail(f"a wait for goods returned {there}")
        self.goods -= there

    def count(self, who: object) -> int:
        """Say how many of them are inside."""
        return self._inside.count(who)


class Actors:
    """Brings the actors to one lock.

    Args:
        scheduler: Runs them.
        lock: The lock, or semaphore.
        section: What it protects.
    """

    def __init__(self, scheduler: Scheduler, lock: Any, section: Section) -> None:
        self._scheduler = scheduler
        self.lock = lock
        self.section = section
        self._collecting = Lock()
        self._kept: list[Any] = []

    def thread(self, visits: Visits) -> None:
        """Be a thread."""
        for visit in visits:
            self._pause(visit.before)
            self.block(visit, object())

    def loop(self, loop: Loop) -> None:
        """Be the thread of an event loop."""
        self._run(loop)
        with self._collecting:  # the collector does not collect twice at once
            gc.collect()

    def _run(self, loop: Loop) -> None:
        flavour: Flavour
        flavour = (Trio if loop.flavour == "trio" else Asyncio)(self._scheduler)
        visitor = _Visitor(self, flavour)
        tasks = [partial(visitor.task, visits) for visits in loop.tasks]
        if isinstance(flavour, Asyncio) and loop.interlude is not None:
            pauses, blocks = loop.interlude
            go_on = flavour.begin(tasks, partial(visitor.pause, pauses))
            for block in blocks:
                visitor.block(block)
            if loop.moves:
                self._scheduler.spawn("moved loop", go_on)
            else:
                go_on()
            return
        if loop.closed is None:
            flavour.run(partial(flavour.together, tasks))
            return
        delay = partial(visitor.until_outside, loop.closed)
        remains: list[Any] = []
        flavour.run(partial(flavour.left, tasks, delay, remains))
        # To whom it was granted before its loop was closed, gives it back when it is
        # garbage. Who only waited, and is referred to for ever, is in nobody's way.
        if loop.kept and not granted_here(self.lock):
            self._kept += remains

    # What both have in common.

    def _pause(self, pauses: Pauses) -> None:
        for seconds in pauses:
            if seconds:
                self._scheduler.sleep(seconds)
            else:
                self._scheduler.pause("an actor")

    def block(self, visit: Visit, who: object) -> None:
        """Make a visit that blocks the thread."""
        # By 'with' itself: an ExitStack finds other methods than those in the slots.
        with suppress(NoThreadError):
            self._block(visit, who)

    def _block(self, visit: Visit, who: object) -> None:
        lock = self.lock
        if visit.way == "try":
            if lock.try_acquire():
                try:
                    self._stay(visit, who)
                finally:
                    lock.release()
        elif visit.timeout is None:
            with lock:
                self._stay(visit, who)
        else:
            with suppress(LockTimeout), lock.hold(visit.timeout):
                self._stay(visit, who)

    def _stay(self, visit: Visit, who: object) -> None:
        self.section.enter(who)
        try:
            if visit.again:
                with self.lock:
                    self._act(visit, who)
            else:
                self._act(visit, who)
        finally:
            self.section.leave(who)

    def _act(self, visit: Visit, who: object) -> None:
        section = self.section
        self._pause(visit.inside)
        self.produce(visit)
        if visit.consumes is not None:
            section.leave(who)
            try:
                there = self.lock.wait_for(section.has_goods, visit.consumes)
            finally:  # however it ends, it ends with the lock
                section.enter(who)
            section.consume(there)

    def produce(self, visit: Visit) -> None:
        """Produce, and notify one for each."""
        for _ in range(visit.produces):
            self.section.goods += 1
            self.lock.notify()


class _Visitor:
    """The tasks of one event loop."""

    def __init__(self, actors: Actors, flavour: Flavour) -> None:
        self._actors = actors
        self._flavour = flavour
        self._visiting = 0
        """How many tasks are inside or on their way in."""

    async def task(self, visits: Visits) -> None:
        for visit in visits:
            await self.pause(visit.before)
            visiting = partial(self._visit, visit)
            if visit.cancelled is None:
                await visiting()
            else:
                delay = partial(self.pause, visit.cancelled)
                await self._flavour.cancelled(visiting, delay)

    async def until_outside(self, pauses: Pauses) -> None:
        """Pause, and wait until no task of this loop is inside.

        Who is closed inside of a lock has it for ever, of whatever sort it is.
        """
        await self.pause(pauses)
        while self._actors.section.count(self):
            await self._flavour.sleep(0.001)

    async def pause(self, pauses: Pauses) -> None:
        """Let others run."""
        for seconds in pauses:
            if seconds:
                await self._flavour.sleep(seconds)
            else:
                await self._flavour.turn()

    async def _visit(self, visit: Visit) -> None:
        if visit.way == "block":
            self.block(visit)
            return
        self._visiting += 1
        try:
            with suppress(NoThreadError):
                await self._enter(visit)
        finally:
            self._visiting -= 1

    def block(self, visit: Visit) -> None:
        """Block the thread of the loop."""
        section = self._actors.section
        try:
            self._actors.block(visit, object())
        except WouldDeadlock:
            # On trio a task has it from before its checkpoint, which it then makes.
            on_trio = isinstance(self._flavour, Trio)
            holders = self._visiting if on_trio else section.count(self)
            if holders < section.permits:
                raise

    async def _enter(self, visit: Visit) -> None:
        lock = self._actors.lock
        if visit.way == "try":
            if lock.try_acquire():
                try:
                    await self._stay(visit)
                finally:
                    lock.release()
        elif visit.timeout is None:
            async with lock:
                await self._stay(visit)
        else:
            with suppress(LockTimeout):
                async with lock.hold(visit.timeout):
                    await self._stay(visit)

    async def _stay(self, visit: Visit) -> None:
        lock, section = self._actors.lock, self._actors.section
        section.enter(self)
        try:
            if visit.again == "async with":
                async with lock:
                    await self._act(visit)
            elif visit.again:
                with lock:
                    await self._act(visit)
            else:
                await self._act(visit)
        finally:
            section.leave(self)

    async def _act(self, visit: Visit) -> None:
        lock, section = self._actors.lock, self._actors.section
        await self.pause(visit.inside)
        self._actors.produce(visit)
        if visit.consumes is not None:
            section.leave(self)
            try:
                there = await lock.async_wait_for(section.has_goods, visit.consumes)
            finally:  # however it ends, it ends with the lock
                section.enter(self)
            section.consume(there)
