"""The record that the workers of a round share, in memory that processes share.

Who is inside updates it in several steps, none of which is atomic together with the
next, and looks around at each whether too many are inside. So two that were ever inside
together leave a check-sum that is wrong, a count that is not the sum of what all of
them say they have added, or find one another.
"""

from __future__ import annotations

import os
from ctypes import c_double, c_int64
from operator import eq, mul
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

COLOURS = ("with", "async with")
FAULTS = (
    "time-out",
    "cancellation",
    "loop cancelled",
    "loop closed",
    "signal",
    "fork",
    "process ended",
    "process stopped",
    "process killed",
    "death told",
    "deadlock told",
)

_OVER, _COUNT, _LAST, _CHAIN, _CHECK, _HEADER = range(6)
_INSIDE, _VISITS, _UPDATES, _PROCESS, _DIED, _COUNTS = range(6)
"""The columns of a row: the process by which it is inside, how often it was, what of
that it has added, the process at work, or minus that if it is being killed, whether it
was inside then, and numbers."""
_COLUMNS = _COUNTS + len(COLOURS) + len(FAULTS)
_WANTS, _WORST = range(2)
"""The columns of times: since when it wants to be inside, and its worst waits."""
_TIMES = _WORST + len(COLOURS)
_MASK = (1 << 62) - 1


class Violation(Exception):  # noqa: N818 - it is what happened
    """What must never happen has happened."""


class Board:
    """What the workers of a round have done so far.

    Each row is of one worker, and only that one writes it; the head is written by who
    is inside. Who kills a process writes to the rows of that while it is stopped, and
    who is told that somebody died inside to the row of the dead. Can be handed to a
    process when that is started.

    Args:
        rows: How many workers there are.
        permits: How many of them may be inside.
        context: The `multiprocessing` context of the processes.
    """

    def __init__(self, rows: int, permits: int, context: Any) -> None:
        self.rows = rows
        self.permits = permits
        # Column by column, so that to look around is one slice.
        self.numbers: Any = context.RawArray(c_int64, _HEADER + rows * _COLUMNS)
        self.times: Any = context.RawArray(c_double, rows * _TIMES)
        self.numbers[_CHECK] = _digest(0, 0, 0)

    @property
    def over(self) -> bool:
        """Whether the round ends: nobody begins anything more."""
        return bool(self.numbers[_OVER])

    def end(self) -> None:
        """Let the round end."""
        self.numbers[_OVER] = 1

    def inside(self) -> int:
        """Say how many are inside, or a few more if some leave while others come."""
        return self.rows - self.column(_INSIDE).count(0)

    def at_work(self, process: int) -> bool:
        """Say whether anybody has been inside by that process."""
        return process in self.column(_PROCESS)

    def rows_inside(self) -> list[int]:
        """Say which rows are inside."""
        return [row for row, by in enumerate(self.column(_INSIDE)) if by]

    def inside_together(self) -> int:
        """Say how many are inside at one moment, at least."""
        # Who is seen inside, and has not come anew since before, was so all the time.
        before = self.column(_VISITS)
        inside = self.column(_INSIDE)
        after = self.column(_VISITS)
        return sum(map(mul, map(bool, inside), map(eq, before, after)))

    def column(self, column: int) -> list[int]:
        """Return one column of numbers, of all rows."""
        begin = _HEADER + column * self.rows
        found: list[int] = self.numbers[begin : begin + self.rows]
        return found

    def times_of(self, column: int) -> list[float]:
        """Return one column of times, of all rows."""
        begin = column * self.rows
        found: list[float] = self.times[begin : begin + self.rows]
        return found

    def entries(self) -> dict[str, int]:
        """Say how often anybody got in, by colour."""
        return {c: sum(self.column(_COUNTS + i)) for i, c in enumerate(COLOURS)}

    def faults(self) -> dict[str, int]:
        """Say how many faults there were, by type."""
        first = _COUNTS + len(COLOURS)
        return {f: sum(self.column(first + i)) for i, f in enumerate(FAULTS)}

    def worst_waits(self) -> dict[str, float]:
        """Say how many seconds somebody waited at most before it got in, by colour."""
        return {c: max(self.times_of(_WORST + i)) for i, c in enumerate(COLOURS)}

    def wanting(self) -> list[int]:
        """Say which rows want to be inside."""
        return [row for row, since in enumerate(self.times_of(_WANTS)) if since]

    def doom(self, rows: Iterable[int], process: int) -> None:
        """Note that this process, of these rows, is being killed."""
        inside = self.column(_INSIDE)
        for row in rows:
            self.numbers[self.place(row, _PROCESS)] = -process
            # Not a child that it forked, which lives on, nor one who died before.
            if inside[row] == process:
                self.numbers[self.place(row, _DIED)] = 1

    def renew(self, rows: Iterable[int]) -> None:
        """Let another process have the rows of one that was killed."""
        for row in rows:
            self.numbers[self.place(row, _PROCESS)] = 0
            self.times[row] = 0.0

    def mend(self) -> None:
        """Mend the record after a death inside, for who is inside and was told.

        Raises:
            Violation: It was not left so by one who died there.
        """
        inside = self.rows_inside()
        died = self.column(_DIED)
        if not all(died[row] for row in inside):
            message = f"overlap: who was told of a death finds {inside} inside"
            raise Violation(message)
        count, last, chain, _ = self.record()
        acknowledged = sum(self.column(_UPDATES))
        if count - acknowledged not in {0, 1}:
            raise Violation(_lost(acknowledged, count))
        # In this order, as we may be killed: whether anybody died inside comes last.
        self.numbers[_COUNT] = acknowledged
        self.numbers[_CHECK] = _digest(acknowledged, last, chain)
        for row in inside:
            self.numbers[self.place(row, _INSIDE)] = 0
        for row in range(self.rows):
            self.numbers[self.place(row, _DIED)] = 0

    def check_told(self) -> None:
        """Check, for who comes in untold, that nobody has died inside.

        Raises:
            Violation: Somebody has.
        """
        died = [row for row, has in enumerate(self.column(_DIED)) if has]
        if died:
            message = (
                f"workers {died} were killed inside, and who came next was not told"
            )
            raise Violation(message)

    def place(self, row: int, column: int) -> int:
        """Say where among the numbers that of a row is."""
        return _HEADER + column * self.rows + row

    def check(self) -> None:
        """Check the record, when nobody uses it any more.

        Raises:
            Violation: It is not what it should be.
        """
        if self.inside():
            message = f"{self.inside()} are inside still, and nobody is there"
            raise Violation(message)
        count, last, chain, check = self.record()
        if _digest(count, last, chain) != check:
            raise Violation(_torn(count, last))
        acknowledged = sum(self.column(_UPDATES))
        if self.permits == 1 and count != acknowledged:
            raise Violation(_lost(acknowledged, count))

    def record(self) -> tuple[int, int, int, int]:
        """Read the record."""
        count, last, chain, check = self.numbers[_COUNT:_HEADER]
        return count, last, chain, check


