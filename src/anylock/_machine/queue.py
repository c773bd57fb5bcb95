"""Who waits for a fair lock: a queue, across processes, on a file beside the lock's.

Whoever is in front waits for the lock itself. The queue is there for fairness alone:
it is the lock file that lets in.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING

from anylock._machine import changes
from anylock._machine.lockfile import ONCE, LockFile
from anylock._machine.record import FREE

if TYPE_CHECKING:
    from collections.abc import Callable


class Queue(LockFile):
    """A queue without an order: in front is who has locked the file."""

    __slots__ = ()

    def empty(self) -> bool:
        """Say whether no other process waits; only while this one does not.

        Raises:
            LockFileError: The system does not let us ask.
        """
        return not self.locked()


best: type[Queue] = Queue
"""The best kind of queue that this system has."""

if sys.platform == "linux":
    import errno
    import fcntl
    import os
    import struct

    from anylock._machine import posix

    _FLOCK = struct.Struct("hhqqi")
    _ALL = (os.SEEK_SET, 0, 0, 0)
    _ANYBODY = _FLOCK.pack(fcntl.F_WRLCK, *_ALL)
    _NOBODY = _FLOCK.pack(fcntl.F_UNLCK, *_ALL)

    _PID_BITS = 22
    """As many as the number of a process may have."""

    _TICK_BITS = 17
    """Nanoseconds of a tick, 0.13 ms: so the time since boot fits, for nine years."""

    class OrderedQueue(Queue):
        """A queue in the order of arrival.

        Who waits has locked some bytes of the file, by an open file description lock:
        they begin at the time when it came, and are as many as the number of its
        process. Who finds no such lock before its own is in front. So there is nothing
        to count or to repair: the kernel takes back the places of the dead.

        Who is stopped (SIGSTOP) is passed over. Two that come at the same moment may
        both be in front.
        """

        __slots__ = ("_ordered", "_place")

        def __init__(self, path: str) -> None:
            super().__init__(path)
            self._ordered = True
            self._place = -1
            """Where our bytes begin, if we have any."""

        def open(self) -> int:
            """Open the file if it is not; return its descriptor."""
            if self._descriptor < 0:
                descriptor = super().open()
                # Another machine has another clock.
                self._ordered = not changes.changes_unseen(
                    descriptor
                ) and _has_such_locks(descriptor)
            return self._descriptor

        def close(self) -> None:
            """Close the file, and so leave the queue."""
            super().close()
            self._place = -1

        def _is_ordered(self) -> bool:
            self.open()
            return self._ordered

        def empty(self) -> bool:
            """Say whether no other process waits; only while this one does not."""
            try:
                descriptor = self.open()
                if self._ordered:
                    found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _ANYBODY)
                    return found == _NOBODY
            except OSError as error:
                self._give_up()
                raise posix.explained(error, self.path) from None
            return super().empty()

        def take(self, data: bytes) -> bool:
            """Say whether we are in front; who has no place tries to get there."""
            if self._place >= 0:
                return self._in_front()
            if not self._is_ordered():
                return super().take(data)
            if not self.empty():
                return False
            self._queue_up()
            if self._in_front():
                return True
            self.unlock()
            return False

        def wait_and_take(
            self,
            data: bytes,
            deadline: float | None,
            awaited: Callable[[], bool] | None = None,
        ) -> bool:
            """Queue up until we are in front, or the time is over."""
            got = False
            try:
                if deadline != ONCE and self._is_ordered():
                    self._queue_up()
                got = super().wait_and_take(data, deadline, awaited)
            finally:
                if not got:
                    self.unlock()
            return got

        def _queue_up(self) -> None:
            try:
                while not self._got_place():
                    pass
            except OSError as error:
                self._give_up()
                raise posix.explained(error, self.path) from None

        def _got_place(self) -> bool:
            descriptor = self.open()
            if posix.identity_at(self.path) != self._identity:
                self.close()  # it was deleted or replaced
                return False
            self._beginning(descriptor)
            # Noted first: a signal handler may raise after any call.
            self._place = monotonic_ns() >> _TICK_BITS << _PID_BITS
            lock = (fcntl.F_WRLCK, os.SEEK_SET, self._place, os.getpid(), 0)
            try:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(*lock))
            except BlockingIOError:  # somebody came in the same tick
                return False
            return True

        def _in_front(self) -> bool:
            try:
                return self._nobody_in(0, self._place)
            except OSError as error:
                self._give_up()
                raise posix.explained(error, self.path) from None

        def _nobody_in(self, begin: int, end: int) -> bool:
            """Say whether nobody has a place there, but who is stopped."""
            if begin == end:
                return True
            asked = (fcntl.F_WRLCK, os.SEEK_SET, begin, end - begin, 0)
            found = fcntl.fcntl(
                self._descriptor, fcntl.F_OFD_GETLK, _FLOCK.pack(*asked)
            )
            kind, _, place, pid, _ = _FLOCK.unpack(found)
            return kind == fcntl.F_UNLCK or (
                _is_stopped(pid)
                and self._nobody_in(begin, place)
                and self._nobody_in(place + pid, end)
            )

        def release(self, *, entered: bool = True) -> None:
            """Leave the queue, and tell the others."""
            if self._place < 0:
                super().release(entered=entered)
                return
            try:
                self.unlock()
            except OSError as error:
                self._give_up()
                raise posix.explained(error, self.path) from None

        def unlock(self) -> None:
            """Leave the queue if we are in it, and tell the others."""
            if self._place < 0:
                super().unlock()
                return
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _NOBODY)
            finally:
                self._place = -1
                with suppress(OSError):  # the disk may be full; they look themselves
                    posix.write(self._descriptor, FREE, 0)

    def _has_such_locks(descriptor: int) -> bool:
        """Say whether this is a true Linux, and not what only looks like one."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _ANYBODY)
        except OSError as error:
            return error.errno != errno.EINVAL
        return True

    def _is_stopped(pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - for speed
                # The name of the program is in parentheses and may hold anything.
                return file.read().rpartition(b")")[2].split()[0] in {b"T", b"t"}
        except OSError:
            return False

    best = OrderedQueue
