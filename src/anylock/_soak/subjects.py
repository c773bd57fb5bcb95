"""What can be soaked: the members of the family, kind by kind, and what each allows.

A new kind is one more row here.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock import make_condition, make_lock, make_rlock, make_rwlock, make_semaphore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Subject:
    """A member of the family, of one kind, and which faults it is promised to bear."""

    kind: str
    label: str
    make: Callable[..., Any]
    """Makes it; can be pickled. Takes `path` if it is `on_file`, or else `context` if
    it is `shared`."""
    permits: int | None = None
    """How many may be inside, of a semaphore; None for one at a time."""
    reentrant: bool = False
    waits: bool = False
    """Whether it is a condition."""
    shared: bool = False
    """Whether processes share it."""
    loops_at_a_time: int = 2
    """How many event loops may use it at the same time."""
    threads: bool = True
    """Whether threads that belong to no event loop may use it."""
    blocks_loops: bool = False
    """Whether `with`, without a time limit, ends in the thread of an event loop."""
    storm: bool = False
    """Whether signal handlers may raise in a `with` while only threads use it."""
    storm_beside_tasks: bool = False
    """Whether they may while tasks use it."""
    storm_on_way_out: bool = True
    """Whether they may at the end of the `with`, and not only at its beginning."""
    forks: bool = False
    """Whether it is defined what a forked child may do with it."""
    fresh_in_children: bool = False
    """Whether it is as new in a forked child."""
    read_write: bool = False
    """Whether it is a pair of locks, to read by and to write by."""
    on_file: bool = False
    """Whether processes meet by its path, and it survives any of them: these may be
    killed, and who comes next is told by `abandoned`."""

    @property
    def room(self) -> int:
        """How many may be inside."""
        return self.permits or 1

    def sides(self, made: Any) -> tuple[Any, Any]:
        """Return the lock to write by, and that to read by, or None."""
        return (made.write, made.read) if self.read_write else (made, None)

    def made(self, context: Any, folder: Path) -> Any:
        """Make one, for processes of that context, or in that folder, if so shared."""
        if self.on_file:
            return self.make(path=folder / "lock")
        return self.make(context=context) if self.shared else self.make()


def _family(kind: str, **traits: Any) -> list[Subject]:
    """List the members that a kind has, all of which have these traits."""
    one_at_a_time = Subject(kind, "lock", partial(make_lock, kind), **traits)
    # docs/locks.md, "Signals": C methods, or Python that is as careful from 3.11 on.
    # Not so the way out of a re-entrant lock beside tasks and of a bounded semaphore,
    # nor the way into a condition.
    storm = kind in {"process", "thread"} and hasattr(signal, "setitimer")
    beside_tasks = storm and sys.version_info >= (3, 11)
    members = [
        replace(
            one_at_a_time,
            blocks_loops=kind != "async",
            storm=storm,
            storm_beside_tasks=beside_tasks,
        ),
        replace(
            one_at_a_time,
            label="rlock",
            make=partial(make_rlock, kind),
            reentrant=True,
            blocks_loops=kind != "async",
            storm=storm,
        ),
        replace(
            one_at_a_time,
            label="condition",
            make=partial(make_condition, kind),
            waits=True,
            loops_at_a_time=0 if kind == "process" else traits["loops_at_a_time"],
            forks=False,
        ),
    ]
    for permits, bounded in ((1, False), (3, False), (2, True)):
        semaphore = replace(
            one_at_a_time,
            label=f"{'bounded ' * bounded}semaphore of {permits}",
            make=partial(make_semaphore, kind, permits, bounded=bounded),
            permits=permits,
            storm=storm and not bounded,
            storm_beside_tasks=beside_tasks and not bounded,
        )
        members.append(semaphore)
    if kind != "process":
        members.append(_read_write(one_at_a_time))
    return members


def _read_write(subject: Subject) -> Subject:
    return replace(
        subject,
        label="read-write lock",
        make=partial(make_rwlock, subject.kind),
        read_write=True,
        # On a file not, behind a task of that loop that was let in to read and sleeps.
        blocks_loops=subject.kind == "thread",
        storm=False,
        storm_beside_tasks=False,
        forks=subject.on_file,
    )


def _reset(subject: Subject) -> Subject:
    return replace(
        subject,
        label=f"{subject.label}, reset after fork",
        make=partial(subject.make, reset_after_fork=True),
        fresh_in_children=True,
    )


_MACHINE = Subject(
    "machine",
    "lock",
    partial(make_lock, "machine"),
    shared=True,
    blocks_loops=True,
    # docs/machine.md: "A signal handler that raises".
    storm=hasattr(signal, "setitimer") and sys.version_info >= (3, 11),
    storm_beside_tasks=hasattr(signal, "setitimer") and sys.version_info >= (3, 11),
    storm_on_way_out=False,
    forks=True,
    on_file=True,
)

_THREAD = _family("thread", loops_at_a_time=2, forks=True)

SUBJECTS: dict[str, list[Subject]] = {
    "thread": [*_THREAD, *(_reset(one) for one in _THREAD if one.forks)],
    "process": _family("process", loops_at_a_time=2, shared=True, forks=True),
    "machine": [
        _MACHINE,
        replace(
            _MACHINE, label="fair lock", make=partial(make_lock, "machine", fair=True)
        ),
        _read_write(_MACHINE),
    ],
    "async": _family("async", loops_at_a_time=1, threads=False),
}
"""Kind -> what of it is soaked, one after the other."""
