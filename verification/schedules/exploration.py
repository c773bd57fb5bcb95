"""Runs one seed: its scenario, under its schedule, with all that is to be so."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from anylock import (
    AsyncLock,
    AsyncSemaphore,
    ThreadCondition,
    ThreadLock,
    ThreadRLock,
    ThreadSemaphore,
)

from . import inspection, loops, patches, scenarios
from .actors import Actors, Section
from .policies import Priorities, RandomWalk
from .scheduler import Scheduler
from .tracing import GRAINS, HAS_MONITORING, Counter, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from .scenarios import Kind, Scenario
    from .tracing import Grain

_MAKERS: dict[Kind, Callable[[], Any]] = {
    "lock": ThreadLock,
    "rlock": ThreadRLock,
    "semaphore-1": partial(ThreadSemaphore, 1),
    "semaphore-2": partial(ThreadSemaphore, 2),
    "process-lock": patches.process_lock,
    "condition": lambda: ThreadCondition(ThreadLock()),
    "condition-rlock": ThreadCondition,
    "async-lock": AsyncLock,
    "async-semaphore-1": partial(AsyncSemaphore, 1),
    "async-semaphore-2": partial(AsyncSemaphore, 2),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a seed."""

    seed: int
    scenario: Scenario
    failure: str | None
    trace: tuple[str, ...]
    visits: int
    """How often an actor was inside."""


def explore(
    seed: int, kinds: tuple[Kind, ...] = scenarios.KINDS, grain: Grain | None = None
) -> Outcome:
    """Run a seed; the same one again does exactly the same.

    Args:
        seed: Decides on everything that is not an argument.
        kinds: What may be visited.
        grain: Where threads are switched; drawn by default.
    """
    random = Random(seed)  # noqa: S311 - no secret
    scenario = scenarios.make(random, kinds)
    policy = random.choice((RandomWalk, Priorities))(random)
    chosen = random.choice(GRAINS) if grain is None else grain
    # The collector comes when it is called: it runs finalizers, which are code of the
    # locks, and it would not come at the same moment twice.
    gc.collect()
    gc.freeze()
    scheduler = Scheduler(random, policy, None if HAS_MONITORING else trace)
    patches.begin(scheduler)
    Counter(chosen)
    loops.seed_trio(random)
    unraisable = sys.unraisablehook
    sys.unraisablehook = lambda it: scheduler.fail(f"{it.object!r}: {it.exc_value!r}")
    try:
        visits = _play(scheduler, scenario)
    finally:
        sys.unraisablehook = unraisable
    return Outcome(seed, scenario, scheduler.failure, tuple(scheduler.trace), visits)


def _play(scheduler: Scheduler, scenario: Scenario) -> int:
    lock = _MAKERS[scenario.kind]()
    permits = scenarios.permits(scenario.kind)
    section = Section(scheduler, permits)
    actors = Actors(scheduler, lock, section)
    scheduler.starved = scenario.starved
    for number, visits in enumerate(scenario.threads):
        scheduler.spawn(f"thread {number}", partial(actors.thread, visits))
    for number, loop in enumerate(scenario.loops):
        scheduler.spawn(f"loop {number}", partial(actors.loop, loop))
    of_tasks = scenario.kind.startswith("async")
    if not of_tasks:
        scheduler.at_rest = partial(inspection.while_all_wait, lock, section)
    scheduler.run()
    scheduler.starved = False
    if scheduler.failure is None:
        look = _look_as_task if of_tasks else _look
        scheduler.spawn("inspector", partial(look, scheduler, lock, scenario.kind))
        scheduler.run()
    return section.visits


def _look(scheduler: Scheduler, lock: Any, kind: Kind) -> None:
    permits = scenarios.permits(kind)
    for look in (
        inspection.complaints(lock, permits),
        inspection.use(inspection.lock_of(lock)),
        inspection.complaints(lock, permits),
    ):
        for complaint in look:
            scheduler.fail(f"when all were gone: {complaint}")


def _look_as_task(scheduler: Scheduler, lock: Any, kind: Kind) -> None:
    flavour = loops.Asyncio(scheduler)
    permits = scenarios.permits(kind)
    for complaint in inspection.of_tasks(lock, kind, permits, flavour):
        scheduler.fail(f"when all were gone: {complaint}")
