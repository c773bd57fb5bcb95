"""Small scenarios, made from a seed by a grammar.

A scenario has two to four *actors*, threads and tasks of one or two event loops. Each
makes one to three *visits* to the lock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from .loops import HAVE_TRIO

if TYPE_CHECKING:
    from random import Random

Kind = Literal[
    "lock",
    "rlock",
    "semaphore-1",
    "semaphore-2",
    "process-lock",
    "condition",
    "condition-rlock",
    "async-lock",
    "async-semaphore-1",
    "async-semaphore-2",
]

KINDS: tuple[Kind, ...] = (
    "lock",
    "rlock",
    "semaphore-1",
    "semaphore-2",
    "process-lock",
    "condition",
    "condition-rlock",
    "async-lock",
    "async-semaphore-1",
    "async-semaphore-2",
)

_SHARES = (5, 8, 3, 4, 2, 3, 3, 1, 1, 1)
"""How many scenarios of each kind there are, in proportion."""

Way = Literal["enter", "hold", "try", "block"]

Pauses = tuple[float, ...]
"""Each is so many seconds, or a mere turn of others if it is 0."""


@dataclass(frozen=True)
class Visit:
    """How an actor comes to the lock once."""

    way: Way
    """`block` is `with` in a task; `hold` with a time-out, all others without."""
    timeout: float | None = None
    """Seconds; `block` may have them as well."""
    before: Pauses = ()
    """What is done before."""
    inside: Pauses = ()
    """What is done inside."""
    again: Literal["with", "async with"] | None = None
    """How it is entered once more inside, if it is re-entrant."""
    cancelled: Pauses | None = None
    """When the visit is cancelled; None if never."""
    consumes: float | None = None
    """How long it waits inside for what others produce, if it is a condition."""
    produces: int = 0
    """How much it produces inside for others, who are notified."""


Visits = tuple[Visit, ...]


@dataclass(frozen=True)
class Loop:
    """An event loop, in a thread of its own, and its tasks."""

    flavour: Literal["asyncio", "trio"]
    tasks: tuple[Visits, ...]
    closed: Pauses | None = None
    """When it ends although tasks wait; None if it runs until they are done."""
    kept: bool = False
    """Whether what it leaves behind is kept, and not collected at once."""
    interlude: tuple[Pauses, Visits] | None = None
    """When the loop pauses, and what its thread does then."""
    moves: bool = False
    """Whether it goes on in another thread."""


@dataclass(frozen=True)
class Scenario:
    """Who comes to what, and how."""

    kind: Kind
    threads: tuple[Visits, ...]
    loops: tuple[Loop, ...]
    starved: bool = False
    """Whether now and then no thread can be started."""

    def __str__(self) -> str:
        """Tell it, a line for each visit."""
        lines = [f"{self.kind}{', starved' if self.starved else ''}"]
        for visits in self.threads:
            lines += ["  thread", *(f"    {visit}" for visit in visits)]
        for loop in self.loops:
            lines += [
                f"  {loop.flavour}, closed={loop.closed}, kept={loop.kept}",
                f"    interlude={loop.interlude}, moves={loop.moves}",
            ]
            for visits in loop.tasks:
                lines += ["    task", *(f"      {visit}" for visit in visits)]
        return "\n".join(lines)


def permits(kind: Kind) -> int:
    """Say how many may be inside."""
    return 2 if kind.endswith("-2") else 1


def make(random: Random, kinds: tuple[Kind, ...] = KINDS) -> Scenario:
    """Make a scenario from what the generator draws."""
    shares = [_SHARES[KINDS.index(kind)] for kind in kinds]
    return _Grammar(random, random.choices(kinds, shares)[0]).scenario()


class _Grammar:
    def __init__(self, random: Random, kind: Kind) -> None:
        self._random = random
        self._kind = kind
        self._of_one_loop = kind.startswith("async")
        self._semaphore = "semaphore" in kind
        self._condition = kind.startswith("condition")
        # Whether tasks may block by 'with' without a limit. Where they do, nothing else
        # may be in the way that really is a deadlock: a task that has tried and does
        # not let go while its loop is blocked; two loops that wait for each other's
        # permits.
        self._bold = random.random() < 0.5  # noqa: PLR2004 - half of them
        self._loops = 1
        self._eager = random.random() < 0.5  # noqa: PLR2004 - half of them
        """Whether nobody does anything else before."""
        self._hasty = random.random() < 0.3  # noqa: PLR2004 - a third
        """Whether nobody has any patience, so that much is taken back."""
        self._patience = random.choice((0.001, 0.02, 0.3))

    def scenario(self) -> Scenario:
        actors = self._random.randint(2, 4)
        if self._of_one_loop:
            return Scenario(self._kind, (), (self._loop(actors),))
        tasks = self._random.randint(1, actors)
        self._loops = self._random.randint(1, min(2, tasks))
        first = self._random.randint(1, tasks - 1) if self._loops > 1 else tasks
        numbers = (first, tasks - first)[: self._loops]
        threads = tuple(self._visits(in_task=False) for _ in range(actors - tasks))
        loops = tuple(self._loop(number) for number in numbers)
        # A wait for a condition could not end with the lock.
        starved = not self._condition and self._random.random() < 0.1  # noqa: PLR2004 - few
        return Scenario(self._kind, threads, loops, starved)

    def _loop(self, tasks: int) -> Loop:
        trio = HAVE_TRIO and self._random.random() < 0.3  # noqa: PLR2004 - a third
        visits = tuple(self._visits(in_task=True) for _ in range(tasks))
        closed = self._pauses(1, 5) if self._random.random() < 0.2 else None  # noqa: PLR2004 - a fifth
        if self._condition:
            # Who is closed while it waits need not have the lock when it leaves.
            return Loop("trio" if trio else "asyncio", visits)
        # Those of the kind "async" leave the queue when somebody else needs them to.
        kept = self._random.random() < 0.5 and not self._of_one_loop  # noqa: PLR2004 - half
        if trio:
            return Loop("trio", visits, closed)
        if closed is not None or self._of_one_loop or self._random.random() < 0.7:  # noqa: PLR2004 - most
            return Loop("asyncio", visits, closed, kept)
        # One that blocks for ever must know the tasks of its loop by its thread; and
        # what is re-entrant belongs to the thread.
        moves = not self._bold and self._kind != "rlock" and self._random.random() < 0.5  # noqa: PLR2004 - half
        blocks = tuple(self._block() for _ in range(self._random.randint(0, 2)))
        interlude = self._pauses(1, 5), blocks
        return Loop("asyncio", visits, None, kept, interlude, moves)

    def _block(self) -> Visit:
        timeout = None if self._may_block_for_ever() else self._timeout()
        return Visit("block", timeout, (), self._pauses(0, 2))

    def _visits(self, *, in_task: bool) -> Visits:
        number = self._random.randint(1, 3)
        return tuple(self._visit(in_task=in_task) for _ in range(number))

    def _visit(self, *, in_task: bool) -> Visit:
        draw = self._random.random
        ways: list[Way] = ["enter", "enter", "enter", "hold", "try"]
        if in_task and not self._of_one_loop:
            ways += ["block"] * (3 if self._hasty else 1)
        if self._semaphore and self._bold and "try" in ways:
            ways.remove("try")  # who has tried releases by itself, and no one can tell
        way = self._random.choice(ways)
        timeout = self._timeout() if way == "hold" else None
        if way == "block" and not self._may_block_for_ever():
            timeout = self._timeout()
        inside = self._pauses(0, 3)
        if way == "try" and self._bold and in_task:
            inside = ()
        again: Literal["with", "async with"] | None = None
        if self._kind in {"rlock", "condition-rlock"} and draw() < 0.4:  # noqa: PLR2004 - many
            async_too = in_task and way != "block"
            again = "async with" if async_too and draw() < 0.5 else "with"  # noqa: PLR2004 - half
        cancelled = None
        if in_task and draw() < (0.6 if self._condition else 0.35):
            cancelled = self._pauses(0, 4)
        before = () if self._eager else self._pauses(0, 2)
        visit = Visit(way, timeout, before, inside, again, cancelled)
        if not self._condition or way == "block":
            return visit
        # Who has tried in a task has it as its thread, and cannot wait as a task.
        if draw() < 0.5 and not (in_task and way == "try"):  # noqa: PLR2004 - half
            return replace(visit, consumes=self._seconds() + 0.01, inside=())
        return replace(visit, produces=self._random.randint(1, 2))

    def _may_block_for_ever(self) -> bool:
        return (
            self._bold and not self._hasty and (not self._semaphore or self._loops == 1)
        )

    def _timeout(self) -> float:
        # Each another one: of two deadlines at once nobody says which is the first.
        many = 1 if self._hasty else 3
        return self._random.choice((0.0, *(1.0,) * many)) * self._seconds()

    def _seconds(self) -> float:
        return self._random.uniform(0.0001, self._patience)

    def _pauses(self, least: int, most: int) -> Pauses:
        number = self._random.randint(least, most)
        return tuple(
            self._seconds() if self._random.random() < 0.25 else 0.0  # noqa: PLR2004 - few
            for _ in range(number)
        )
