"""Runs one round from outside, and notices when nobody gets in any more."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from anylock._interrupts import interrupts_withheld
from anylock._soak import arena
from anylock._soak.board import COLOURS, FAULTS, Board, Violation
from anylock._soak.forks import DUMP
from anylock._soak.kills import Killer

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from anylock._soak.plan import Plan

_GLANCE = 0.1
"""Seconds between two looks at the board."""
_GRACE = 5.0
"""Seconds in which processes may end by themselves after a violation."""


@dataclass
class Outcome:
    """What came of one round, or of several."""

    entries: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLOURS, 0))
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    worst: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COLOURS, 0.0))
    violations: list[str] = field(default_factory=list[str])

    def add(self, other: Outcome) -> None:
        """Add what came of another round."""
        for colour in COLOURS:
            self.entries[colour] += other.entries[colour]
            self.worst[colour] = max(self.worst[colour], other.worst[colour])
        for fault in FAULTS:
            self.faults[fault] += other.faults[fault]
        self.violations += other.violations


class Watch:
    """One round.

    Args:
        plan: What happens in it.
        patience: Seconds after which somebody who wants to be inside hangs, if nobody
            gets in meanwhile.
        glance: Called every now and then with what came of it so far; the round ends
            early if it returns False.
    """

    def __init__(
        self, plan: Plan, patience: float, glance: Callable[[Outcome], bool]
    ) -> None:
        self._plan = plan
        self._patience = patience
        self._glance = glance
        self._context: Any = multiprocessing.get_context(plan.start_method)
        self._board = Board(plan.rows, plan.subject.room, self._context)
        # With a lock made for "spawn" comes a helper process of multiprocessing, and
        # starting that later would let interrupts through to the others.
        self._folder = Path(tempfile.mkdtemp(prefix="anylock-soak-"))
        lock = None
        if plan.subject.shared:
            lock = plan.subject.made(self._context, self._folder)
        reports: Any = self._context.SimpleQueue()
        self._stage = arena.Stage(plan, self._board, lock, patience, reports)
        path = lock.path if plan.subject.on_file and lock is not None else None
        self._killer = Killer(plan, self._board, path)
        self._violations: list[str] = []
        self._ended = 0
        """How many processes have ended early, as planned."""
        self._running: dict[int, BaseProcess] = {}
        """Place -> the process there."""

    def run(self) -> Outcome:
        """Run the round, and return what came of it."""
        try:
            if self._plan.kills is not None:
                arena.import_all(self._plan)  # forked processes have it at once then
            for place in range(len(self._plan.cast)):
                self._start(place, arena.work, f"{place}.0")
            self._stay()
            self._hear()  # who reported last may have ended at once
            if self._plan.subject.shared and not self._violations:
                self._start(-1, arena.inspect)
                self._stay()
                self._hear()
            if not self._violations:
                self._board.check()
        except Violation as violation:
            self._violations.append(str(violation))
        finally:
            for process in self._running.values():
                process.kill()
                process.join()
            self._stage.reports.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        return self._outcome()

    def _start(self, place: int, target: Callable[..., None], *arguments: str) -> None:
        process = self._context.Process(target=target, args=(self._stage, *arguments))
        with interrupts_withheld():  # from the process, too: it inherits that
            process.start()
        self._running[place] = process

    def _stay(self) -> None:
        """Watch until all processes have ended.

        Raises:
            Violation: Nobody gets in any more, or a process has failed.
        """
        begin = progress = monotonic()
        generation = entries = 0
        while self._running:
            sentinels = [process.sentinel for process in self._running.values()]
            wait(sentinels, self._killer.pause(_GLANCE))
            now = monotonic()
            self._killer.strike(self._running)
            outcome = self._outcome()
            before, entries = entries, sum(outcome.entries.values())
            if not entries:
                begin = now  # the processes are starting, which may take long
            if not self._glance(outcome) or now > begin + self._plan.seconds:
                self._board.end()
            if self._hear():
                self._let_end()
                return
            for place in self._reap():
                generation += 1
                self._start(place, arena.work, f"{place}.{generation}")
            if entries != before:
                progress = now
            elif now > progress + self._patience:
                self._tell_of_hang()

    def _reap(self) -> list[int]:
        """Return the places of processes that have ended before the round."""
        early: list[int] = []
        for place, process in list(self._running.items()):
            if process.is_alive():
                continue
            killed = place in self._killer.killed
            if killed and not wait([process.sentinel], 0):
                continue  # children that it forked live on
            del self._running[place]
            process.join()
            if killed:
                self._killer.bury(place)
            elif process.exitcode:
                message = f"a process ended with exit code {process.exitcode}"
                raise Violation(message)
            if not self._board.over:
                self._ended += not killed
                early.append(place)
        return early

    def _tell_of_hang(self) -> None:
        for process in self._running.values():
            if DUMP is not None and process.pid is not None and process.is_alive():
                sys.stderr.write(f"\nStacks of process {process.pid}:\n")
                sys.stderr.flush()
                os.kill(process.pid, DUMP)
                sleep(0.5)  # it prints them, however it hangs
        wanting = self._board.wanting()
        what = (
            f"{len(wanting)} wanted to (workers {wanting})"
            if wanting
            else "the processes should have ended"
        )
        message = (
            f"hang: nobody got in for {self._patience:g} s, while {what}; "
            "the stacks are above"
        )
        raise Violation(message)

    def _hear(self) -> bool:
        """Say whether anybody has reported what must never happen."""
        while not self._stage.reports.empty():
            self._violations.append(self._stage.reports.get().strip())
        return bool(self._violations)

    def _let_end(self) -> None:
        deadline = monotonic() + min(_GRACE, self._patience)
        for process in self._running.values():
            process.join(max(0.0, deadline - monotonic()))
        self._hear()

    def _outcome(self) -> Outcome:
        board = self._board
        faults = board.faults()
        faults["process ended"] += self._ended
        faults["process stopped"] += self._killer.stops
        faults["process killed"] += self._killer.kills
        violations = [f"{self._plan}: {text}" for text in self._violations]
        return Outcome(board.entries(), faults, board.worst_waits(), violations)
