"""`MachineLock`: a lock that processes find by its name, on a lock file."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from anylock._bridged import Bridged
from anylock._errors import LockNotHeldError, WouldDeadlock
from anylock._hold import checked_name
from anylock._machine.mutex import FileMutex, Mutex, mutex_of
from anylock._machine.names import path_of
from anylock._parking import this_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from anylock._bridge.lock import LockBridge
    from anylock._machine.record import LockHolder


M = TypeVar("M", bound=Mutex)


class OnFile(Bridged["LockBridge"], Generic[M]):
    """What the locks on files share: where they are, and how they are waited for."""

    __slots__ = ("__weakref__", "_mutex", "_name", "_path")

    _copied_by_fork = False
    if TYPE_CHECKING:
        _mutex: M

    def __init__(
        self, name: str | None, path: str | os.PathLike[str] | None = None
    ) -> None:
        self._name = checked_name(name)
        if path is not None:
            path = os.fspath(path)
            if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                message = f"path must be a string or a path of strings, not {path!r}"
                raise TypeError(message)
            # Links are followed in the folder, never at the file itself.
            file = Path(path)
            self._path = str(file.parent.resolve() / file.name)
        elif name is not None:
            self._path = path_of(name)
        else:
            message = "a lock of kind 'machine' needs a name= or a path= to meet by"
            raise TypeError(message)

    @property
    def kind(self) -> Literal["machine"]:
        """The kind of lock, "machine"."""
        return "machine"

    @property
    def name(self) -> str | None:
        """The name given to the constructor, or None."""
        return self._name

    @property
    def path(self) -> str:
        """The path of the lock file."""
        return self._path

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire the lock as `threading.Lock.acquire` does.

        Args:
            blocking: False tries once.
            timeout: Seconds to wait at most; -1 waits for ever.

        Returns:
            Whether the lock was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for this thread, or for a task of it.
            LockFileError: The lock file cannot be opened or written.
            ValueError: As in `threading`: `timeout` is negative, or given together
                with `blocking=False`.
            OverflowError: As in `threading`: `timeout` is beyond
                `threading.TIMEOUT_MAX`.
        """
        if timeout != -1:
            if not blocking:
                message = "can't specify a timeout for a non-blocking call"
                raise ValueError(message)
            if not timeout >= 0:
                message = "timeout value must be a non-negative number"
                raise ValueError(message)
            if timeout > TIMEOUT_MAX:
                message = "timeout value is too large"
                raise OverflowError(message)
        return self._acquire(blocking, timeout)

    def _acquire(self, blocking: bool, timeout: float) -> bool:  # noqa: FBT001 - as above
        return self._acquire_while(blocking, timeout, None)

    def _acquire_while(
        self,
        blocking: bool,  # noqa: FBT001 - as above
        timeout: float,
        awaited: Callable[[], bool] | None,
    ) -> bool:
        mutex = self._mutex
        bridge = None if mutex.bridge is None else self._careful_bridge()
        if bridge is None:
            return mutex.acquire(blocking, timeout, awaited=awaited)
        if not blocking:
            got = bridge.try_block()
        elif timeout != -1:
            got = bridge.block_while(timeout, self._name, awaited)
        elif mutex.owner is this_thread.marker:
            raise WouldDeadlock("this thread holds it", "release it first", self._name)
        else:
            got = bridge.block_while(None, self._name, awaited)
        # Whoever got it for us, the helper thread or a task, could not sign for us. And
        # no call before the `try`: a signal handler may raise on the way into it.
        if got:
            try:
                mutex.sign(True)
            except BaseException:
                self._release()
                raise
        return got

    def _enter_within(self, timeout: float | None) -> bool:
        return self.acquire(True, -1 if timeout is None else timeout)

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken.

        Raises:
            LockFileError: The lock file cannot be opened or written.
        """
        return self.acquire(False)

    async def __aenter__(self) -> Self:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - the others give None
        """Wait for the lock without blocking the event loop.

        The loop may be of asyncio or trio, and may be another one each time. A
        cancelled wait leaves nothing behind. On trio this is a checkpoint, on
        asyncio only when it has to wait.

        Raises:
            WouldDeadlock: The running task holds the lock itself.
            LockFileError: The lock file cannot be opened or written.
        """
        await self._enter_task_within(None)
        return self

    async def _enter_task_within(self, timeout: float | None) -> bool:
        entered = await super()._enter_task_within(timeout)
        if entered:
            try:
                self._mutex.sign(False)
            except BaseException:
                self._release()
                raise
        return entered

    def release(self) -> None:
        """Release the lock, from any thread of the process that holds it.

        Raises:
            LockNotHeldError: This process does not hold it.
        """
        mutex = self._mutex
        bridge = None if mutex.bridge is None else self._careful_bridge()
        if bridge is not None and bridge.holder is not None:
            self._leave_task(bridge)
            return
        try:
            mutex.release()
        except RuntimeError:
            raise LockNotHeldError(self._name) from None

    _release = release
    """That of what was acquired here, whatever a subclass makes of `release`."""

    # The bridge is that of the mutex: all locks of the same path are one.

    @property
    def _bridge(self) -> LockBridge | None:
        return self._mutex.bridge

    @_bridge.setter
    def _bridge(self, bridge: LockBridge | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - a slot elsewhere
        self._mutex.bridge = bridge

    def _new_bridge(self) -> LockBridge:
        from anylock._machine.bridge import MachineBridge  # noqa: PLC0415 - when a task comes

        return MachineBridge(self._mutex)

    def _make_bridge(self) -> LockBridge:
        bridge = super()._make_bridge()
        # At the end a helper must not die with the lock: the next holder would be told.
        util = sys.modules.get("multiprocessing.util")
        if util is None:
            atexit.register(_retire, weakref.ref(bridge))
        else:  # in the children of multiprocessing there is no atexit
            util.Finalize(bridge, _retire, (weakref.ref(bridge),), exitpriority=100)
        return bridge

    def _use_native(self) -> None:
        """Do nothing: there are no C methods here, all is careful."""

    def _use_careful(self) -> None:
        """Do nothing, likewise."""


class MachineLock(OnFile[FileMutex]):
    """A lock that any processes of one machine meet by, and that survives their end.

    Excludes all threads and tasks of all processes that use the same name, or the
    same path: it is a lock on a file, by `flock(2)`. When its holder dies, however
    that happens, the system frees it, and the next holder is told by `abandoned`.
    Who waits sleeps until the system tells that the lock is let go, and looks itself
    once a second at most, or ten times a second for tasks (but see below).

    Two locks of the same name in one process are one lock. It is not re-entrant. To
    wait for what one holds raises `WouldDeadlock`, but one that is fair and one that is
    not, of the same name, do not know of each other, and one waits for ever.
    Safe to use from threads, from tasks of asyncio and trio, and in forked children:
    a child has nothing of what its parent holds. It can be pickled, and be handed to
    any process in any way; it arrives unlocked, and is the same lock.

    Who stopped (SIGSTOP) still holds it. A child that was forked other than by Python,
    and closes nothing, keeps what its parent held. Never delete a lock file: who has
    it open and who makes a new one do not exclude each other.

    On network file systems, and where the system has no more means to tell of changes
    (on Linux, instances of inotify), who waits looks again at least every 50 ms.

    Args:
        name: What processes of this user meet by: 1 to 200 characters. The file is in
            a private folder of the user (`platformdirs` says where). With `path`, a
            label only.
        path: The lock file, in its stead. It is made if it is missing; its folder
            must exist, and nobody else should be able to write there.
        fair: Let those who wait queue up, so that a process that comes back at once
            does not overtake them. It takes 5 to 10 % longer when nobody waits. All
            who use the lock must say the same; those who differ do exclude each other.

    Raises:
        TypeError: Neither `name` nor `path` was given, or they are not strings.
        ValueError: `name` is empty or too long.
        ImportError: There is only a name, and `platformdirs` is not installed.
        LockFileError: The private folder is not private.
    """

    __slots__ = ("_fair",)

    def __init__(
        self,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        fair: bool = False,
    ) -> None:
        super().__init__(name, path)
        self._fair = bool(fair)
        self._mutex = mutex_of(self._path, name, fair=self._fair)

    @property
    def abandoned(self) -> bool:
        """Whether the holder before this one died inside; for the holder to ask.

        What the lock protects may be half written then. False again as soon as the
        lock is released.
        """
        return self._mutex.file.abandoned

    def holder(self) -> LockHolder | None:
        """Return who holds the lock, as it said itself; None if nobody does.

        For diagnosis, never for deciding: it may have changed since.

        Raises:
            LockFileError: The lock file cannot be opened.
        """
        return self._mutex.file.holder()

    def __enter__(self) -> Self:
        """Wait for the lock, blocking this thread.

        Raises:
            WouldDeadlock: This thread holds the lock itself, or a task of its event
                loop does.
            LockFileError: The lock file cannot be opened or written.
        """
        mutex = self._mutex
        if mutex.bridge is None:
            mutex.acquire()
        else:
            self.acquire()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock; nothing, in a child forked inside of the `with`."""
        mutex = self._mutex
        if mutex.of_the_parent and not mutex.held:
            mutex.of_the_parent = False
            return
        self.release()

    def _leave_task(self, bridge: LockBridge) -> None:
        self._mutex.file.abandoned = (
            False  # before the next task of this process has it
        )
        super()._leave_task(bridge)

    def locked(self) -> bool:
        """Say whether anybody in any process holds the lock at this moment.

        Raises:
            LockFileError: The lock file cannot be opened.
        """
        return self._mutex.locked()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by path, so that it is the same lock wherever it arrives."""
        return _arrived, (self._name, self._path, self._fair)

    def __repr__(self) -> str:
        state = "locked" if self._mutex.held else "not held here"
        label = "" if self._name is None else f"name={self._name!r} "
        return f"<{state} anylock.MachineLock object {label}path={self._path!r}>"


def _retire(bridge: weakref.ref[LockBridge]) -> None:
    found = bridge()
    if found is not None:
        found.retire()


def _arrived(name: str | None, path: str, fair: bool) -> MachineLock:  # noqa: FBT001
    return MachineLock(name, path=path, fair=fair)