class Row:
    """The row of one worker."""

    def __init__(self, board: Board, number: int) -> None:
        self._board = board
        self._number = number

    def wants(self) -> None:
        """Note that the worker wants to be inside, from now on."""
        self._board.times[self._number] = monotonic()

    def gives_up(self) -> None:
        """Note that it does not want that any more."""
        self._board.times[self._number] = 0.0

    def suffers(self, fault: str) -> None:
        """Count a fault."""
        self._count(_COUNTS + len(COLOURS) + FAULTS.index(fault))

    @property
    def doomed(self) -> bool:
        """Whether the process of this row is being killed, or has been."""
        process: int = self._board.numbers[self._place(_PROCESS)]
        return process < 0

    def visit(self, colour: str, *, told: bool = False) -> Generator[None]:
        """Be inside, and update the record; yields between the steps of that.

        Who closes it before its end has not updated the record.

        Args:
            colour: By which one it came in.
            told: Whether the lock says that the last one died inside.

        Raises:
            Violation: Too many are inside, or the record is not what it should be.
        """
        self._enter(colour)
        board = self._board
        if told:
            self.suffers("death told")
            board.mend()
        else:
            board.check_told()
        self._count(_VISITS)
        self._set(_INSIDE, os.getpid())
        try:
            self._look_around()
            if board.permits == 1:
                yield from self._update()
            else:
                yield
            self._look_around()
            self._count(_UPDATES)
        finally:
            self._set(_INSIDE, 0)

    def look(self, colour: str, *, told: bool = False) -> Generator[None]:
        """Read the record, and look whether it stays as it is; yields in between.

        Args:
            colour: By which one it came in.
            told: Whether the lock says that the last one who wrote died inside.

        Raises:
            Violation: Somebody writes, or the record is not what it should be.
        """
        self._enter(colour)
        board = self._board
        seen = board.record()
        if not told:
            board.check_told()
            count, last, chain, check = seen
            if _digest(count, last, chain) != check:
                raise Violation(_torn(count, last))
        writers = board.rows_inside()
        for _ in range(2):
            yield
            if board.record() != seen or board.rows_inside() != writers:
                message = "overlap: somebody wrote while another read"
                raise Violation(message)
        if writers and not told:
            message = f"overlap: {writers} are inside to write while another reads"
            raise Violation(message)

    def _enter(self, colour: str) -> None:
        index = COLOURS.index(colour)
        since = self._board.times[self._number]
        if since:
            place = (_WORST + index) * self._board.rows + self._number
            waited = monotonic() - since
            self._board.times[place] = max(self._board.times[place], waited)
        self.gives_up()
        self._count(_COUNTS + index)
        if not self._board.numbers[self._place(_PROCESS)]:
            # From now on it may be killed. If it could be before, nobody might get in.
            self._set(_PROCESS, os.getpid())

    def _update(self) -> Generator[None]:
        numbers = self._board.numbers
        seen = count, last, chain, check = self._board.record()
        if _digest(count, last, chain) != check:
            raise Violation(_torn(count, last))
        try:
            yield
            numbers[_COUNT] = count = count + 1
            yield
            numbers[_LAST] = last = self._number
            numbers[_CHAIN] = chain = _digest(chain, last, count)
            yield
            numbers[_CHECK] = _digest(count, last, chain)
        except GeneratorExit:  # cancelled, or interrupted, at one of the yields
            self._look_around()
            numbers[_COUNT:_HEADER] = seen
            raise

    def _look_around(self) -> None:
        board = self._board
        inside = board.inside()
        if inside > board.permits > 1:
            inside = board.inside_together()
        if inside > board.permits:
            message = f"overlap: {inside} are inside, of {board.permits} at the most"
            raise Violation(message)

    def _place(self, column: int) -> int:
        return self._board.place(self._number, column)

    def _set(self, column: int, number: int) -> None:
        self._board.numbers[self._place(column)] = number

    def _count(self, column: int) -> None:
        self._board.numbers[self._place(column)] += 1


def _digest(*numbers: int) -> int:
    """Mix numbers, the same in each process, of 62 bits."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ number) * 0x5851F42D4C957F2D + 0x14057B7EF767814F) & _MASK
        mixed ^= mixed >> 29
    return mixed & _MASK


def _lost(acknowledged: int, count: int) -> str:
    return f"lost update: {acknowledged} were acknowledged, {count} are there"


def _torn(count: int, last: int) -> str:
    return f"the check-sum is wrong after update {count}, of worker {last}"
