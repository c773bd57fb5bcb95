"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        name: What the command line calls it.
        turns: How many fresh interpreters execute a statement, per contender.
        values: How many times each of them is timed, after it has warmed up.
        value: Seconds that each of these takes at least.
        runs: How many interpreters run a crowd, or a queue of waiters.
        window: Seconds for which a crowd is watched.
        idle: Seconds of a wait whose processor time is counted.
        imports: How many interpreters import each module.
        thin: Whether every other number of contenders is left out.
        many: How many locks are made for the size of one among many.
    """

    name: str
    turns: int
    values: int
    value: float
    runs: int
    window: float
    idle: float
    imports: int
    thin: bool
    many: int

    def some(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Give the numbers of contenders that are measured."""
        return numbers[::2] if self.thin else numbers


QUICK = Effort(
    "quick",
    turns=4,
    values=3,
    value=0.002,
    runs=2,
    window=0.1,
    idle=4.0,
    imports=5,
    thin=True,
    many=100_000,
)
USUAL = Effort(
    "usual",
    turns=6,
    values=5,
    value=0.01,
    runs=3,
    window=0.2,
    idle=5.0,
    imports=10,
    thin=False,
    many=1_000_000,
)
FULL = Effort(
    "full",
    turns=10,
    values=5,
    value=0.015,
    runs=5,
    window=0.25,
    idle=10.0,
    imports=25,
    thin=False,
    many=1_000_000,
)

EFFORTS = {effort.name: effort for effort in (QUICK, USUAL, FULL)}
