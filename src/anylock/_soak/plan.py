"""What happens in a round, drawn from the seed.

Equal seeds give equal plans where the same Python and event loops are installed, and
each worker makes the same choices in the same order. How these interleave is up to the
operating system, so that the round may end otherwise.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING

from anylock._soak.kills import KILLS
from anylock._soak.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anylock._soak.subjects import Subject

ENDINGS = ("over", "cancelled", "closed")
"""How event loops end: when the round does, by cancellation, or closed amid it all."""


@dataclass(frozen=True)
class Loop:
    """Event loops that run one after the other in a thread."""

    library: str
    endings: str
    rows: tuple[int, ...]
    """One for each task."""


@dataclass(frozen=True)
class Cast:
    """Who works in one process."""

    threads: tuple[int, ...]
    """The rows of the threads."""
    loops: tuple[Loop, ...]
    storm: int | None
    """The row of the main thread, if signal handlers raise in it."""
    life: float | None
    """Seconds after which another process takes its place; None for never."""

    @property
    def rows(self) -> set[int]:
        """All rows of the process."""
        rows = {*self.threads, *(row for loop in self.loops for row in loop.rows)}
        return rows if self.storm is None else {*rows, self.storm}


@dataclass(frozen=True)
class Plan:
    """What happens in a round."""

    seed: str
    """Of the round: that of the soak, and the number of the round."""
    subject: Subject
    seconds: float
    start_method: str
    switch_interval: float | None
    """Seconds after which Python lets another thread run; None for the usual."""
    forks: bool
    kills: float | None
    """Seconds from a process that is stopped or killed to the next; None for never."""
    cast: tuple[Cast, ...]
    """The processes."""
    rows: int

    def __str__(self) -> str:
        faults = [name for name in ("forks", "kills") if getattr(self, name)]
        faults += ["signals"] * any(cast.storm is not None for cast in self.cast)
        faults += ["ending processes"] * any(
            cast.life is not None for cast in self.cast
        )
        loops = [f"{p.library} {p.endings}" for cast in self.cast for p in cast.loops]
        threads = sum(len(cast.threads) for cast in self.cast)
        parts = [f"{len(self.cast)} processes ({self.start_method})"] * (
            len(self.cast) > 1
        )
        parts += [f"{threads} threads"] * bool(threads)
        parts += [f"loops ({', '.join(loops)})"] * bool(loops)
        parts += faults
        return (
            f"round {self.seed.partition('/')[2]}, {self.subject.kind} "
            f"{self.subject.label}: {', '.join(parts)}"
        )


def plans(seed: int, kinds: Sequence[str], seconds: float) -> Iterator[Plan]:
    """Draw one plan after the other, without end, of all kinds in turn."""
    order = {kind: _shuffled(seed, kind) for kind in kinds}
    number = 0
    while True:
        for kind in kinds:
            subject = order[kind][number // len(kinds) % len(order[kind])]
            yield _draw(f"{seed}/{number}", subject, seconds)
            number += 1


def _shuffled(seed: int, kind: str) -> list[Subject]:
    subjects = list(SUBJECTS[kind])
    Random(f"{seed}/{kind}").shuffle(subjects)  # noqa: S311 - no secrets here
    return subjects


def _chance(random: Random, probability: float) -> bool:
    return random.random() < probability


def _draw(seed: str, subject: Subject, seconds: float) -> Plan:
    random = Random(seed)  # noqa: S311 - no secrets here
    methods = [
        m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()
    ]
    start_method = random.choice(methods if subject.shared else methods[:1])
    rows = iter(range(1000))
    beside_tasks = _chance(random, 0.8)
    kills = None
    if subject.on_file and KILLS:
        kills = random.choice([None, 0.03, 0.01, 0.01])
    if kills:
        # A handler that raises on the first line inside leaves, told and unheard.
        subject_there = replace(subject, storm=False, storm_beside_tasks=False)
    else:
        subject_there = subject
    cast = tuple(
        _draw_cast(random, subject_there, rows, seconds, beside_tasks=beside_tasks)
        for _ in range(random.randint(2, 3) if subject.shared else 1)
    )
    return Plan(
        seed=seed,
        subject=subject,
        seconds=seconds,
        start_method=start_method,
        switch_interval=random.choice([None, None, 1e-6, 1e-4]),
        forks=subject.forks and "fork" in methods and _chance(random, 0.5),
        kills=kills,
        cast=cast,
        rows=next(rows),
    )


def _draw_cast(
    random: Random,
    subject: Subject,
    rows: Iterator[int],
    seconds: float,
    *,
    beside_tasks: bool,
) -> Cast:
    most = subject.loops_at_a_time
    if subject.threads and not beside_tasks:
        most = 0
    number = random.randint(min(1, most), most)
    loops = [_draw_loop(random, rows) for _ in range(number)]
    storm = subject.storm_beside_tasks if loops or beside_tasks else subject.storm
    threads = random.randint(1, 3) if subject.threads else 0
    life = random.uniform(0.2, 0.8) * seconds if _chance(random, 0.3) else None
    return Cast(
        threads=tuple(next(rows) for _ in range(threads)),
        loops=tuple(loops),
        storm=next(rows) if storm and _chance(random, 0.5) else None,
        life=life if subject.shared else None,
    )


def _draw_loop(random: Random, rows: Iterator[int]) -> Loop:
    endings = random.choice(ENDINGS)
    # Nobody can close the loop of trio while its tasks wait.
    trio = endings != "closed" and find_spec("trio") is not None
    library = random.choice(["asyncio", "trio"] if trio else ["asyncio"])
    return Loop(
        library, endings, tuple(next(rows) for _ in range(random.randint(2, 5)))
    )
