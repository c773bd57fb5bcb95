"""Debug locks of the kind "process"."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from anylock._process.condition import ProcessCondition
from anylock._process.lock import ProcessLock
from anylock._process.rlock import ProcessRLock
from anylock._process.semaphore import ProcessBoundedSemaphore, ProcessSemaphore
from anylock.debug._around import Around, DebugBlocking, DebugPermits, around
from anylock.debug._board import Board
from anylock.debug._notices import DebugNotices, await_notice
from anylock.debug._ways import enter

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext

    from anylock.debug._stacks import Site
    from anylock.debug._stats import Who


class DebugProcess(DebugBlocking):
    """What debug locks between processes share."""

    __slots__ = ()

    if not TYPE_CHECKING:
        # What `multiprocessing` asks of a lock that it is given.
        _semlock = property(attrgetter("_plain._semlock"))
        _is_fork_ctx = property(attrgetter("_plain._is_fork_ctx"))

    def acquire(
        self,
        block: bool = True,  # noqa: FBT001, FBT002 - multiprocessing's signature
        timeout: float | None = None,
        *,
        blocking: bool | None = None,
    ) -> bool:
        """Acquire the lock as `multiprocessing.Lock.acquire` does."""
        if block is True and timeout is None and blocking is None:
            return self._enter(None, scoped=False)
        plain = self._plain
        return enter(
            self._record,
            partial(plain.acquire, blocking=blocking),
            (block, timeout),
            plain.release,
            waits=bool(block if blocking is None else blocking),
            limited=timeout is not None,
        )

    def _attempt(self) -> Callable[[bool], Any] | None:
        plain = self._plain
        if plain._careful_bridge() is not None:  # noqa: SLF001 - ours
            return None
        attempt: Callable[[bool], Any] = plain._semlock.acquire  # noqa: SLF001
        return attempt

    def _wrap(self, plain: Any, site: Site | None = None) -> None:
        super()._wrap(plain, site)
        if not self.shared:
            self._record.board = Board()

    def __reduce__(self) -> Any:
        _, arguments = super().__reduce__()
        return _arrived, (*arguments, self._record.board)

    def _elsewhere(self) -> Who | None:
        board = self._record.board
        return board.read() if board is not None and self._plain.locked() else None


def _arrived(cls: Any, plain: Any, site: Site, board: Board | None) -> Any:
    lock = around(cls, plain, site)
    lock.record.board = board
    return lock


class DebugProcessLock(DebugProcess, ProcessLock, metaclass=Around):
    """A `ProcessLock` that knows who of this process holds it and waits for it."""


class DebugProcessRLock(DebugProcess, ProcessRLock, metaclass=Around):
    """A `ProcessRLock` that knows who of this process holds it and waits for it."""

    family = "RLock"
    reentrant = True


class DebugProcessSemaphore(
    DebugPermits, DebugProcess, ProcessSemaphore, metaclass=Around
):
    """A `ProcessSemaphore` that knows who of this process took permits or waits."""


class DebugProcessBoundedSemaphore(
    DebugPermits, DebugProcess, ProcessBoundedSemaphore, metaclass=Around
):
    """A `ProcessBoundedSemaphore` that knows who of this process took permits."""

    family = "BoundedSemaphore"


class DebugProcessCondition(DebugNotices, ProcessCondition):
    """A `ProcessCondition` that knows who of this process waits to be notified."""

    def __init__(
        self,
        lock: ProcessLock | ProcessRLock | None = None,
        name: str | None = None,
        *,
        context: BaseContext | None = None,
    ) -> None:
        if lock is None:
            lock = DebugProcessRLock(name, context=context)
        super().__init__(lock, name, context=context)
        self._record = self._new_record()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        super().__setstate__(state)
        self._record = self._new_record()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, block this thread until notified, and take it again."""
        wait = partial(super().wait, timeout)
        return await_notice(self._record, wait, limited=timeout is not None)
