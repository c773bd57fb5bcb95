"""What a worker does: it comes in by one way or the other, at random, and updates."""

from __future__ import annotations

import sys
import traceback
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from random import Random
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from anylock import LockTimeout, WouldDeadlock
from anylock._soak.board import Row
from anylock._soak.forks import fork_inside, fork_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anylock._soak.board import Board
    from anylock._soak.subjects import Subject

_MOMENTS = (0.0, 1e-6, 1e-3, 0.1)
"""Seconds after which workers give up, if they do."""


@dataclass(frozen=True)
class Crew:
    """What the workers of one process share."""

    subject: Subject
    lock: Any
    readers: Any
    """The lock to read by, if there is one."""
    board: Board
    seed: str
    """What their choices are drawn from."""
    ends: float
    """When this process ends, by the monotonic clock."""
    patience: float
    """Seconds after which something is taken never to happen."""
    forks: bool
    """Whether they fork."""
    report: Callable[[str], None]
    """Takes what must never happen, and has; the round ends then."""

    @property
    def over(self) -> bool:
        """Whether nobody begins anything more."""
        return self.board.over or monotonic() > self.ends

    @property
    def told(self) -> bool:
        """Whether the lock tells who is inside that the last one there has died."""
        return self.subject.on_file and self.lock.abandoned

    def guarded(self, work: Callable[[], object]) -> None:
        """Do some work, and report what it raises."""
        try:
            work()
        except Exception:  # noqa: BLE001 - that is what a soak is for
            self.report(traceback.format_exc())


