"""The stacks of a report, each of them once, by number."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anylock._profile.origin import is_standard
from anylock.debug import Stack

if TYPE_CHECKING:
    from anylock.debug import RawStack


FOR = ", for "
"""Between a place and its caller."""


@dataclass(frozen=True)
class Frame:
    """A place in a stack: its file, line, function, and the line of code."""

    file: str
    line: int
    function: str
    source: str


_NOWHERE = Frame("?", 0, "?", "")


class StackTable:
    """Stacks by number, the outermost frame of each first."""

    def __init__(self) -> None:
        self.stacks: list[list[Frame]] = []
        self._numbers: dict[tuple[tuple[int, int], ...], int] = {}

    def number(self, raw: RawStack) -> int:
        """Return the number of a stack."""
        # Not by the code itself, the hash of which is that of all of its instructions.
        # The events keep it alive.
        key = tuple((id(code), index) for code, index in raw)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.stacks)
            self.stacks.append(
                [
                    Frame(
                        each.filename,
                        each.lineno or 0,
                        each.name,
                        linecache.getline(each.filename, each.lineno or 0).strip(),
                    )
                    for each in Stack(raw)
                ]
            )
        return number

    def place(self, number: int) -> str:
        """Return the innermost place of a stack in one line, and that which calls it.

        Locks are often taken by a decorator or a small method; who called that is what
        tells one from another. That an event loop or a pool did does not.
        """
        last, *callers = self.stacks[number][:-3:-1] or [_NOWHERE]
        frames = [last, *(each for each in callers if not is_standard(each.file))]
        return FOR.join(f"{e.file}:{e.line} in {e.function}" for e in frames)
