"""Kind "machine": four who contend, and are killed at any moment, a thousand times.

`ANYLOCK_HUNT=1000` makes it a thousand; fewer are killed in a usual run. After each
death the next one inside must be told if the dead was inside, and must not be told if
it was not. Whoever was between these, in the lock's own code, is stopped before it is
killed; so the system can be asked whether it had the file, and the file whether it was
marked.
"""

from __future__ import annotations

import mmap
import os
import re
import signal
import struct
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from anylock import make_lock
from anylock._machine.record import HELD
from children import Child
from staging import until

if TYPE_CHECKING:
    from anylock import MachineLock

pytestmark = pytest.mark.skipif(
    not Path("/proc/locks").exists(), reason="nobody tells who has a file locked"
)

CONTENDERS = 4
KILLS = max(80, int(os.environ.get("ANYLOCK_HUNT", "0")))
OUTSIDE, COMING, INSIDE, LEAVING = range(4)


class Board:
    """Numbers that all processes see, whatever becomes of one; a file beside them.

    The file has a number in two halves: how often somebody was inside. It is torn if
    who writes it dies in between.
    """

    entered, told, wrong, inside, first_of_each = range(5)

    def __init__(self, path: Path) -> None:
        self._memory = mmap.mmap(-1, 8 * (self.first_of_each + 2 * CONTENDERS))
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.write(0)

    def __getitem__(self, place: int) -> int:
        found: int = struct.unpack_from("q", self._memory, 8 * place)[0]
        return found

    def __setitem__(self, place: int, value: int) -> None:
        struct.pack_into("q", self._memory, 8 * place, value)

    def phase(self, number: int) -> int:
        """Return the place that says where a contender is."""
        return self.first_of_each + number

    def updates(self, number: int) -> int:
        """Return the place that says how many of its updates are there."""
        return self.first_of_each + CONTENDERS + number

    def all_updates(self) -> int:
        return sum(self[self.updates(number)] for number in range(CONTENDERS))

    def read(self) -> tuple[int, int]:
        first, second = struct.unpack("qq", os.pread(self._file, 16, 0))
        return first, second

    def write(self, number: int, pause: float = 0.0) -> None:
        os.pwrite(self._file, struct.pack("q", number), 0)
        time.sleep(pause)
        os.pwrite(self._file, struct.pack("q", number), 8)

    def close(self) -> None:
        os.close(self._file)


def contend(lock: MachineLock, board: Board, number: int) -> None:
    """Come and go for ever, and note what should not be."""
    chance = Random(number)  # noqa: S311 - no secrets here
    phase, updates = board.phase(number), board.updates(number)
    while True:
        board[phase] = COMING
        with lock:
            board[phase] = INSIDE
            be_inside(lock, board, updates, chance)
            board[phase] = LEAVING
        board[phase] = OUTSIDE
        if chance.random() < 0.1:
            time.sleep(0.001)  # so that some find nobody there


def be_inside(lock: MachineLock, board: Board, updates: int, chance: Random) -> None:
    acknowledged = board.all_updates()
    if lock.abandoned:
        board[board.told] += 1
        # Each half may be that of an update whose author did not live to count it.
        board[board.wrong] |= not {*board.read()} <= {acknowledged, acknowledged + 1}
        board.write(acknowledged)
    else:
        board[board.wrong] |= 2 * (board[board.inside] != 0)
        board[board.wrong] |= 4 * (board.read() != (acknowledged, acknowledged))
    board[board.inside] = os.getpid()
    board[board.entered] += 1
    board.write(acknowledged + 1, chance.choice([0.0, 0.0005]))
    board[updates] += 1
    board[board.wrong] |= 8 * (board[board.inside] != os.getpid())
    board[board.inside] = 0


