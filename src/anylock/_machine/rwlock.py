"""`MachineRWLock`: processes read a file's lock together, and write alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

from anylock import _parking
from anylock._errors import LockFileError, LockNotHeldError, WouldDeadlock
from anylock._inside import here
from anylock._machine.lock import MachineLock, OnFile
from anylock._machine.lockfile import State
from anylock._machine.mutex import mutex_of
from anylock._machine.rounds import (
    acquire_before_tasks,
    is_had,
    is_here,
    stops_tasks_of,
    task_inside,
)
from anylock._machine.shared import ReadEntrance, entrance_of
from anylock._parking import this_thread
from anylock._rwlock import TwoSided

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from typing_extensions import Self

    from anylock._machine.record import LockHolder


class MachineRWLock(TwoSided["MachineReadLock", "MachineWriteLock"]):
    """A pair of locks on a file: many may hold `read` at a time, or one `write`.

    `write` is `MachineLock(..., fair=True)`, and excludes all that lock the same name
    or path in any way. `read` excludes those that write, and all that use a
    `MachineLock`. Both live through the death of their holders: a reader that dies is
    out, and whoever comes after a writer that died is told by `abandoned`, readers too,
    until somebody has written.

    A writer that waits keeps newcomers from reading, so that a stream of readers does
    not starve it; between processes who waits does so in the order of arrival. This
    holds for fair locks and locks of this class: a `MachineLock` that is not fair has
    no place in the queue, and waits until nobody reads.

    A thread or task that reads may read again at once, and leaves as often. It cannot
    write meanwhile, nor can who writes read: without a time-out, `WouldDeadlock`.

    Everything else is as with `MachineLock`: names and paths, threads, tasks, forks,
    pickling, and what happens to lock files that are deleted.

    Args:
        name: What processes of this user meet by; with `path`, a label only.
        path: The lock file, in its stead.

    Raises:
        TypeError: Neither `name` nor `path` was given, or they are not strings.
        ValueError: `name` is empty or too long.
        ImportError: There is only a name, and `platformdirs` is not installed.
        LockFileError: The private folder is not private, or this is Windows.
    """

    __slots__ = ()

    def __init__(
        self, name: str | None = None, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        self._write = MachineWriteLock(name, path=path)
        self._read = MachineReadLock(name, path=self._write.path)

    @property
    def kind(self) -> Literal["machine"]:
        """The kind of lock, "machine"."""
        return "machine"

    @property
    def path(self) -> str:
        """The path of the lock file."""
        return self._write.path

    def holder(self) -> LockHolder | None:
        """Return who writes, as it said itself; None if nobody does.

        For diagnosis, never for deciding. Who reads is not recorded.

        Raises:
            LockFileError: The lock file cannot be opened.
        """
        return self._write.holder()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by path, so that it is the same lock wherever it arrives."""
        return _arrived, (MachineRWLock, self.name, self.path)

    def __repr__(self) -> str:
        label = "" if self.name is None else f"name={self.name!r} "
        return f"<anylock.MachineRWLock object {label}path={self.path!r}>"


