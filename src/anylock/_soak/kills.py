"""Processes that are stopped, or killed, wherever they are.

One that is to be killed is stopped before. So it is known where it dies: inside, so
that the next one must be told; while it has the file, so that it may be; or elsewhere.
"""

from __future__ import annotations

import os
import re
import signal
from math import inf
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from anylock._soak.board import Violation

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from anylock._soak.board import Board
    from anylock._soak.plan import Plan

# To type checkers, without what Windows and macOS lack: nobody is killed there.
_os: Any = os
_signal: Any = signal

KILLS = hasattr(os, "waitid")
"""Whether it can be found out here that a process has stopped."""

_LOCKS = Path("/proc/locks")
_MERCY = 0.3
"""How many of those that are stopped go on."""
_MOMENTS = (0.0, 1e-3, 0.02)
"""Seconds for which processes are stopped."""


class Killer:
    """Kills processes of a round, one after the other.

    Args:
        plan: Of the round.
        board: Of the round.
        path: Of the lock file; None if there is none, and nobody is killed.
    """

    def __init__(self, plan: Plan, board: Board, path: str | None) -> None:
        self._plan = plan
        self._board = board
        self._path = path
        self._random = Random(f"{plan.seed}/kills")  # noqa: S311 - no secrets here
        self._due = monotonic() + self._interval()
        self._may_be_told = 0
        """How many deaths may have been told by now."""
        self.killed: set[int] = set()
        """The places of processes that were killed, and are not replaced yet."""
        self.kills = 0
        self.stops = 0

    def pause(self, longest: float) -> float:
        """Say how many seconds may pass until the next one."""
        return min(longest, max(0.0, self._due - monotonic()))

    def strike(self, running: dict[int, BaseProcess]) -> None:
        """Stop or kill a process, if it is time to.

        Args:
            running: Place -> the process there.

        Raises:
            Violation: More deaths were told than there were.
        """
        self._check_told()
        if monotonic() < self._due or self._board.over:
            return
        self._due = monotonic() + self._interval()
        at_work = {
            place: process.pid
            for place, process in running.items()
            # One that is still starting might be killed again and again.
            if process.pid is not None and self._board.at_work(process.pid)
        }
        if not at_work:
            return
        place = self._chosen([*at_work])
        pid = at_work[place]
        if not _stopped(pid):
            return
        # From here on it does nothing. Who reports something has let the round end.
        if self._board.over or self._random.random() < _MERCY:
            sleep(self._random.choice(_MOMENTS))
            os.kill(pid, _signal.SIGCONT)
            self.stops += 1
            return
        self._board.doom(self._plan.cast[place].rows, pid)
        if _holds(pid, self._path):
            # Nobody else can be told meanwhile. If this one was to be and was not yet,
            # the two deaths are told as one.
            self._may_be_told = self._check_told() + 1
        self.killed.add(place)
        self.kills += 1
        os.kill(pid, _signal.SIGKILL)

    def bury(self, place: int) -> None:
        """Let another process have the place of one that is dead, with its children."""
        self.killed.remove(place)
        self._board.renew(self._plan.cast[place].rows)

    def _check_told(self) -> int:
        told = self._board.faults()["death told"]
        if told > self._may_be_told:
            message = (
                f"{told} deaths inside were told, and there were {self._may_be_told}"
            )
            raise Violation(message)
        return told

    def _interval(self) -> float:
        kills = self._plan.kills
        return inf if kills is None else self._random.uniform(0.0, 2 * kills)

    def _chosen(self, places: list[int]) -> int:
        """Choose one of these, where somebody is inside, waits, or whoever."""
        board = self._board
        aim = self._random.choice([board.rows_inside, board.wanting, list])
        rows = set(aim())
        there = [place for place in places if rows & {*self._plan.cast[place].rows}]
        return self._random.choice(there or places)


def _stopped(pid: int) -> bool:
    """Stop a process; False if it ends instead."""
    os.kill(pid, _signal.SIGSTOP)
    # Left as it is: that a process has ended is for multiprocessing to find out.
    found = _os.waitid(_os.P_PID, pid, _os.WSTOPPED | _os.WEXITED | _os.WNOWAIT)
    if found is None or found.si_code != _os.CLD_STOPPED:
        return False
    _os.waitid(_os.P_PID, pid, _os.WSTOPPED | _os.WNOHANG)
    return True


def _holds(pid: int, path: str | None) -> bool:
    """Say whether a process that is stopped has that file locked, or may have."""
    try:
        locks = _LOCKS.read_text()
        inode = os.stat(path or "").st_ino  # noqa: PTH116 - there may be none
    except OSError:  # on macOS nobody tells
        return True
    # "1: -> FLOCK" would be who waits for it.
    line = rf"\d: FLOCK +ADVISORY +WRITE +{pid} \w+:\w+:{inode} "
    return re.search(line, locks) is not None
