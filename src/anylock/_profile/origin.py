"""Where a lock is made, whether that is in the program, and what it is called there.

A lock is the program's if the program or one of its libraries makes it. What the
standard library makes for itself stays as it is: it runs below the profiler as well
(`threading.Thread` makes locks for its own start, `logging` takes one for each line),
and the program can do nothing about it.
"""

from __future__ import annotations

import copy
import copyreg
import multiprocessing.context
import os
import re
import sysconfig
from typing import TYPE_CHECKING

from anylock.debug import Site

if TYPE_CHECKING:
    from types import FrameType

_STANDARD = tuple(
    {sysconfig.get_path(each) + os.sep for each in ("stdlib", "platstdlib")}
)
_NOT_STANDARD = ("site-packages", "dist-packages", f"test{os.sep}")
"""Below it: what is installed; and CPython's tests, which we have to pass."""

_TRANSPARENT = (
    os.path.dirname(__file__) + os.sep,  # noqa: PTH120 - a prefix
    multiprocessing.context.__file__,
    # A copy, of a lock of asyncio: the program's if the lock was.
    copy.__file__,
    copyreg.__file__,
    # The __init__ of data classes, and of attrs: the line that calls it is meant.
    "<string>",
    "<attrs generated",
)

_VARIABLE = r"[^\W\d][\w.]*(?:\[[^]=]*])?"
_SETTING = re.compile(rf"\s*({_VARIABLE}(?:\s*,\s*{_VARIABLE})*)\s*(?::[^=()]*)?=(?!=)")
# A walrus, or an argument.
_MAKING = re.compile(
    rf"(?<![\w.\])])({_VARIABLE})\s*:?=\s*[\w.]*(?:Lock|Semaphore|Condition)\("
)


enabled = False
"""Whether there are to be stand-ins."""


def origin(frame: FrameType | None, *, always: bool = False) -> Site | None:
    """Return where the program makes a lock; None if it is not the program that does.

    Args:
        frame: Who asks for the lock.
        always: Whether it is the program's in any case.
    """
    if always and frame is not None:
        return site_at(frame)
    if not enabled:
        return None
    while frame is not None and frame.f_code.co_filename.startswith(_TRANSPARENT):
        frame = frame.f_back
    if frame is None or is_standard(frame.f_code.co_filename):
        return None
    return site_at(frame)


def site_at(frame: FrameType) -> Site:
    """Return the place of a frame, with the name that its module is imported by."""
    code, names = frame.f_code, frame.f_globals
    module = str(names.get("__name__", "?"))
    if module == "__main__" and names.get("__spec__") is not None:
        module = names["__spec__"].name
    return Site(code.co_filename, frame.f_lineno, code.co_name, module)


_standard: dict[str, bool] = {}


def is_standard(file: str) -> bool:
    """Say whether that is a file of the standard library."""
    known = _standard.get(file)
    if known is None:
        known = file.startswith("<frozen ")
        for folder in _STANDARD:
            rest = file.removeprefix(folder)
            known |= rest != file and not rest.startswith(_NOT_STANDARD)
        _standard[file] = known
    return known


_names: dict[Site, str] = {}


def name_of(site: Site) -> str:
    """Return what a lock is called: its module, line, and variable if that is plain."""
    name = _names.get(site)
    if name is None:
        module, source = site.module, site.source
        if module == "__main__":
            file = os.path.basename(site.file)  # noqa: PTH119 - maybe there is none
            module = file.removesuffix(".py")
        found = _SETTING.match(source) or _MAKING.search(source)
        variable = f" {found[1]}" if found else ""
        name = _names[site] = f"{module}:{site.line}{variable}"
    return name
