"""A stage for parts of the soak, in this very process and without chance."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anylock._soak.board import Board
from anylock._soak.subjects import SUBJECTS, Subject
from anylock._soak.workers import Crew
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALL = [subject for subjects in SUBJECTS.values() for subject in subjects]


def subject_of(kind: str, label: str = "lock") -> Subject:
    return next(one for one in SUBJECTS[kind] if one.label == label)


def named(subject: Subject) -> str:
    return f"{subject.kind} {subject.label}"


class Decided:
    """Stands in for a `Random`, and decides as it is told.

    Args:
        chance: What is drawn from 0 to 1: at 0 all happens that may, at 1 nothing.
        preferred: What is chosen where it can be, in this order.
    """

    def __init__(self, chance: float, *preferred: object) -> None:
        self._chance = chance
        self._preferred = preferred

    def random(self) -> float:
        return self._chance

    def uniform(self, lowest: float, _highest: float) -> float:
        return lowest

    def choice(self, seq: Sequence[Any]) -> Any:
        return next((one for one in self._preferred if one in seq), seq[0])


class EndingBoard(Board):
    """A board that ends the round as soon as something has come about."""

    def __init__(self, permits: int, ending: Callable[[Board], object]) -> None:
        super().__init__(3, permits, multiprocessing.get_context("spawn"))
        self._ending = ending

    @property
    def over(self) -> bool:
        return super().over or bool(self._ending(self))


def never(_board: Board) -> bool:
    return False


@dataclass
class Company:
    """A crew, and what it has reported."""

    subject: Subject
    ending: Callable[[Board], object] = never
    forks: bool = False
    lock: Any = None
    patience: float = PATIENCE
    reported: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.board = EndingBoard(self.subject.room, self.ending)
        self.readers: Any = None
        if self.lock is None:
            context = multiprocessing.get_context("spawn")
            folder = tempfile.mkdtemp()
            # A forked child that ends removes it as well.
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            made = self.subject.made(context, Path(folder))
            self.lock, self.readers = self.subject.sides(made)
        self.crew = Crew(
            subject=self.subject,
            lock=self.lock,
            readers=self.readers,
            board=self.board,
            seed="tests",
            ends=float("inf"),
            patience=self.patience,
            forks=self.forks,
            report=self.report,
        )

    def report(self, text: str) -> None:
        self.reported.append(text)
        self.board.end()

    @property
    def entries(self) -> int:
        return sum(self.board.entries().values())

    @property
    def suffered(self) -> dict[str, int]:
        """Fault -> how often it was suffered, if it was."""
        return {fault: n for fault, n in self.board.faults().items() if n}

    def check(self) -> None:
        """Check that all went well, and that nobody wants to be inside any more."""
        assert self.reported == []
        self.board.check()
        assert self.board.wanting() == []


def broken(lock: Any, **traits: Any) -> Company:
    """A company with a lock of the test's own."""
    subject = replace(subject_of("thread"), **traits)
    return Company(subject, lock=lock, patience=0.01)


def after(entries: int) -> Callable[[Board], object]:
    """Let a round end after so many entries."""
    return lambda board: sum(board.entries().values()) >= entries


def after_fault(fault: str, number: int = 1) -> Callable[[Board], object]:
    """Let a round end after a fault was suffered so many times."""
    return lambda board: board.faults()[fault] >= number
