"""Stacks that are cheap to take and are made readable only when somebody reads them."""

from __future__ import annotations

import linecache
import os
import sys
from traceback import FrameSummary, StackSummary
from typing import TYPE_CHECKING, Any, NamedTuple

from anylock.debug._settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - a prefix

_sys: Any = sys
get_frame: Callable[[int], FrameType] = _sys._getframe  # noqa: SLF001 - public but in name
"""Returns the frame so many levels above."""

RawStack = tuple[tuple["CodeType", int], ...]
"""Code and the index of its instruction, the innermost first.

Not line numbers: to look one up takes as long as the rest of a frame.
"""


def capture(depth: int, frame: FrameType | None) -> RawStack:
    """Take the stack of that frame and those that called it."""
    taken: list[tuple[CodeType, int]] = []
    while frame is not None and depth:
        taken.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
        depth -= 1
    return tuple(taken)


class Stack:
    """A stack that was taken some time ago: iterate over it, or print it.

    Args:
        raw: As in events.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: RawStack) -> None:
        self.raw: RawStack = raw

    def __iter__(self) -> Iterator[FrameSummary]:
        """Give the frames, the outermost first, without ours and hidden ones."""
        shown = [each for each in self.raw if not is_hidden(each[0].co_filename)]
        for code, index in reversed(shown or self.raw):
            line = _line(code, index)
            yield FrameSummary(code.co_filename, line, code.co_name, lookup_line=False)

    def __str__(self) -> str:
        return "".join(StackSummary.from_list(list(self)).format()).rstrip()

    @property
    def place(self) -> str:
        """The innermost place in it, in one line."""
        frames = list(self)
        if not frames:
            return "an unknown place"
        last = frames[-1]
        return f"{last.filename}:{last.lineno} in {last.name}"


def is_hidden(file: str) -> bool:
    """Say whether the code of that file is ours, or not to be shown."""
    return file.startswith((_OURS, *settings.hidden))


def _line(code: CodeType, index: int) -> int:
    for start, end, line in code.co_lines():
        if start <= index < end and line is not None:
            return line
    return code.co_firstlineno


class Site(NamedTuple):
    """Where a lock was made."""

    file: str
    line: int
    function: str
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def source(self) -> str:
        """The line of code; empty if it is not to be had."""
        return linecache.getline(self.file, self.line).strip()


def site_of(frame: FrameType) -> Site:
    """Return the innermost place that is not hidden, or else the outermost."""
    while frame.f_back is not None and is_hidden(frame.f_code.co_filename):
        frame = frame.f_back
    code = frame.f_code
    module = str(frame.f_globals.get("__name__", "?"))
    return Site(code.co_filename, frame.f_lineno, code.co_name, module)
