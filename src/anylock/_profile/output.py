"""Where a report goes, which is found before the program begins.

That may go elsewhere, become another user, or have modules of the same names as ours.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from anylock._profile.command import complain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anylock._profile.report import Report


class Output:
    """A file to write.

    Args:
        path: Of the file; what is in it stays there until it is written.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._kept = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        self._identity = self._identify()

    def _identify(self) -> tuple[int, int]:
        found = os.fstat(self._kept)
        return found.st_dev, found.st_ino

    def write(self, text: str) -> None:
        """Write all of it.

        Raises:
            OSError: It cannot be written any more.
        """
        try:
            file = self._path.open("w", encoding="utf-8")
        except PermissionError:
            # The program may have closed what it knows nothing of, too.
            if self._identify() != self._identity:
                raise
            os.ftruncate(self._kept, 0)
            file = os.fdopen(self._kept, "w", encoding="utf-8")
        with file:
            file.write(text)


def tables() -> Callable[[Report], None]:
    """Return what shows tables in the terminal."""
    before, path = set(sys.modules), sys.path
    sys.path = [each for each in path if each not in {"", os.getcwd()}]  # noqa: PTH109
    try:
        if find_spec("rich") is None:
            return lambda _: None
        from anylock._profile import display  # noqa: PLC0415 - not before it is needed

        display.prepare()
    finally:
        sys.path = path
    new = {name: sys.modules[name] for name in set(sys.modules) - before}
    ours = {name: new[name] for name in new if name.partition(".")[0] == "rich"}
    for name in ours:
        del sys.modules[name]  # the program may have one of its own

    def show(report: Report) -> None:
        if sys.stderr is not None and not sys.stderr.closed:
            sys.modules.update(ours)
            display.show(report)

    return show


def attempt(write: Callable[[Report], None], report: Report) -> None:
    """Write a report, or tell why not."""
    try:
        write(report)
    except OSError as error:
        file = "" if error.filename is None else f" {error.filename!r}"
        complain([f"cannot write{file}: {error.strerror}"])