class Contest:
    """The contenders, and who kills them."""

    def __init__(self, folder: Path, *, fair: bool) -> None:
        self.board = Board(folder / "record")
        self.lock = make_lock("machine", path=folder / "lock", fair=fair)
        self.chance = Random(5)  # noqa: S311 - a seed, to get the same again
        self.contenders = [self._start(number) for number in range(CONTENDERS)]
        self.killed = dict.fromkeys((OUTSIDE, COMING, INSIDE, LEAVING), 0)
        self.stopped = 0

    def _start(self, number: int) -> Child:
        self.board[self.board.phase(number)] = OUTSIDE
        return Child(lambda: contend(self.lock, self.board, number))

    def close(self) -> None:
        for child in self.contenders:
            child.kill()
        self.board.close()

    def choose(self) -> int:
        """Choose whom to kill: one who is where it was drawn, or anyone."""
        aim = self.chance.choice([OUTSIDE, COMING, INSIDE, INSIDE, LEAVING])
        numbers = self.chance.sample(range(CONTENDERS), CONTENDERS)
        there = [n for n in numbers if self.board[self.board.phase(n)] == aim]
        return [*there, *numbers][0]

    def kill(self, number: int) -> int:
        """Kill a contender; return where it was."""
        self.contenders[number].kill()
        where = self.board[self.board.phase(number)]
        self.killed[where] += 1
        return where

    def replace(self, number: int) -> None:
        self.contenders[number] = self._start(number)

    def settled(self) -> int:
        """Wait until somebody has come in; return how many deaths were told by then."""
        before = self.board[self.board.entered]
        until(lambda: self.board[self.board.entered] > before)
        assert not self.board[self.board.wrong]
        return self.board[self.board.told]

    def all_go_on(self) -> None:
        """Wait until each of them has come in twice, and check that none was told."""
        board = self.board
        told = self.settled()
        for number in range(CONTENDERS):
            before = board[board.updates(number)]
            until(lambda: board[board.updates(number)] > before + 1)  # noqa: B023 - at once
        assert board[board.told] == told
        assert not board[board.wrong]

    def marked_by(self, number: int) -> bool:
        """Say whether a contender that is stopped has the file, and that is marked."""
        pid, path = self.contenders[number].pid, Path(self.lock.path)
        holds = re.search(
            rf"\d: FLOCK +ADVISORY +WRITE +{pid} \w+:\w+:{path.stat().st_ino} ",
            Path("/proc/locks").read_text(),
        )
        return holds is not None and path.read_bytes().startswith(HELD)


def stop(contest: Contest, number: int) -> None:
    pid = contest.contenders[number].pid
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    contest.stopped += 1


@pytest.mark.parametrize("fair", [False, True], ids=["", "fair"])
def test_killed_at_random(
    tmp_path: Path,
    fair: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with ExitStack() as stack:
        contest = Contest(tmp_path, fair=fair)
        stack.callback(contest.close)
        board, chance = contest.board, contest.chance
        contest.all_go_on()
        told = contest.settled()
        while sum(contest.killed.values()) < KILLS:
            time.sleep(chance.random() * 0.003)  # any moment is the point here
            number = contest.choose()
            way = chance.choice([kill_one, kill_stopped, kill_several])
            least, most = way(contest, number)
            now = contest.settled()
            assert least <= now - told <= most, (way, contest.killed, contest.stopped)
            told = now
            if chance.random() < 0.1:
                contest.all_go_on()
        contest.all_go_on()
        entered = board[board.entered]
        for child in contest.contenders:
            child.kill()
        with make_lock("machine", path=contest.lock.path, fair=fair) as lock:
            acknowledged = board.all_updates()
            most = acknowledged + lock.abandoned
            assert {*board.read()} <= {acknowledged, most}
        assert told >= contest.killed[INSIDE] // 2 > 0
        sys.stdout.write(
            f"\n{entered} acquisitions, {sum(contest.killed.values())} kills "
            f"(outside, coming, inside, leaving: {[*contest.killed.values()]}), "
            f"{contest.stopped} of them stopped before, {told} deaths told\n"
        )


def kill_one(contest: Contest, number: int) -> tuple[int, int]:
    """Kill one; return how many deaths must be told at least, and at most."""
    where = contest.kill(number)
    contest.replace(number)
    return int(where == INSIDE), int(where != OUTSIDE)


def kill_several(contest: Contest, number: int) -> tuple[int, int]:
    """Kill several at once, before anybody takes their places."""
    numbers = [(number + more) % CONTENDERS for more in range(CONTENDERS)]
    where = [contest.kill(one) for one in numbers]
    for one in numbers:
        contest.replace(one)
    return int(INSIDE in where), sum(one != OUTSIDE for one in where)


def kill_stopped(contest: Contest, number: int) -> tuple[int, int]:
    """Kill one that is stopped, so that it is known what must be told."""
    stop(contest, number)
    marked = contest.marked_by(number)
    if contest.board[contest.board.phase(number)] == INSIDE:
        assert marked
        assert not contest.lock.try_acquire()
    contest.kill(number)
    contest.replace(number)
    return int(marked), int(marked)