class MachineWriteLock(MachineLock):
    """The side of a `MachineRWLock` that excludes all others.

    Args:
        name: As for `MachineRWLock`.
        path: As for `MachineRWLock`.
    """

    __slots__ = ("_entrance",)

    def __init__(
        self, name: str | None = None, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(name, path=path, fair=True)
        self._entrance = entrance_of(self._path)

    def __enter__(self) -> Self:
        """Wait for the lock, blocking this thread.

        Raises:
            WouldDeadlock: This thread holds the lock itself, or reads, or a task of its
                event loop does.
            LockFileError: The lock file cannot be opened or written.
        """
        self._acquire(True, -1)
        return self

    def _acquire(self, blocking: bool, timeout: float) -> bool:  # noqa: FBT001 - as in threading
        if blocking and timeout == -1:
            self._refuse_readers()
        if blocking and stops_tasks_of(self._entrance) and not is_had(self._mutex):
            return acquire_before_tasks(self._acquire_while, self._entrance, timeout)
        return self._acquire_while(blocking, timeout, None)

    def _refuse_readers(self) -> None:
        reader = self._entrance.readers.witness()
        if reader is None or _parking.runs_elsewhere(reader):
            return
        if reader is this_thread.marker:
            raise WouldDeadlock("this thread reads", "leave that first", self._name)
        reason = "a task of this thread's event loop reads"
        raise WouldDeadlock(reason, "use 'async with' in tasks", self._name)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        if timeout is None and here() in self._entrance.readers:
            raise WouldDeadlock("this task reads", "leave that first", self._name)
        return await super()._enter_task_within(timeout)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by path, so that it is the same lock wherever it arrives."""
        return _arrived, (MachineWriteLock, self._name, self._path)

    def __repr__(self) -> str:
        return super().__repr__().replace("MachineLock", "MachineWriteLock", 1)


class MachineReadLock(OnFile[ReadEntrance]):
    """The side of a `MachineRWLock` that many may hold at a time.

    A try may fail without any writer, while a thread or task of this process comes in.

    Args:
        name: As for `MachineRWLock`.
        path: As for `MachineRWLock`.
    """

    __slots__ = ("_writer",)

    def __init__(
        self, name: str | None = None, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(name, path)
        self._mutex = entrance_of(self._path)
        self._writer = mutex_of(self._path, name, fair=True)
        if sys.platform == "win32":
            why = "it can be shared by flock only, which Windows lacks; use make_lock"
            raise LockFileError(self._path, why)

    @property
    def abandoned(self) -> bool:
        """Whether the last writer died inside; for who reads to ask.

        What the lock protects may be half written then. It stays so until somebody has
        written and left. False when nobody of this process reads.
        """
        return self._mutex.abandoned

    def holder(self) -> LockHolder | None:
        """Return who writes, as it said itself; None if nobody does.

        For diagnosis, never for deciding. Who reads is not recorded.

        Raises:
            LockFileError: The lock file cannot be opened.
        """
        return self._writer.file.holder()

    def locked(self) -> bool:
        """Say whether anybody in any process reads at this moment.

        If nobody in any process holds the lock in any way, and only then, a try by
        somebody else at the very moment of this look fails.

        Raises:
            LockFileError: The lock file cannot be opened.
        """
        entrance = self._mutex
        return bool(entrance.readers) or self._writer.file.look() is State.SHARED

    def _acquire(self, blocking: bool, timeout: float) -> bool:  # noqa: FBT001 - as in threading
        entrance = self._mutex
        actor = here()
        if entrance.try_read(actor):
            return True
        if not blocking:
            return False
        if timeout == -1:
            self._refuse_thread()
        try:
            if not self._acquire_entrance(timeout):
                return False
            entrance.read(actor, entrance.release)
        except BaseException:
            if entrance.owner is this_thread.marker:
                entrance.release()
            raise
        return True

    def _acquire_entrance(self, timeout: float) -> bool:
        if stops_tasks_of(self._writer) and not is_had(self._writer):
            return acquire_before_tasks(self._acquire_while, self._writer, timeout)
        return self._acquire_while(True, timeout, None)

    def _refuse_thread(self) -> None:
        writer = self._writer
        if writer.owner is this_thread.marker:
            raise WouldDeadlock("this thread writes", "release it first", self._name)
        task = task_inside(writer)
        if (
            task is not None
            and task.thread is this_thread.marker
            and not _parking.runs_elsewhere(task.actor)
        ):
            reason = "a task of this thread's event loop writes"
            raise WouldDeadlock(reason, "use 'async with' in tasks", self._name)

    def __enter__(self) -> Self:
        """Wait until nobody writes, blocking this thread.

        Raises:
            WouldDeadlock: This thread writes, or a task of its event loop does.
            LockFileError: The lock file cannot be opened or written.
        """
        self._acquire(True, -1)
        return self

    async def _enter_task_within(self, timeout: float | None) -> bool:
        entrance = self._mutex
        actor = here()
        in_trio = _parking.in_trio()
        if in_trio:
            await _parking.trio_lowlevel.checkpoint_if_cancelled()
        if entrance.try_read(actor):
            if in_trio:
                try:
                    await _parking.trio_lowlevel.cancel_shielded_checkpoint()
                except BaseException:  # closed with its loop: nothing else gets in
                    entrance.leave(actor)
                    raise
            return True
        if timeout is None and is_here(task_inside(self._writer)):
            raise WouldDeadlock("this task writes", "release it first", self._name)
        # The waiting itself begins with a try, and makes the checkpoint.
        try:
            if not await super()._enter_task_within(timeout):
                return False
            entrance.read(actor, self._release)
        except BaseException:
            if is_here(task_inside(entrance)):
                self._release()
            raise
        return True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Leave once; nothing, in a child forked inside of the `with`."""
        entrance = self._mutex
        if entrance.of_the_parent and here() not in entrance.readers:
            entrance.of_the_parent -= 1
            return
        self.release()

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave once; never a checkpoint."""
        self.__exit__(None, None, None)

    def release(self) -> None:
        """Leave once: for this thread or task, or else for somebody of this process.

        Raises:
            LockNotHeldError: Nobody of this process reads.
            LockFileError: The lock file cannot be written; it is unlocked.
        """
        try:
            self._mutex.leave(here())
        except KeyError:
            raise LockNotHeldError(self._name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by path, so that it is the same lock wherever it arrives."""
        return _arrived, (MachineReadLock, self._name, self._path)

    def __repr__(self) -> str:
        state = "read" if self._mutex.readers else "not read here"
        label = "" if self._name is None else f"name={self._name!r} "
        return f"<{state} anylock.MachineReadLock object {label}path={self._path!r}>"


def _arrived(cls: Any, name: str | None, path: str) -> Any:
    return cls(name, path=path)
