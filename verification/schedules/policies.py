"""Who runs next, and for how long: what a schedule is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from random import Random


class Policy(Protocol):
    """Decides on everything that a schedule leaves open."""

    def stretch(self) -> int:
        """Say after how many shared accesses there is to be a decision."""
        ...

    def choose(
        self, runnable: Sequence[Hashable], current: Hashable | None
    ) -> Hashable:
        """Choose who runs; `current` came to a decision and could go on."""
        ...


class RandomWalk:
    """Whoever is drawn, after stretches around a length that is drawn once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rate = random.choice((1.0, 0.3, 0.1, 0.03))

    def stretch(self) -> int:
        """Say after how many shared accesses there is to be a decision."""
        return 1 + int(self._random.expovariate(self._rate))

    def choose(
        self, runnable: Sequence[Hashable], _current: Hashable | None
    ) -> Hashable:
        """Choose who runs."""
        return self._random.choice(runnable)


class Priorities:
    """The most urgent runs, until it falls behind all others at a few points.

    Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding
    Bugs" (2010): a bug that needs d orderings is found with a probability that falls
    only with the d-th power of the schedule's length. A random walk does not starve
    anybody for long enough to find some of them.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._length = random.choice((30, 100, 300, 1000))
        self._urgency: dict[Hashable, float] = {}
        self._least = 0.0

    def stretch(self) -> int:
        """Say after how many shared accesses there is to be a decision."""
        return self._random.randrange(1, self._length)

    def choose(
        self, runnable: Sequence[Hashable], current: Hashable | None
    ) -> Hashable:
        """Choose who runs; who came to a decision and could go on falls behind."""
        for one in runnable:
            if one not in self._urgency:
                self._urgency[one] = self._random.random()
        if current is not None:
            self._least -= 1
            self._urgency[current] = self._least
        return max(runnable, key=self._urgency.__getitem__)
