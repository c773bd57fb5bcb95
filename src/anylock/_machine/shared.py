"""How the threads and tasks of a process read together, under a shared lock on a file.

All readers of a process have one such lock between them, so that their number costs no
descriptors: it is taken for the first, and let go of by the last.
"""

from __future__ import annotations

import _thread
import os
import sys
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from anylock._blocking import acquire_while
from anylock._inside import Inside
from anylock._machine import queue, record
from anylock._machine.lockfile import ONCE, LockFile
from anylock._machine.mutex import Mutex
from anylock._parking import this_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from anylock._parking import ThreadMarker


class Share(LockFile):
    """A shared lock on a file, and how many have it between them.

    All is done under the lock of its entrance.
    """

    __slots__ = ("_changing", "entering", "readers", "taking")

    shared: ClassVar[bool] = True

    def __init__(self, path: str, changing: _thread.RLock) -> None:
        super().__init__(path)
        self._changing = changing
        self.readers = 0
        self.entering = False
        """Whether it is kept for who has the entrance, too."""
        self.taking = False
        """Whether that is being found out. A signal handler that comes meanwhile, and
        does not get in or leaves, must not unlock what was found to be free."""

    def take(self, data: bytes) -> bool:
        """Join those who have it, or lock the file; it is kept for the entrance."""
        del data  # readers write nothing
        with self._changing:
            self.taking = True
            try:
                self.entering = self.to_be_had()
            finally:
                self.taking = False
            return self.entering

    def to_be_had(self) -> bool:
        """Say whether it is there, or could be had just now; it is to be counted."""
        if self.readers or self.entering:
            return self.in_place()
        return super().take(b"")

    def unlock_if_unused(self) -> None:
        """Unlock the file if nobody has it any more, and tell those who wait."""
        if not (self.readers or self.entering or self.taking):
            self.release()

    def unlock_if_unnoted(self) -> None:
        """Unlock the file in case that it was locked and nobody was counted."""
        if not (self.readers or self.entering or self.taking):
            self.unlock()


