"""The shared record of the soak: what it finds by itself."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from anylock._soak.board import COLOURS, FAULTS, Board, Row, Violation

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def board() -> Board:
    return Board(3, 1, multiprocessing.get_context("spawn"))


def step(*visits: Generator[None]) -> None:
    for visit in visits:
        next(visit, None)


def test_visits_one_after_the_other(board: Board) -> None:
    for row in (0, 1, 1):
        for _ in Row(board, row).visit("with"):
            assert board.inside() == 1
    for _ in Row(board, 2).visit("async with"):
        pass
    board.check()
    assert board.entries() == {"with": 3, "async with": 1}
    assert board.record()[0] == 4


def test_two_that_are_inside_find_one_another(board: Board) -> None:
    first, second = (Row(board, n).visit("with") for n in (0, 1))
    step(first)
    with pytest.raises(Violation, match="overlap: 2 are inside, of 1"):
        step(second)


def test_two_that_do_not_meet_leave_a_wrong_check_sum(board: Board) -> None:
    """As if the second had come and gone while the first was not running."""
    first = Row(board, 0).visit("with")
    step(first, first)
    board.numbers[5] = 0  # nobody sees that the first is inside
    with pytest.raises(Violation, match="check-sum is wrong after update 1"):
        step(Row(board, 1).visit("with"))


def test_a_lost_update_is_missed_in_the_sum(board: Board) -> None:
    list(Row(board, 0).visit("with"))
    before = board.numbers[:5]
    list(Row(board, 1).visit("with"))
    board.check()
    board.numbers[:5] = before  # an update that was lost as a whole
    with pytest.raises(Violation, match="2 were acknowledged, 1 are there"):
        board.check()


def test_a_record_that_was_torn_last(board: Board) -> None:
    list(Row(board, 2).visit("with"))
    board.numbers[1] += 1  # the count, which is updated first
    with pytest.raises(Violation, match="wrong after update 2, of worker 2"):
        board.check()


def test_somebody_who_never_left(board: Board) -> None:
    visit = Row(board, 0).visit("with")
    step(visit)
    with pytest.raises(Violation, match="1 are inside still"):
        board.check()
    visit.close()
    board.check()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_who_is_cancelled_inside_has_not_updated(board: Board, steps: int) -> None:
    list(Row(board, 0).visit("with"))
    with closing(Row(board, 1).visit("with")) as visit:
        step(*[visit] * steps)
    board.check()
    assert board.record()[0] == (1 if steps < 4 else 2)


def test_as_many_as_there_are_permits() -> None:
    board = Board(3, 2, multiprocessing.get_context("spawn"))
    visits = [Row(board, row).visit("with") for row in range(3)]
    step(*visits[:2])
    with pytest.raises(Violation, match="overlap: 3 are inside, of 2"):
        step(visits[2])
    step(*visits[:2])
    board.check()


def test_one_who_leaves_while_another_comes_is_no_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The board is read row by row, while processes write to it."""
    board = Board(3, 2, multiprocessing.get_context("spawn"))
    seen = iter([[1, 1, 1], [4, 4, 3], [1, 1, 1], [4, 4, 4]])  # the third came in late

    def column(_column: int) -> list[int]:
        return next(seen)

    monkeypatch.setattr(board, "column", column)
    Row(board, 0)._look_around()
    assert next(seen, None) is None


def test_the_worst_wait(board: Board) -> None:
    row = Row(board, 1)
    row.wants()
    assert board.wanting() == [1]
    board.times[1] -= 5
    list(row.visit("async with"))
    assert board.wanting() == []
    assert board.worst_waits()["async with"] >= 5
    assert board.worst_waits()["with"] == 0


def test_faults_are_counted(board: Board) -> None:
    for fault in FAULTS:
        Row(board, 0).suffers(fault)
        Row(board, 2).suffers(fault)
    assert board.faults() == dict.fromkeys(FAULTS, 2)
    assert board.entries() == dict.fromkeys(COLOURS, 0)


# Deaths inside.


