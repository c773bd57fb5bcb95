"""Waits for a change of a lock file by inotify, on Linux.

A user may have few instances of inotify (128, often), so a process has one, whatever
the number of files that are waited for. Whoever waits first reads for all: it is the
leader, and the next one leads when it leaves. So nobody needs a thread of its own, and
the way from one process to the other is as short as it can be.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import select
import struct
import sys
import weakref
from contextlib import suppress
from time import monotonic

assert sys.platform == "linux"  # noqa: S101 - type checkers understand it

_EVENT = struct.Struct("iIII")

_MODIFY, _CLOSE_WRITE, _DELETE_SELF, _MOVE_SELF = 0x2, 0x8, 0x400, 0x800

# Who leaves writes so (MODIFY); of who dies the kernel closes it (CLOSE_WRITE). Either
# is told a moment before the lock is free.
_CHANGES = _MODIFY | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF

_ENOUGH = 4096
"""Bytes that are read at once."""


class InotifyWatch:
    """Watches one file, for one thread.

    Raises:
        OSError: There are as many watches or instances as there may be.
    """

    __slots__ = ("__weakref__", "_bell", "_instance", "number", "told")

    longest = 1.0
    """Seconds after which to look again all the same."""

    def __init__(self, descriptor: int) -> None:
        self.told = False
        """Whether the file has changed since `wait` was called last."""
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self.number = -1
        """That of the kernel, once it is known."""
        self._instance = _instance()
        self._instance.add(self, descriptor)

    def wait(self, timeout: float) -> bool:
        """Wait until the file changes; False when so many seconds are over."""
        deadline = monotonic() + timeout
        while not self.told:
            left = deadline - monotonic()
            if left <= 0:
                return False
            if not self._instance.lead(self, left):
                self._bell.acquire(True, left)
        self.told = False
        return True

    def ring(self) -> None:
        """Let it look whether it was told, or is to lead."""
        with suppress(RuntimeError):  # it has rung already
            self._bell.release()

    def close(self) -> None:
        """Watch no more."""
        self._instance.remove(self)


class _Inotify:
    """The one instance of this process."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(
            self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        )
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)
        self._leading = _thread.allocate_lock()
        self._changing = _thread.allocate_lock()
        self._watches: dict[int, weakref.WeakSet[InotifyWatch]] = {}
        """By the kernel's number: several may watch the same file. Weakly, because a
        signal handler that raises can keep one from being closed."""

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def add(self, watch: InotifyWatch, descriptor: int) -> None:
        # By way of the descriptor: it is that file, whatever the path leads to by now.
        path = f"/proc/self/fd/{descriptor}".encode()
        with self._changing:
            watch.number = self._checked(
                self._libc.inotify_add_watch(self.descriptor, path, _CHANGES)
            )
            self._watches.setdefault(watch.number, weakref.WeakSet()).add(watch)

    def remove(self, watch: InotifyWatch) -> None:
        with self._changing:
            self._watches[watch.number].discard(watch)
            self._drop_if_unused(watch.number)

    def _drop_if_unused(self, number: int) -> None:
        if not self._watches[number]:
            del self._watches[number]
            # It fails if the file is gone, and the watch with it.
            self._libc.inotify_rm_watch(self.descriptor, number)

    def lead(self, watch: InotifyWatch, timeout: float) -> bool:
        """Read for all until that one is told; False if somebody else does."""
        # Noted by C code, as a signal handler may raise after any call.
        leads: list[bool] = []
        try:
            leads.extend(map(self._leading.acquire, (False,)))
            if leads[0] and not watch.told and self._poll.poll(timeout * 1000):
                self._tell(watch)
        finally:
            if leads and leads[0]:
                self._leading.release()
                self._let_others_look(watch)
        return leads[0]

    def _let_others_look(self, watch: InotifyWatch) -> None:
        if self._is_alone(watch):
            return
        # All of them: the first may be on its way out, and not lead.
        with self._changing:
            others = [w for found in self._watches.values() for w in found]
        for other in others:
            if other is not watch:
                other.ring()

    def _is_alone(self, watch: InotifyWatch) -> bool:
        """Say whether nobody else in this process watches anything.

        Who is about to begin need not be told: it looks when it has begun.
        """
        watches = self._watches
        return len(watches) == 1 and len(watches.get(watch.number, ())) == 1

    def _tell(self, leader: InotifyWatch | None = None) -> None:
        try:
            data = os.read(self.descriptor, _ENOUGH)
        except BlockingIOError:
            return
        if leader is not None and self._is_alone(leader):
            leader.told = True  # as most are: what else there is to it takes its time
            return
        told: set[int] = set()
        offset = 0
        while offset < len(data):
            number, _, _, length = _EVENT.unpack_from(data, offset)
            told.add(number)
            offset += _EVENT.size + length
        with self._changing:
            self._ring_all(told)

    def _ring_all(self, told: set[int]) -> None:
        # A function of its own: from Python 3.12 on, the jump back to the head of a
        # loop may be left out of the `with` around it. A signal handler that raises at
        # that very jump would leave the lock of that locked.
        for number, watches in list(self._watches.items()):
            if number in told or -1 in told:  # -1: some were lost
                for watch in watches:
                    watch.told = True
                    watch.ring()
                self._drop_if_unused(number)


_the_instance: _Inotify | None = None
_making = _thread.allocate_lock()


def _instance() -> _Inotify:
    global _the_instance  # noqa: PLW0603 - one per process is the meaning
    with _making:
        if _the_instance is None:
            _the_instance = _Inotify()
        return _the_instance


def _forget_in_child() -> None:
    global _making, _the_instance  # noqa: PLW0603 - they are the parent's
    _making = _thread.allocate_lock()
    if _the_instance is not None:
        os.close(_the_instance.descriptor)
        _the_instance = None


os.register_at_fork(after_in_child=_forget_in_child)
