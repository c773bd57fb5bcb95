"""What the kind "machine" asks of Windows; never run there so far.

A byte far behind the end of the file is locked, so that others can read the record.
Windows has no links or pipes that `open` would follow unseen, and neither deletes nor
renames a file that is open.
"""

from __future__ import annotations

import errno
import msvcrt
import os
import sys

from anylock._errors import LockFileError

assert sys.platform == "win32"  # noqa: S101 - type checkers understand it

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_BINARY | os.O_NOINHERIT
_BYTE = 2**30
"""The byte that is locked."""


def explained(error: OSError, path: str) -> LockFileError:
    """Return the error for a lock file of which the system says that."""
    if isinstance(error, LockFileError):
        return error
    return LockFileError(path, error.strerror or str(error), error.errno)


def open_file(path: str) -> int:
    """Open the lock file, which is made if it is missing; return the descriptor.

    Raises:
        LockFileError: It cannot be opened.
    """
    try:
        return os.open(path, _FLAGS, 0o600)
    except OSError as error:
        raise explained(error, path) from None
    except ValueError as error:  # a NUL, or what the file system cannot encode
        raise LockFileError(path, f"{error}; name a file", errno.EINVAL) from None


def try_lock(descriptor: int) -> bool:
    """Lock the open file if nobody else has; say whether it is ours."""
    os.lseek(descriptor, _BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EDEADLK}:
            return False
        raise
    return True


def try_share(_: int) -> bool:
    """Say no: `msvcrt` has no locks that are shared."""
    return False


def unlock(descriptor: int) -> None:
    """Unlock the open file; nothing if it is not locked."""
    os.lseek(descriptor, _BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise


def identity(_: int) -> tuple[int, int]:
    """Return what tells the open file from all others: none can take its place."""
    return 0, 0


def identity_at(_: str) -> tuple[int, int] | None:
    """Return the identity of what is at that path: the file that is open."""
    return 0, 0


def read(descriptor: int, length: int, offset: int) -> bytes:
    """Read as `os.pread` does, which Windows lacks."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


def write(descriptor: int, data: bytes, offset: int) -> int:
    """Write as `os.pwrite` does, which Windows lacks."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)