def die_inside(board: Board, row: int, steps: int) -> None:
    """Be killed after so many steps of a visit."""
    visit = Row(board, row).visit("with")
    step(*[visit] * steps)
    board.doom([row], os.getpid())
    _dead.append(visit)


_dead: list[Generator[None]] = []
"""Kept, as they would clean up behind themselves."""


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_who_is_told_mends_the_record(board: Board, steps: int) -> None:
    list(Row(board, 1).visit("with"))
    die_inside(board, 0, steps)
    with pytest.raises(Violation, match="killed inside"):
        next(Row(board, 1).visit("with"))
    list(Row(board, 2).visit("with", told=True))
    board.renew([0])
    list(Row(board, 0).visit("with"))
    board.check()
    assert board.record()[0] == 3
    assert board.faults()["death told"] == 1


def test_who_was_told_dies_as_well(board: Board) -> None:
    die_inside(board, 0, 2)
    board.renew([0])
    board.doom([0], 1)  # of the next process in its place, which has done nothing
    with pytest.raises(Violation, match=r"workers \[0\] were killed inside"):
        next(Row(board, 1).visit("with"))
    board.mend()
    die_inside(board, 1, 2)
    list(Row(board, 2).visit("with", told=True))
    board.check()


def test_an_update_that_was_lost_before_a_death(board: Board) -> None:
    list(Row(board, 0).visit("with"))
    before = board.numbers[:5]
    list(Row(board, 1).visit("with"))
    board.numbers[:5] = before
    die_inside(board, 0, 1)
    with pytest.raises(Violation, match="2 were acknowledged, 1 are there"):
        next(Row(board, 2).visit("with", told=True))


def test_who_is_told_while_another_is_inside(board: Board) -> None:
    step(visit := Row(board, 0).visit("with"))
    with pytest.raises(Violation, match=r"told of a death finds \[0\] inside"):
        next(Row(board, 1).visit("with", told=True))
    visit.close()


def test_a_child_of_the_dead_may_be_inside(board: Board) -> None:
    visit = Row(board, 0).visit("with")
    step(visit)
    board.doom([0], 1)  # the parent
    assert Row(board, 0).doomed
    board.check_told()
    visit.close()
    board.check()


# Readers.


def test_readers_one_after_the_other_and_together(board: Board) -> None:
    list(Row(board, 0).visit("with"))
    looks = [Row(board, row).look("with") for row in (0, 1)]
    step(*looks, *looks, *looks)
    list(Row(board, 0).visit("with"))
    list(Row(board, 2).look("async with"))
    board.check()
    assert board.entries() == {"with": 4, "async with": 1}


def test_a_reader_finds_half_a_record(board: Board) -> None:
    step(*[visit := Row(board, 0).visit("with")] * 2)
    with pytest.raises(Violation, match="check-sum is wrong"):
        next(Row(board, 1).look("with"))
    visit.close()


def test_a_reader_finds_somebody_who_writes(board: Board) -> None:
    step(visit := Row(board, 0).visit("with"))
    with pytest.raises(Violation, match=r"overlap: \[0\] are inside to write while"):
        list(Row(board, 1).look("with"))
    visit.close()


@pytest.mark.parametrize("steps", [1, 4])
def test_somebody_writes_while_another_reads(board: Board, steps: int) -> None:
    look = Row(board, 1).look("with")
    step(look)
    visit = Row(board, 0).visit("with")
    step(*[visit] * steps)
    with pytest.raises(Violation, match="somebody wrote while another read"):
        next(look)
    visit.close()


def test_a_reader_after_a_death(board: Board) -> None:
    """It may find anything, and changes nothing: the next one who writes does."""
    die_inside(board, 0, 2)
    with pytest.raises(Violation, match="killed inside"):
        next(Row(board, 1).look("with"))
    list(Row(board, 1).look("with", told=True))
    list(Row(board, 2).look("with", told=True))
    list(Row(board, 1).visit("with", told=True))
    list(Row(board, 2).look("with"))
    board.check()
    assert board.faults()["death told"] == 1
