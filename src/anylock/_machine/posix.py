"""What the kind "machine" asks of POSIX: to open a lock file safely, and to lock it.

`flock` belongs to the open file: the kernel lets go of it when the last descriptor of
that is closed, however the process ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys

from anylock._errors import LockFileError

assert sys.platform != "win32"  # noqa: S101 - type checkers understand it

_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB
_SHARED = fcntl.LOCK_SH | fcntl.LOCK_NB

# Opened so, a planted symbolic link is refused, a planted pipe does not block, and
# nothing that is there already is cut off.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_ADVICE = {
    errno.ELOOP: "it is a symbolic link; name the file itself",
    errno.EISDIR: "it is a directory; name a file",
    errno.ENOENT: "its folder does not exist; create that first",
    errno.ENOTDIR: "its folder is not a folder",
    errno.EACCES: "this user may not write there; choose another place",
    errno.EPERM: "this user may not write there; choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota of this user is used up; make room",
    errno.EMFILE: "this process has too many files open; close some",
    errno.ENFILE: "this machine has too many files open; close some",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.ENOLCK: "its file system locks no files; choose another place",
    errno.ENXIO: "it is a socket; name a file",
}


def explained(error: OSError, path: str) -> LockFileError:
    """Return the error for a lock file of which the system says that."""
    if isinstance(error, LockFileError):
        return error
    why = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return LockFileError(path, why, error.errno)


def open_file(path: str) -> int:
    """Open the lock file, which is made if it is missing; return the descriptor.

    Raises:
        LockFileError: It cannot be opened, or it is not a plain file of this user
            that has one name.
    """
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        raise explained(error, path) from None
    except ValueError as error:  # a NUL, or what the file system cannot encode
        raise LockFileError(path, f"{error}; name a file", errno.EINVAL) from None
    try:
        _check(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        why = "it is not a plain file; name one that is"
        raise LockFileError(path, why, errno.EINVAL)
    if found.st_uid != os.geteuid():
        why = "it belongs to another user; choose another place"
        raise LockFileError(path, why, errno.EPERM)
    if found.st_nlink > 1:
        why = "it has several hard links; name a file with one"
        raise LockFileError(path, why, errno.EMLINK)


def try_lock(descriptor: int) -> bool:
    """Lock the open file if nobody else has; say whether it is ours."""
    try:
        fcntl.flock(descriptor, _EXCLUSIVE)
    except BlockingIOError:
        return False
    return True


def try_share(descriptor: int) -> bool:
    """Lock the open file beside others who share it; say whether we do."""
    try:
        fcntl.flock(descriptor, _SHARED)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Unlock the open file; nothing if it is not locked."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def identity(descriptor: int) -> tuple[int, int]:
    """Return what tells the open file from all others."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def identity_at(path: str) -> tuple[int, int] | None:
    """Return the identity of what is at that path, or None."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


read = os.pread
"""Called as `read(descriptor, length, offset)`."""

write = os.pwrite
"""Called as `write(descriptor, data, offset)`."""