class ReadEntrance(Mutex):
    """Where the threads and tasks of this process come in to read a file.

    There is one for each path. Nobody needs it who finds that no writer is inside and
    that nobody waits. Who has to wait does so in the queue of the fair locks, one for
    all of this process, and so the entrance is to be had by one at a time. It can only
    block a thread; tasks wait for it by a bridge, as for any such lock.

    Args:
        path: Of the lock file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.readers: Inside[Share] = Inside()
        """The threads and tasks that are inside."""
        self.of_the_parent = 0
        """How often the process that forked this one read then."""
        self._changing = _thread.RLock()
        """Held while a reader comes or goes, for a moment."""
        self._share = Share(path, self._changing)
        self._entered = self._share
        """The one that is kept for who has the entrance."""
        self._pins: int = 0
        """How many are amid coming in: this thread, and the handlers in its middle."""
        self._queue = queue.best(f"{path}.queue")
        # To be asked by those who do not wait, while another thread may wait.
        self._others = queue.best(f"{path}.queue")

    @property
    def abandoned(self) -> bool:
        """Whether somebody reads, and the last writer died inside."""
        share = self._share
        return bool(share.readers) and share.abandoned

    # Reading.

    def try_read(self, actor: Hashable) -> bool:
        """Let the actor in if nobody writes or waits, or if it is inside already."""
        return self._admit(actor, self._without_waiting)

    def _without_waiting(self, actor: Hashable) -> Share | None:
        share = self._share
        # Who is inside may come again: a writer that waits for it to leave is not to
        # be waited for.
        if not (share.readers and actor in self.readers):
            if not self._others.empty():
                return None
            share = self._joinable()
            if not share.to_be_had():
                return None
        return share

    def _joinable(self) -> Share:
        share = self._share
        if share.readers and not share.in_place():
            # They keep the file that was replaced; who comes now does not join them.
            share = self._share = Share(self.path, self._changing)
        return share

    def read(self, actor: Hashable, release: Callable[[], None]) -> None:
        """Let the actor in, for whom the entrance was acquired, and release that."""
        self._admit(actor, lambda _: self._entered, release)

    def _admit(
        self,
        actor: Hashable,
        find: Callable[[Hashable], Share | None],
        then: Callable[[], None] | None = None,
    ) -> bool:
        # A signal handler may raise after any call into C, and before any function. So
        # there is neither between what is to happen as a whole.
        share: Share | None = None
        key: Hashable = None
        pins: int | None = None
        try:
            with self._changing:
                pins = self._pins
                # A signal handler that enters and leaves amid this must not unlock what
                # we have found: nobody is counted yet.
                self._pins = pins + 1
                share = find(actor)
                if share is not None:
                    key = self.readers.next_key(actor)
                    self.readers.put(key, share)
                    share.readers += 1
                    _reading.add(self)
                self._pins = pins
                if share is None and not pins:
                    self._share.unlock_if_unnoted()
            if then is not None:
                then()
        except BaseException:
            with self._changing:
                if pins is not None:
                    self._pins = pins
                if share is None:
                    self._share.unlock_if_unnoted()
                elif key in self.readers:
                    self.readers.drop(key)
                    self._left(share)
                else:
                    share.unlock_if_unused()
            raise
        return share is not None

    def leave(self, actor: Hashable) -> None:
        """Note that the actor is inside no more, or else somebody who is.

        Raises:
            KeyError: Nobody is inside.
            LockFileError: The lock file cannot be written; it is unlocked.
        """
        popped: list[tuple[ThreadMarker, Share]] = []
        with self._changing:
            try:
                self.readers.pop_into(popped, actor)
            finally:
                if popped:
                    self._left(popped[0][1])

    def _left(self, share: Share) -> None:
        share.readers -= 1
        try:
            if not self._pins:
                share.unlock_if_unused()
        finally:
            if not self.readers:
                _reading.discard(self)

    # The entrance itself, for those who have to wait.

    def acquire(
        self,
        blocking: bool = True,  # noqa: FBT001, FBT002 - threading's signature
        timeout: float = -1,
        *,
        signed: bool = True,
        awaited: Callable[[], bool] | None = None,
    ) -> bool:
        """Acquire it, as `Mutex` says."""
        marker = this_thread.marker if signed else None
        deadline = None if blocking and timeout < 0 else ONCE
        if timeout > 0:
            deadline = monotonic() + timeout
        # Noted by C code, as a signal handler may raise after any call.
        passed: list[bool] = []
        try:
            if blocking:
                acquire_while(self._gate, passed, timeout, awaited)
            else:
                passed.extend(map(self._gate.acquire, (False,)))
            if passed[0] and self._wait(deadline, awaited):
                self.owner = marker
                return True
        except BaseException:
            if passed and passed[0]:
                self._let_go()
            raise
        if passed[0]:
            self._gate.release()
        return False

    def _wait(self, deadline: float | None, awaited: Callable[[], bool] | None) -> bool:
        if not _take(self._queue, deadline, awaited):
            return False
        try:
            with self._changing:
                self._entered = self._joinable()
            return _take(self._entered, deadline, awaited)
        finally:
            self._queue.release()

    def sign(self, by_thread: bool) -> None:  # noqa: FBT001 - as of all
        """Note which thread has it, if it is one."""
        self.owner = this_thread.marker if by_thread else None

    def release(self) -> None:
        """Release it, from any thread."""
        try:
            with self._changing:
                if self._entered.entering:
                    self._entered.entering = False
                    self._entered.unlock_if_unused()
        finally:
            self.owner = None
            self._gate.release()

    def _let_go(self) -> None:
        """Give back whatever an acquire had when it was interrupted."""
        try:
            self._queue.unlock()
        finally:
            with self._changing:
                self._entered.unlock_if_unnoted()
            self.release()

    def forked(self) -> None:
        """Let go of what is the parent's, in a forked child."""
        # Closed, not unlocked: the parent has the same open files.
        shares = self.readers.clear()
        for file in (*shares, self._share, self._entered, self._queue, self._others):
            file.close()
        self._changing = _thread.RLock()
        self._share = self._entered = Share(self.path, self._changing)
        self._gate = _thread.allocate_lock()
        self._pins = 0
        self.of_the_parent += len(shares)
        self.owner = None


def _take(
    file: LockFile, deadline: float | None, awaited: Callable[[], bool] | None
) -> bool:
    data = record.ANONYMOUS
    return file.take(data) or file.wait_and_take(data, deadline, awaited)


_entrances: weakref.WeakValueDictionary[str, ReadEntrance] = (
    weakref.WeakValueDictionary()
)
_making = _thread.RLock()
_reading: set[ReadEntrance] = set()
"""Those by which somebody is inside: they stay, even if nobody has a lock object."""


def entrance_of(path: str) -> ReadEntrance:
    """Return the entrance of this process to that file."""
    with _making:
        found = _entrances.get(path)
        if found is None:
            found = _entrances[path] = ReadEntrance(path)
        return found


def _forget_in_child() -> None:
    global _making  # noqa: PLW0603 - another thread of the parent may hold it
    _making = _thread.RLock()
    _reading.clear()
    entrances: list[Any] = list(_entrances.values())
    for entrance in entrances:
        entrance.forked()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
