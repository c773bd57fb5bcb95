"""The rows of the benchmarks: that each can be run, with what is installed here."""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from anylock._bench.catalogue import PARTS, ROWS, chosen
from anylock._bench.effort import FULL, QUICK
from anylock._bench.findings import Broken, Finding, Skipped
from anylock._bench.measure.costs import Imports
from anylock._bench.measure.statements import Statement
from anylock._bench.peers import call_of, creating, module_of, using
from anylock._bench.plan import missing
from anylock._bench.starting import BrokenWorkerError, Starter
from anylock._bench.workers import statement
from benches import Told, nobody

if TYPE_CHECKING:
    from pathlib import Path

    from anylock._bench.plan import Row

STATEMENTS = [row for row in ROWS.values() if isinstance(row, Statement)]
OTHERS = [row for row in ROWS.values() if not isinstance(row, Statement)]
SHORTEST = replace(
    QUICK,
    turns=1,
    values=1,
    value=1e-5,
    runs=1,
    window=0.01,
    idle=0.01,
    imports=1,
    many=10,
)


def shortened(row: Any) -> Row:
    """Leave only the first two, so that all is run but not for long."""
    less: dict[str, Any] = {"contenders": row.contenders[:2]}
    if hasattr(row, "numbers"):
        less["numbers"] = row.numbers[:3]
    shorter: Row = replace(row, **less)
    return shorter


def by_key(row: Any) -> str:
    return str(row.key)


def test_keys_are_unique() -> None:
    assert len(ROWS) == sum(map(len, PARTS.values()))
    assert not set(ROWS) & set(PARTS)


@pytest.mark.parametrize("row", ROWS.values(), ids=by_key)
def test_a_row_can_be_planned(row: Row) -> None:
    for effort in (QUICK, FULL):
        plan = row.plan(effort, Told())
        assert plan.key == row.key
        labels = [one.label for one in plan.contenders]
        assert len(labels) == len({*labels}) > 1
        assert plan.turns >= 1
        assert plan.seconds > 0


@pytest.mark.parametrize("row", STATEMENTS, ids=by_key)
def test_statements_are_right(row: Statement, tmp_path: Path) -> None:
    if row.loop == "trio":
        pytest.importorskip("trio")
    for number, contender in enumerate(row.contenders):
        if "trio" in contender.setup and missing("trio"):
            continue
        if not missing(*contender.needs):
            path = tmp_path / f"{number}.lock"
            run = statement.timer(asdict(contender), row.loop, str(path))
            assert run(1) > 0, contender.label


@pytest.mark.parametrize("row", OTHERS, ids=by_key)
def test_other_rows_come_to_an_end(row: Any, tmp_path: Path) -> None:
    starter = Starter(threading.Event(), tmp_path)
    items = list(shortened(row).plan(SHORTEST, starter).measured(nobody))
    assert not [item for item in items if isinstance(item, Broken)]
    assert any(isinstance(item, Finding | Skipped) for item in items)
    assert {item.key for item in items if isinstance(item, Finding)} <= {row.key}


def test_rows_are_chosen_by_name_or_part() -> None:
    assert chosen(None) == list(ROWS.values())
    assert chosen(["import", "with-thread", "with-thread"]) == [
        ROWS["with-thread"],
        ROWS["import"],
    ]
    assert chosen(["machine", "with-machine"]) == list(PARTS["machine"])
    with pytest.raises(LookupError, match="nothing"):
        chosen(["nothing"])


def test_what_an_import_of_what_is_not_there_says(tmp_path: Path) -> None:
    row = ROWS["import"]
    assert isinstance(row, Imports)
    contender = replace(row.contenders[0], statement="import nowhere_at_all")
    plan = row.plan(SHORTEST, Starter(threading.Event(), tmp_path))
    with pytest.raises(BrokenWorkerError, match="nowhere_at_all"):
        plan.run(contender)


# How a lock is made.


@pytest.mark.parametrize(
    ("label", "call", "module"),
    [
        ("threading.Lock", "threading.Lock()", "threading"),
        ("asyncio.Semaphore(10)", "asyncio.Semaphore(10)", "asyncio"),
        ("FairAsyncRLock", "fair_async_rlock.FairAsyncRLock()", "fair_async_rlock"),
        ("aiorwlock.RWLock", "aiorwlock.RWLock(fast=True).writer", "aiorwlock"),
        (
            "readerwriterlock.RWLockFair",
            "readerwriterlock.rwlock.RWLockFair().gen_wlock()",
            "readerwriterlock.rwlock",
        ),
    ],
)
def test_a_label_is_a_call(label: str, call: str, module: str) -> None:
    assert call_of(label) == call
    assert module_of(call) == module


def test_what_a_contender_needs() -> None:
    assert using("make_lock('thread')").needs == ()
    assert using("threading.Lock").needs == ()
    assert using("readerwriterlock.RWLockFair").needs == ("readerwriterlock",)
    assert creating("trio.Lock").needs == ("trio",)


def test_who_meets_by_a_file_makes_it_anew() -> None:
    assert using("make_lock('machine')").own
    assert using("filelock.FileLock").own
    assert not using("make_lock('process')").own


def test_fasteners_is_told_to_poll_quickly() -> None:
    assert "delay=0.001" in using("fasteners.InterProcessLock").setup


def test_what_statements_call_it() -> None:
    statement = "with READ: WRITE"
    assert using("threading.Lock", statement).statement == "with lock: lock"
    ours = using("make_rwlock('thread')", statement)
    assert ours.statement == "with lock.read: lock.write"


def test_creating_looks_the_name_up_before() -> None:
    contender = creating("make_lock('thread')")
    assert re.search("^lock = make_lock$", contender.setup, re.MULTILINE)
    assert contender.statement == "lock('thread')"
