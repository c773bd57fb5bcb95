"""Chooses how to wait for a lock file, on this system and this file."""

from __future__ import annotations

import sys
from typing import Protocol

from anylock._machine.polling import Polling

if sys.platform != "win32":
    import fcntl

if sys.platform == "linux":
    import ctypes

    from anylock._machine.inotify import InotifyWatch
elif sys.platform == "darwin":
    from anylock._machine.kqueue import KqueueWatch


class Watch(Protocol):
    """Watches one file, for one thread."""

    longest: float
    """Seconds after which to look again, even if nothing was told."""

    def wait(self, timeout: float) -> bool:
        """Wait until the file changes; False when so many seconds are over."""
        ...

    def close(self) -> None:
        """Watch no more."""
        ...


def watch(descriptor: int) -> Watch:
    """Begin to watch an open file; by polling, where there is no other way."""
    try:
        if sys.platform == "linux":
            if not changes_unseen(descriptor):
                return InotifyWatch(descriptor)
        elif sys.platform == "darwin":
            return KqueueWatch(descriptor)
    except OSError:  # there are as many watches as there may be
        pass
    return Polling()


def block(descriptor: int) -> bool:
    """Lock an open file, for who has all the time there is; False if that cannot be.

    The system lets in who waits for it so as soon as the file is unlocked, which takes
    half as long as to be told and to try. But there is no end to it.
    """
    if sys.platform != "win32":
        if sys.platform == "linux" and changes_unseen(descriptor):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            # A signal handler may raise one as well, as `TimeoutError` is.
            traceback = error.__traceback__
            if traceback is not None and traceback.tb_next is not None:
                raise
            # Otherwise whoever tries again is told why.
        else:
            return True
    return False


if sys.platform == "linux":
    _NETWORK = {
        0x6969: "NFS",
        0x517B: "SMB",
        0xFE534D42: "SMB2",
        0xFF534D42: "CIFS",
        0x65735546: "FUSE",
        0x01021997: "9P",
        0x00C36400: "Ceph",
        0x0BD00BD0: "Lustre",
        0x5346414F: "AFS",
    }
    """File systems that tell nobody what another machine does, by magic number."""

    _libc = ctypes.CDLL(None)

    def changes_unseen(descriptor: int) -> bool:
        """Say whether the file may be changed by another machine."""
        found = ctypes.create_string_buffer(256)  # more than any struct statfs
        if _libc.fstatfs(descriptor, found):
            return False
        magic = ctypes.c_long.from_buffer(found).value
        return magic & 0xFFFFFFFF in _NETWORK
