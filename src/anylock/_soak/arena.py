"""One process of a round: its threads and event loops, and what is left behind."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from anylock._soak.board import Violation
from anylock._soak.forks import DUMP
from anylock._soak.loops import run_loops
from anylock._soak.storm import weather
from anylock._soak.workers import Crew, Worker, report_what_nobody_catches

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.board import Board
    from anylock._soak.plan import Plan

_ON_FIRST_USE = tuple(
    f"anylock._bridge.{name}" for name in ("lock", "rlock", "semaphore")
)
"""What a lock imports when its first task comes: a child that is forked amid that would
inherit half a module. And trio takes long, while the others are at work."""


@dataclass(frozen=True)
class Stage:
    """What the processes of a round share; can be handed to one when it is started."""

    plan: Plan
    board: Board
    lock: Any
    """What they use; None if each makes one."""
    patience: float
    """Seconds after which something is taken never to happen."""
    reports: Any
    """A queue, for what must never happen."""


def work(stage: Stage, place: str) -> None:
    """Do what one process of a round does.

    Args:
        stage: What it shares with the others.
        place: Which of the processes, and the how-manieth in that place: "1.2".
    """
    plan = stage.plan
    crew = _settle(stage, place)
    cast = plan.cast[int(place.partition(".")[0])]
    todo: list[Callable[[], None]] = [
        *(Worker(crew, row).work for row in cast.threads),
        *(partial(run_loops, crew, loop) for loop in cast.loops),
    ]
    threads = [threading.Thread(target=crew.guarded, args=(one,)) for one in todo]
    if cast.storm is not None:
        gc.disable()  # a finalizer is no place for handlers that raise
    for thread in threads:
        thread.start()
    if cast.storm is not None:
        crew.guarded(partial(weather, crew, cast.storm))
    # Whoever watches us ends us long before if we hang, unless that was killed.
    deadline = monotonic() + plan.seconds + 4 * stage.patience
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
        if thread.is_alive():
            os._exit(1)
    if stage.lock is None:
        crew.guarded(partial(check_free, crew))


def inspect(stage: Stage) -> None:
    """Check in a process of its own that nobody has left the lock held."""
    crew = _settle(stage, "last")
    crew.guarded(partial(check_free, crew))


def import_all(plan: Plan) -> None:
    """Import what is needed later, as long as nobody is at work here."""
    libraries = {loop.library for cast in plan.cast for loop in cast.loops}
    for module in (*_ON_FIRST_USE, *libraries):
        import_module(module)


def _settle(stage: Stage, place: str) -> Crew:
    plan, board = stage.plan, stage.board
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what it means
    if sys.platform != "win32" and DUMP is not None:
        faulthandler.register(DUMP, all_threads=True)
    import_all(plan)
    # The first event loop of a process takes a lock of asyncio's. A child that is
    # forked just then would wait for it for ever.
    asyncio.new_event_loop().close()
    # That there are other threads when a process forks is the point here.
    warnings.simplefilter("ignore", DeprecationWarning)
    # A signal handler that raises as a fair lock has opened it, to see who is stopped.
    warnings.filterwarnings("ignore", "unclosed file.*/proc/", ResourceWarning)
    if plan.switch_interval is not None:
        sys.setswitchinterval(plan.switch_interval)

    def report(text: str) -> None:
        board.end()  # from now on nobody is killed, and leaves half a report
        stage.reports.put(text)

    made = plan.subject.made(None, Path()) if stage.lock is None else stage.lock
    lock, readers = plan.subject.sides(made)
    index = place.partition(".")[0]
    life = plan.cast[int(index)].life if index.isdigit() else None
    crew = Crew(
        subject=plan.subject,
        lock=lock,
        readers=readers,
        board=board,
        seed=f"{plan.seed}/{place}",
        ends=monotonic() + (plan.seconds + stage.patience if life is None else life),
        patience=stage.patience,
        forks=plan.forks,
        report=report,
    )
    report_what_nobody_catches(crew)
    return crew


def check_free(crew: Crew) -> None:
    """Check that nobody has the lock, and that it can be had in both colours.

    Raises:
        Violation: It is not so.
    """
    if crew.subject.threads:
        _check_free(crew)
    if crew.subject.threads and not crew.subject.loops_at_a_time:
        return

    async def main() -> None:
        if not crew.subject.threads:
            _check_free(crew)
        async with crew.lock.hold(crew.patience / 2):
            await asyncio.sleep(0)

    asyncio.run(main())


def _check_free(crew: Crew) -> None:
    lock, permits = crew.lock, crew.subject.permits
    gc.collect()
    deadline = monotonic() + crew.patience / 2  # before it looks as if we hang
    # A helper that nobody waits for any more gives back what it gets, a little later,
    # and while it is about to get it nobody else does by trying.
    while lock.locked() if permits is None else lock.value != permits:
        if monotonic() > deadline:
            left = "locked" if permits is None else f"with {lock.value} permits"
            message = f"it was left {left}, and nobody is there"
            raise Violation(message)
        sleep(1e-3)
    with ExitStack() as held:
        for _ in range(crew.subject.room):
            while not lock.try_acquire():
                if monotonic() > deadline:
                    message = "it is free, but try_acquire() is refused"
                    raise Violation(message)
                sleep(1e-3)
            held.callback(lock.release)
            if crew.told:
                crew.board.mend()
        if not crew.subject.reentrant and not crew.subject.waits and lock.try_acquire():
            message = f"more than {crew.subject.room} get in"
            raise Violation(message)
