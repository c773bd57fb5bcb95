"""One open lock file: to lock it, to wait for it, and to sign it."""

from __future__ import annotations

import _thread
import errno
import os
import sys
from contextlib import suppress
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from anylock._blocking import SLICE
from anylock._errors import LockFileError
from anylock._machine import record
from anylock._machine.changes import watch

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    from anylock._machine import windows as system
else:
    from anylock._machine import posix as system

_identity_at, _read, _try_lock, _try_share, _unlock, _write = (
    system.identity_at,
    system.read,
    system.try_lock,
    system.try_share,
    system.unlock,
    system.write,
)

SHORTEST = 0.001
"""Seconds until the first look, if nothing is told; each time it is twice as long."""

ONCE = 0.0
"""A deadline that is over: try, and do not wait."""

_opening = _thread.RLock()
"""Held while a descriptor comes or goes, so that no fork leaves one in a child."""


class State(Enum):
    """How a lock file is held."""

    FREE = "free"
    SHARED = "shared"
    HELD = "held"


class LockFile:
    """One open lock file, of one thread at a time.

    Args:
        path: Where it is.
    """

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_identity",
        "_left",
        "_opened",
        "abandoned",
        "path",
    )

    shared: ClassVar[bool] = False
    """Whether others may lock the file at the same time, likewise to read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self._identity = (0, 0)
        self._left = b""
        """The mark to leave in the place of ours; none if ours is not there."""
        self._opened = 0
        """How often, because descriptors are used again."""
        self.abandoned = False
        """Whether the holder before us died inside."""

    def open(self) -> int:
        """Open the file if it is not; return its descriptor."""
        if self._descriptor < 0:
            with _opening:
                descriptor = system.open_file(self.path)
                identity = system.identity(descriptor)
                if self._descriptor >= 0:
                    # A signal handler was faster, and may have locked what it opened.
                    os.close(descriptor)
                    return self._descriptor
                self._identity = identity
                self._descriptor = descriptor
                self._opened += 1
        return self._descriptor

    def close(self) -> None:
        """Close the file, which unlocks it unless a forked child has it too."""
        with _opening:
            descriptor, self._descriptor = self._descriptor, -1
            self._left = b""
            if descriptor >= 0:
                os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def take(self, data: bytes) -> bool:
        """Lock the file that is at the path, if nobody else has, and write that.

        Who shares it writes nothing: the mark stays for those who do not.

        Raises:
            LockFileError: The system does not let us; it is not locked then.
        """
        descriptor = self._descriptor
        lock = _try_share if self.shared else _try_lock
        try:
            while lock(descriptor if descriptor >= 0 else self.open()):
                descriptor = self._descriptor
                if _identity_at(self.path) == self._identity:
                    beginning = self._beginning(descriptor)
                    if not self.shared:
                        # Who is interrupted, or finds nobody to be let in, leaves it
                        # as it was: a death is told to the next who comes in.
                        self._left = beginning[:1] or record.FREE
                        _write(descriptor, data, 0)
                    elif not beginning:  # now, as a full disk is to be told now
                        _write(descriptor, record.FREE, 0)
                    self.abandoned = beginning[:1] == record.HELD
                    return True
                # It was deleted or replaced; who comes now knows nothing of it.
                self.close()
                descriptor = -1
        except OSError as error:
            self._give_up()
            raise system.explained(error, self.path) from None
        return False

    def _beginning(self, descriptor: int) -> bytes:
        # Nothing that others wrote is overwritten: somebody may take a lock on the very
        # file that it protects.
        beginning = _read(descriptor, 2, 0)
        if beginning not in record.BEGINNINGS:
            why = "it is not a lock file; name one that nobody writes, or remove it"
            raise LockFileError(self.path, why, errno.EEXIST)
        return beginning

    def _give_up(self) -> None:
        # Closed, as the descriptor itself may be what is wrong.
        with suppress(OSError):
            self.close()

    def wait_and_take(
        self,
        data: bytes,
        deadline: float | None,
        awaited: Callable[[], bool] | None = None,
    ) -> bool:
        """Wait until the file is ours, and write that.

        Args:
            data: What to write.
            deadline: By `monotonic`; None waits for ever, `ONCE` does not wait.
            awaited: Asked now and then whether to wait on.
        """
        while deadline != ONCE:
            opened = self._opened
            watching = watch(self.open())
            pause = SHORTEST
            try:
                while opened == self._opened:
                    # Only now: what happened before was not told.
                    if self.take(data):
                        return True
                    left = pause
                    if deadline is not None:
                        left = min(pause, deadline - monotonic())
                        if left <= 0:
                            return False
                    if awaited is not None:
                        if not awaited():
                            return False
                        left = min(left, SLICE)
                    told = watching.wait(left)
                    pause = SHORTEST if told else min(2 * pause, watching.longest)
            finally:
                watching.close()
        return False

    def write(self, data: bytes) -> None:
        """Write that, while it is ours.

        Raises:
            LockFileError: The system does not let us.
        """
        try:
            _write(self._descriptor, data, 0)
        except OSError as error:
            raise system.explained(error, self.path) from None

    def release(self, *, entered: bool = True) -> None:
        """Take the mark away, unless it is shared, and unlock the file.

        The order tells of a death inside. Those who wait are woken by the first of
        these; if they are faster than the second they look again.

        Args:
            entered: Whether anybody was inside, and may have asked for `abandoned`.
        """
        if entered or not self._left:
            keep = self.shared and self.abandoned
            self._left = record.HELD if keep else record.FREE
        try:
            self.unlock()
        except OSError as error:
            self._give_up()
            raise system.explained(error, self.path) from None

    def unlock(self) -> None:
        """Unlock the file in case it is locked, as if we had never been there."""
        if self._descriptor >= 0:
            mark, self._left = self._left, b""
            try:
                if mark:
                    _write(self._descriptor, mark, 0)
            finally:
                _unlock(self._descriptor)

    def in_place(self) -> bool:
        """Say whether the open file is the one at the path still."""
        return _identity_at(self.path) == self._identity

    def locked(self) -> bool:
        """Say whether another process holds it alone; only while this one does not."""
        try:
            if not self.in_place():
                self.close()
            descriptor = self.open()
            if self._beginning(descriptor)[:1] == record.FREE:
                return False
            return self._look(descriptor) is State.HELD
        except OSError as error:
            self._give_up()
            raise system.explained(error, self.path) from None

    def look(self) -> State:
        """Say how others hold it, for any thread, at any time.

        If nobody does it is ours for a moment, in which others who try it fail.
        """
        with _opening:
            descriptor = system.open_file(self.path)
            try:
                return self._look(descriptor)
            except OSError as error:
                raise system.explained(error, self.path) from None
            finally:
                os.close(descriptor)

    def _look(self, descriptor: int) -> State:
        state = State.FREE
        if not _try_lock(descriptor):
            if not _try_share(descriptor):
                return State.HELD
            state = State.SHARED
        # It died inside, or just left, or nobody was there yet. Whoever was turned
        # away meanwhile is told to look again, by the same mark: while the file is
        # ours, as afterwards it would be the mark of somebody else.
        mark = self._beginning(descriptor)[:1]
        _write(descriptor, mark or record.FREE, 0)
        _unlock(descriptor)
        return state

    def holder(self) -> record.LockHolder | None:
        """Return who holds it, as it says itself; for any thread, at any time."""
        with _opening:
            descriptor = system.open_file(self.path)
            try:
                written = os.fstat(descriptor).st_mtime
                return record.read(_read(descriptor, record.LENGTH, 0), written)
            except OSError as error:
                raise system.explained(error, self.path) from None
            finally:
                os.close(descriptor)


if sys.platform != "win32":

    def _renew_opening() -> None:
        global _opening  # noqa: PLW0603 - it is the parent's
        _opening = _thread.RLock()

    os.register_at_fork(
        before=lambda: _opening.acquire(),  # noqa: PLW0108 - that of now
        after_in_parent=lambda: _opening.release(),  # noqa: PLW0108
        after_in_child=_renew_opening,
    )
