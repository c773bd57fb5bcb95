"""Where the locks that have a name are: a private folder of the user."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path

from anylock._errors import LockFileError

if sys.platform == "win32":
    from anylock._machine.windows import explained
else:
    from anylock._machine.posix import explained

LONGEST_NAME = 200


def folder() -> Path:
    """Return the folder of this user's locks, which is made if it is missing.

    Raises:
        ImportError: platformdirs, which knows the place, is not installed.
        LockFileError: It is not private to this user.
    """
    try:
        from platformdirs import user_runtime_path  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = (
            "a lock of kind 'machine' that has a name needs platformdirs, to find its "
            "folder: pip install 'anylock[machine]', or give it a path="
        )
        raise ImportError(message) from error
    found = Path("anylock")
    try:
        found = Path(user_runtime_path("anylock", appauthor=False))
        found.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        why = "it is not a folder; remove it"
        raise LockFileError(str(error.filename), why, error.errno) from None
    except OSError as error:
        raise explained(error, str(found)) from None
    if sys.platform != "win32":
        _check(found)
    return found.resolve()  # so that the lock is the same when it is given by path


if sys.platform != "win32":

    def _check(found: Path) -> None:
        # Who may write to the folder, or to the one that it is in, can put another file
        # in the place of a lock, and then two would hold it.
        mine = os.lstat(found)
        if not stat.S_ISDIR(mine.st_mode) or mine.st_uid != os.geteuid():
            why = "it is not a folder of this user; remove it"
            raise LockFileError(str(found), why, errno.EPERM)
        if mine.st_mode & 0o077:
            why = "others may go there; 'chmod 700' it if all in it is yours"
            raise LockFileError(str(found), why, errno.EPERM)
        for look in (os.lstat, os.stat):  # whoever owns a link can turn it
            parent = look(found.parent)
            if parent.st_uid not in {0, os.geteuid()}:
                why = "it belongs to another user; remove it"
                raise LockFileError(str(found.parent), why, errno.EPERM)
        if parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX:
            why = "others may write there; 'chmod go-w' it"
            raise LockFileError(str(found.parent), why, errno.EPERM)


def path_of(name: str) -> str:
    """Return the path of the lock of that name.

    Raises:
        ValueError: The name is empty, or longer than 200 characters.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        message = (
            f"the name of a lock of kind 'machine' must have 1 to {LONGEST_NAME} "
            f"characters, not {len(name)}"
        )
        raise ValueError(message)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return str(folder() / f"{digest[:32]}.lock")
