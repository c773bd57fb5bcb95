"""The mutex under the kind "machine": a lock of this process, and behind it a file."""

from __future__ import annotations

import _thread
import os
import sys
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock._blocking import acquire_while
from anylock._errors import WouldDeadlock
from anylock._machine import queue, record
from anylock._machine.changes import block
from anylock._machine.lockfile import ONCE, LockFile
from anylock._parking import this_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._bridge.lock import LockBridge
    from anylock._parking import ThreadMarker


class Mutex:
    """What can only block a thread: a lock of this process, and behind it a file."""

    def __init__(self) -> None:
        self._gate = _thread.allocate_lock()
        self.bridge: LockBridge | None = None
        self.owner: ThreadMarker | None = None
        """The thread that has it; None if a task does, or nobody here."""

    def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float = -1,
        *,
        signed: bool = True,
        awaited: Callable[[], bool] | None = None,
    ) -> bool:
        """Acquire it as `threading.Lock.acquire` does.

        Args:
            blocking: False tries once.
            timeout: Seconds to wait at most; -1 waits for ever.
            signed: Whether it is for the thread that calls.
            awaited: Asked now and then whether to wait on.
        """
        raise NotImplementedError

    def acquire_for_tasks(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        """Acquire it as `threading.Lock.acquire` does, for somebody who signs later."""
        return self.acquire(blocking, timeout, signed=False)

    def acquire_while(self, awaited: Callable[[], bool]) -> bool:
        """Acquire it for tasks, as long as they wait.

        All that time it keeps its place in the queue. To come back for it every now and
        then, as bridges do for other locks, is to be overtaken by all other processes.
        """
        return self.acquire(signed=False, awaited=awaited)

    def sign(self, by_thread: bool) -> None:  # noqa: FBT001 - one of two
        """Note who has acquired it: this thread, or the task that runs here."""
        raise NotImplementedError

    def release(self) -> None:
        """Release it, from any thread."""
        raise NotImplementedError


class FileMutex(Mutex):
    """Excludes the threads of this process, and all that lock the same file.

    There is one for each path, whatever the number of locks. It can only block a
    thread; tasks wait for it by a bridge, as for any such lock.

    Args:
        path: Of the lock file.
        name: Of the lock, for the record in the file.
        fair: Whether those who wait queue up at a second file, so that who comes back
            at once is not in front of them.
    """

    def __init__(self, path: str, name: str | None, *, fair: bool) -> None:
        super().__init__()
        self.file = LockFile(path)
        self._queue = queue.best(f"{path}.queue") if fair else None
        self._signature = record.Signature(name)
        self.name = name
        self.held = False
        self.of_the_parent = False
        """Whether the process that forked this one held it then."""
        self._entered = False
        """Whether somebody is inside, and not only a helper thread, or a task that was
        granted it and has not run."""

    def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float = -1,
        *,
        signed: bool = True,
        awaited: Callable[[], bool] | None = None,
    ) -> bool:
        """Acquire it, as `Mutex` says."""
        if signed:
            marker = this_thread.marker
            data = self._signature.of_thread(marker)
        else:
            marker, data = None, record.ANONYMOUS
        # A signal handler may raise after any call. So whether the gate is ours is
        # noted by C code.
        passed: list[bool] = []
        try:
            passed.extend(map(self._gate.acquire, _ONCE))
            if (
                passed[0]
                and (self._queue is None or self._queue.empty())
                and self.file.take(data)
            ) or self._wait(passed, data, marker, timeout if blocking else 0, awaited):
                self.owner = marker
                self._entered = signed
                _held[self] = None
                self.held = True
                return True
        except BaseException:
            if passed and passed[0]:
                self.owner = None
                self.held = False
                _held.pop(self, None)
                self._let_go()
            raise
        if passed[0]:
            self._gate.release()
        return False

    def _wait(
        self,
        passed: list[bool],
        data: bytes,
        marker: ThreadMarker | None,
        timeout: float,
        awaited: Callable[[], bool] | None,
    ) -> bool:
        deadline = None if timeout < 0 else ONCE
        if timeout > 0:
            deadline = monotonic() + timeout
        if deadline == ONCE:
            return False
        if not passed[0]:
            if deadline is None and marker is not None and self.owner is marker:
                raise WouldDeadlock(
                    "this thread holds it", "release it first", self.name
                )
            passed.clear()
            acquire_while(self._gate, passed, timeout, awaited)
            if not passed[0]:
                return False
        queue = self._queue
        if queue is None:
            return self._take(data, deadline, awaited)
        if not queue.wait_and_take(record.ANONYMOUS, deadline, awaited):
            return False
        try:
            return self._take(data, deadline, awaited)
        finally:
            queue.release()

    def _take(
        self,
        data: bytes,
        deadline: float | None,
        awaited: Callable[[], bool] | None,
    ) -> bool:
        file = self.file
        while deadline is None and awaited is None and block(file.open()):
            if file.take(data):  # it is ours, if it is the one at the path
                return True
        return file.take(data) or file.wait_and_take(data, deadline, awaited)

    def sign(self, by_thread: bool) -> None:  # noqa: FBT001 - as above
        """Note which thread holds the lock, or write into the file which task does."""
        if by_thread:
            self.owner = this_thread.marker
            self.file.write(self._signature.of_thread(self.owner))
        else:
            self.owner = None
            self.file.write(self._signature.of_actor())
        self._entered = True

    def release(self) -> None:
        """Release it, from any thread.

        Raises:
            RuntimeError: Nobody in this process holds it.
        """
        if not self.held:
            message = "release unlocked lock"
            raise RuntimeError(message)
        # Up to the call nothing runs that a signal handler could interrupt.
        self.held = self.file.abandoned = False
        self.owner = None
        del _held[self]
        try:
            self.file.release(entered=self._entered)
        except BaseException:
            self.file.unlock()
            raise
        finally:
            self._gate.release()

    def _let_go(self) -> None:
        """Give back whatever an acquire had when it was interrupted."""
        try:
            if self._queue is not None:
                self._queue.unlock()
        finally:
            try:
                self.file.unlock()
            finally:
                self._gate.release()

    def locked(self) -> bool:
        """Say whether anybody holds it at this moment."""
        if not self._gate.acquire(False):
            # Who has the gate may be waiting, for readers to leave. The open file is in
            # use then.
            return self.held or LockFile(self.file.path).locked()
        try:
            return self.file.locked()
        finally:
            self._gate.release()

    def forked(self) -> None:
        """Let go of what is the parent's, in a forked child."""
        # Closed, not unlocked: the parent has the same open file.
        self.file.close()
        if self._queue is not None:
            self._queue.close()
        self._gate = _thread.allocate_lock()
        self._signature.renew()
        self.of_the_parent = self.held
        self.held = self.file.abandoned = False
        self.owner = None


_ONCE = (False,)

_mutexes: weakref.WeakValueDictionary[tuple[str, bool], FileMutex] = (
    weakref.WeakValueDictionary()
)
_making = _thread.RLock()
_held: dict[FileMutex, None] = {}
"""Those that this process holds: they stay, even if nobody has a lock object."""


def mutex_of(path: str, name: str | None, *, fair: bool) -> FileMutex:
    """Return the mutex of this process for that file."""
    with _making:
        found = _mutexes.get((path, fair))
        if found is None:
            found = _mutexes[path, fair] = FileMutex(path, name, fair=fair)
        return found


def _forget_in_child() -> None:
    global _making  # noqa: PLW0603 - another thread of the parent may hold it
    _making = _thread.RLock()
    _held.clear()
    mutexes: list[Any] = list(_mutexes.values())
    for mutex in mutexes:
        mutex.forked()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
