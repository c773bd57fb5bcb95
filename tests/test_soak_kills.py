"""The kills of the soak: who is killed, and what must be told of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from anylock import MachineLock, make_lock
from anylock._soak import kills
from anylock._soak.board import Board, Row, Violation
from anylock._soak.kills import KILLS, Killer
from anylock._soak.plan import Cast, Loop, Plan
from children import Child, Signal
from soak_stage import Decided, subject_of
from staging import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not KILLS, reason="nobody is killed here")

ROWS = (0, 1, 2)
LIVES, DIES = 0.0, 1.0


class Victim:
    """A process at work in the rows 0 to 2, with a lock of its own to hold."""

    def __init__(self, path: Path) -> None:
        self.lock: MachineLock = make_lock("machine", path=path)
        self.board = Board(4, 1, multiprocessing.get_context("spawn"))
        cast = Cast((0,), (Loop("asyncio", "over", (1,)),), storm=2, life=None)
        self._plan = Plan(
            seed="0/0",
            subject=subject_of("machine"),
            seconds=60.0,
            start_method="fork",
            switch_interval=None,
            forks=False,
            kills=0.0,
            cast=(cast,),
            rows=4,
        )
        self._child: Child | None = None

    def killer(self, chance: float = DIES, **traits: Any) -> Killer:
        plan = replace(self._plan, **traits)
        killer = Killer(plan, self.board, self.lock.path)
        decided: Any = Decided(chance, self.board.rows_inside)
        killer._random = decided
        return killer

    def start(self, *, holds: bool = False, inside: bool = False) -> None:
        ready = Signal()

        def work() -> None:
            row = Row(self.board, 0)
            list(row.look("with"))  # it has arrived
            if holds:
                self.lock.acquire()
            visit = row.visit("with")
            if inside:
                next(visit)
            ready.set()
            signal.pause()

        self._child = Child(work)
        ready.wait()
        ready.close()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> Any:
        return {0: SimpleNamespace(pid=self.pid)}

    def state(self) -> str:
        """Return the letter of the system for the state of the process."""
        said = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        return said.rpartition(")")[2].split()[0]

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(tmp_path / "lock")
    yield victim
    victim.close()


@pytest.mark.parametrize("inside", [False, True])
def test_who_holds_the_lock_is_killed(victim: Victim, *, inside: bool) -> None:
    victim.start(holds=True, inside=inside)
    killer = victim.killer()
    killer.strike(victim.running)
    until(lambda: victim.state() == "Z")
    assert (killer.kills, killer.stops, killer.killed) == (1, 0, {0})
    assert Row(victim.board, 2).doomed
    assert not Row(victim.board, 3).doomed
    with victim.lock.hold(PATIENCE):
        assert victim.lock.abandoned
        for _ in Row(victim.board, 3).visit("with", told=True):
            pass
    killer.strike({})  # one death was told, and there was one
    killer.bury(0)
    assert not Row(victim.board, 2).doomed
    assert killer.killed == set()
    victim.board.check()


def test_a_death_inside_that_is_not_told(victim: Victim) -> None:
    victim.start(holds=True, inside=True)
    victim.killer().strike(victim.running)
    with pytest.raises(Violation, match=r"workers \[0\] were killed inside, and who"):
        next(Row(victim.board, 3).visit("with"))


def test_a_death_that_was_none_is_told(victim: Victim) -> None:
    """Who was killed did not hold the lock."""
    victim.start()
    with victim.lock:
        pass
    killer = victim.killer()
    killer.strike(victim.running)
    until(lambda: victim.state() == "Z")
    list(Row(victim.board, 3).visit("with", told=True))
    with pytest.raises(Violation, match="1 deaths inside were told, and there were 0"):
        killer.strike({})


def test_two_deaths_may_be_told_as_one(victim: Victim) -> None:
    """The second dies before it says that it was told of the first."""
    killer = victim.killer()
    for _ in range(2):
        victim.start(holds=True)
        killer.strike(victim.running)
        victim.close()
        killer.bury(0)
    list(Row(victim.board, 3).visit("with", told=True))
    killer.strike({})
    list(Row(victim.board, 3).visit("with", told=True))
    with pytest.raises(Violation, match="2 deaths inside were told, and there were 1"):
        killer.strike({})


def test_where_nobody_says_who_holds_a_file(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "_LOCKS", Path("/nowhere"))
    victim.start()
    killer = victim.killer()
    killer.strike(victim.running)
    list(Row(victim.board, 3).visit("with", told=True))
    killer.strike({})


def test_one_that_is_stopped_goes_on(victim: Victim) -> None:
    victim.start(holds=True)
    killer = victim.killer(LIVES)
    killer.strike(victim.running)
    until(lambda: victim.state() == "S")
    assert (killer.kills, killer.stops, killer.killed) == (0, 1, set())
    assert not Row(victim.board, 0).doomed


def test_nobody_is_killed_who_may_have_something_to_report(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim.start()
    killer = victim.killer()
    stopped = kills._stopped

    def stopped_at_the_end(pid: int) -> bool:
        victim.board.end()
        return stopped(pid)

    monkeypatch.setattr(kills, "_stopped", stopped_at_the_end)
    killer.strike(victim.running)
    killer.strike(victim.running)
    assert (killer.kills, killer.stops) == (0, 1)


def test_one_that_ends_by_itself(victim: Victim) -> None:
    victim.start()
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: victim.state() == "Z")
    killer = victim.killer()
    killer.strike(victim.running)
    assert (killer.kills, killer.stops) == (0, 0)


def test_one_that_has_not_begun_is_left_alone(victim: Victim) -> None:
    victim.start()
    victim.board.renew(ROWS)
    killer = victim.killer()
    killer.strike(victim.running)
    killer.strike({0: SimpleNamespace(pid=None)})  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]
    assert (killer.kills, killer.stops) == (0, 0)


def test_it_is_not_time_yet(victim: Victim) -> None:
    victim.start()
    killer = victim.killer(kills=None)
    assert Killer(replace(victim._plan, kills=None), victim.board, None).pause(5) == 5
    killer._due = float("inf")
    killer.strike(victim.running)
    assert killer.pause(5.0) == pytest.approx(5.0)
    assert (killer.kills, killer.stops) == (0, 0)


def test_who_is_chosen() -> None:
    """Those who are where it was drawn; anyone, if nobody is."""
    casts = tuple(Cast((row,), (), storm=None, life=None) for row in ROWS)
    board = Board(3, 1, multiprocessing.get_context("spawn"))
    plan: Any = SimpleNamespace(seed="0/0", kills=0.0, cast=casts)
    killer = Killer(plan, board, None)

    def chosen(aim: object) -> int:
        first: Any = Decided(0.0, aim)
        killer._random = first
        return killer._chosen([0, 1, 2])

    assert chosen(board.wanting) == 0
    Row(board, 2).wants()
    assert chosen(board.wanting) == 2
    next(visit := Row(board, 1).visit("with"))
    assert chosen(board.rows_inside) == 1
    assert chosen(list) == 0
    visit.close()