class Worker:
    """A thread or a task that uses the lock.

    Args:
        crew: With whom it works.
        number: Its row on the board.
        doomed: Whether it is a task whose event loop will be closed in the middle. Such
            a one does without cancel scopes, which would notice, and without waiting
            inside: it would stay there.
    """

    def __init__(self, crew: Crew, number: int, *, doomed: bool = False) -> None:
        self.crew = crew
        self.doomed = doomed
        self.row = Row(crew.board, number)
        self.random = Random(f"{crew.seed}/{number}")  # noqa: S311 - no secrets here

    def work(self) -> None:
        """Work until the round is over, in a thread without an event loop."""
        while not self.crew.over:
            if self.crew.forks and self._chance(0.01):
                fork_outside(self.crew, self.row).join()
                self.row.suffers("fork")
            self.attempt("with", "hold", "try")
            if self.crew.readers is not None:
                self._attempt(self.crew.readers, self._look, "with", "hold", "try")
            if self._chance(0.1):
                sleep(self.random.choice([0.0, 1e-3]))

    async def work_in_task(self) -> None:
        """Work until the round is over, in a task."""
        try:
            while not self.crew.over:
                await self.attempt_in_task()
                if self.crew.readers is not None:
                    await self._attempt_in_task(self.crew.readers, self._look_as_task)
                await checkpoint()
                if not self.doomed and self._chance(0.1):
                    await self._odd_job()
        except Exception as error:  # noqa: BLE001 - that is what a soak is for
            # The garbage collector closes our coroutines in any order: in the middle of
            # that of an inner one, the outer one may be closed as well.
            if not (self.doomed and "already executing" in str(error)):
                self.crew.report(traceback.format_exc())

    async def _odd_job(self) -> None:
        """What tasks do now and then: `with`, where it is allowed, and forks."""
        subject = self.crew.subject
        if not subject.threads:
            await anyio.to_thread.run_sync(self.attempt, "with", "hold", "try")
        elif self.crew.forks and self._chance(0.05):
            child = fork_outside(self.crew, self.row)
            with anyio.CancelScope(shield=True):
                # The child may wait for what was granted to a task of this loop.
                while not child.ended():  # noqa: ASYNC110 - nobody tells us
                    await anyio.sleep(1e-3)
            self.row.suffers("fork")
        else:
            ways = ["with"] * subject.blocks_loops + ["hold", "try"]
            try:
                self.attempt(*ways, waits=False)
            except WouldDeadlock:
                self.row.suffers("deadlock told")

    def attempt(self, *ways: str, waits: bool = True) -> None:
        """Come in as a thread does, by one of these ways, if that succeeds."""
        self._attempt(self.crew.lock, partial(self._inside, waits=waits), *ways)

    def _attempt(self, lock: Any, inside: Callable[[], object], *ways: str) -> None:
        way = self.random.choice(ways)
        self.row.wants()
        try:
            if way == "with":
                with lock:
                    inside()
            elif way == "hold":
                with lock.hold(self._moment()):
                    inside()
            elif lock.try_acquire():
                try:
                    inside()
                finally:
                    lock.release()
        except LockTimeout:
            self.row.suffers("time-out")
        finally:
            self.row.gives_up()

    async def attempt_in_task(self) -> None:
        """Come in as a task does, by one way or the other, if that succeeds."""
        await self._attempt_in_task(self.crew.lock, self._inside_as_task)

    async def _attempt_in_task(
        self, lock: Any, inside: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        ways = ["async with", "hold"]
        ways += ["cancelled"] * (not self.doomed)
        # The way out of a condition knows if it was closed amid a wait; release() not.
        ways += ["try"] * (not (self.doomed and self.crew.subject.waits))
        way = self.random.choice(ways)
        self.row.wants()
        try:
            if way == "async with":
                async with lock:
                    await inside()
            elif way == "hold":
                async with lock.hold(self._moment()):
                    await inside()
            elif way == "cancelled":
                with anyio.move_on_after(self._moment()) as scope:
                    async with lock:
                        await inside()
                if scope.cancelled_caught:
                    self.row.suffers("cancellation")
            elif lock.try_acquire():
                try:
                    await self._inside_after_try(lock)
                finally:
                    lock.release()
        except LockTimeout:
            self.row.suffers("time-out")
        finally:
            self.row.gives_up()

    def visit(self) -> None:
        """Update the record, as a thread."""
        with closing(self.row.visit("with", told=self.crew.told)) as steps:
            for _ in steps:
                if self._chance(0.05):
                    sleep(self.random.choice([0.0, 1e-4]))

    def _inside(self, *, waits: bool) -> None:
        self.visit()
        if self.crew.subject.reentrant and self._chance(0.3):
            with self.crew.lock:
                self.visit()
        if self.crew.subject.waits and waits and self.crew.subject.threads:
            self.crew.lock.notify(self.random.choice([1, 2]))
            if self._chance(0.3):
                self.crew.lock.wait(self._moment())
                self.visit()
        self._maybe_fork_inside()

    async def _inside_as_task(self) -> None:
        await self._visit_as_task()
        lock = self.crew.lock
        if self.crew.subject.reentrant and self._chance(0.3):
            async with lock:
                await self._visit_as_task()
            if self.crew.subject.threads:
                with lock:
                    self.visit()
        if self.crew.subject.waits:
            lock.notify(self.random.choice([1, 2]))
            if self._chance(0.3):
                await lock.async_wait(self._moment())
                await self._visit_as_task()
        self._maybe_fork_inside()

    async def _inside_after_try(self, lock: Any) -> None:
        # Nobody knows which task that was. So if it waited here, a `with` in its own
        # thread would end neither by the lock nor by an error.
        if lock is self.crew.readers:
            self._look()
        elif self.crew.subject.blocks_loops:
            self._inside(waits=False)
        else:
            await self._inside_as_task()

    async def _visit_as_task(self) -> None:
        with closing(self.row.visit("async with", told=self.crew.told)) as steps:
            for _ in steps:
                if not self.doomed and self._chance(0.2):
                    await anyio.sleep(self.random.choice([0.0, 0.0, 1e-4]))

    def _look(self) -> None:
        told = self.crew.subject.on_file and self.crew.readers.abandoned
        with closing(self.row.look("with", told=told)) as steps:
            for _ in steps:
                if self._chance(0.05):
                    sleep(self.random.choice([0.0, 1e-4]))

    async def _look_as_task(self) -> None:
        told = self.crew.subject.on_file and self.crew.readers.abandoned
        with closing(self.row.look("async with", told=told)) as steps:
            for _ in steps:
                if not self.doomed and self._chance(0.2):
                    await anyio.sleep(self.random.choice([0.0, 0.0, 1e-4]))

    def _maybe_fork_inside(self) -> None:
        if self.crew.forks and self._chance(0.003):
            child = fork_inside(self.crew, self.row)
            if child is not None:
                child.join()
                self.row.suffers("fork")

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _moment(self) -> float:
        return self.random.choice(_MOMENTS)


def report_what_nobody_catches(crew: Crew) -> None:
    """Report what is raised in finalizers and in threads that are not the crew's."""

    def unraisable(raised: sys.UnraisableHookArgs) -> None:
        error = raised.exc_value
        lines = traceback.format_exception(raised.exc_type, error, raised.exc_traceback)
        crew.report(f"{raised.err_msg} {raised.object!r}\n{''.join(lines)}")

    sys.unraisablehook = unraisable
