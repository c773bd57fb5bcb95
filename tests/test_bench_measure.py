"""What each sort of row concludes, of samples that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from anylock._bench.effort import QUICK, USUAL
from anylock._bench.findings import (
    Distribution,
    Finding,
    Item,
    Point,
    Skipped,
    Target,
    Timeline,
)
from anylock._bench.measure.costs import Idle, Imports, Sizes
from anylock._bench.measure.crowds import Body, Mixture, Throughput, Traced
from anylock._bench.measure.statements import Statement
from anylock._bench.measure.waiters import Waiters
from anylock._bench.spread import GRID, Spread
from benches import OURS, Told, contenders, nobody

if TYPE_CHECKING:
    from anylock._bench.plan import Row

TWO = contenders(OURS, "a.Lock")
THREE = contenders(OURS, "a.Lock", "b.Lock")
ONCE = replace(QUICK, turns=1, runs=1, imports=1)


def run(row: Row, starter: Told, effort: Any = ONCE) -> list[Item]:
    items = list(row.plan(effort, starter).measured(nobody))
    assert not starter.samples
    return items


def findings(items: list[Item]) -> list[Finding]:
    return [item for item in items if isinstance(item, Finding)]


def ratio(finding: Finding) -> float:
    assert finding.values.ratio is not None
    return finding.values.ratio.median


# Statements.


def timed(*nanoseconds: float, rounds: int = 7, trio: bool = False) -> dict[str, Any]:
    return {"nanoseconds": list(nanoseconds), "rounds": rounds, "trio": trio}


def test_statements_are_calibrated_once() -> None:
    pytest.importorskip("pyperf")
    row = Statement("row", "with", TWO, Target(0.9))
    warm = [timed(rounds=10), timed(rounds=20)]
    told = Told(*warm, *[timed(1.0, 2.0, 3.0), timed(4.0)] * 2)
    (finding,) = run(row, told, replace(QUICK, turns=2))
    # Now the one goes first and now the other; so the samples are given by turns.
    rounds = [task["rounds"] for _, task in told.tasks]
    assert rounds[:2] == [None, None]
    assert None not in rounds[2:]
    assert isinstance(finding, Finding)
    assert finding.target == Target(0.9)
    assert finding.unit == "ns"


def test_statements_compare_the_medians_of_interpreters() -> None:
    row = Statement("row", "with", THREE, Target(0.9))
    ours = [timed(1.0, 2.0, 30.0), timed(4.0, 4.0, 4.0)]
    samples = {OURS: ours, "a.Lock": [timed(4.0), timed(4.0)], "b.Lock": ours}
    first, second = row.conclude(samples)
    assert first.values.ratio == Spread(0.75, 0.5, 1.0)
    assert first.note == "outliers: 1 of 6, peer 0"
    assert (first.target, second.target) == (Target(0.9), None)
    assert second.verdict == "no difference seen"


def test_statements_tell_of_trio() -> None:
    row = Statement("row", "with", TWO, loop="asyncio")
    samples = {OURS: [timed(1.0, trio=True)], "a.Lock": [timed(1.0, trio=True)]}
    (finding,) = row.conclude(samples)
    assert finding.note == "trio is imported"


def test_statements_need_what_times_them_and_their_loop() -> None:
    assert Statement("row", "with", TWO).plan(QUICK, Told()).needs == ("pyperf",)
    row = Statement("row", "with", TWO, loop="trio")
    assert row.plan(QUICK, Told()).needs == ("pyperf", "trio")


# Crowds.

BODY = Body.holding("spin(1)", "spin(1)\nawait pause(0)", ("", "await pause(0)"))


def test_the_body_of_a_crowd() -> None:
    told = BODY.as_task(TWO[0])
    assert told["threads"] == {
        "round": "with lock:\n    board[1] += 1\n    spin(1)",
        "pause": "",
        "finish": "",
    }
    assert told["tasks"]["pause"] == "await pause(0)"
    assert BODY.traced.task.splitlines() == [
        "asked = now()",
        "async with lock:",
        "    entered = now()",
        "    board[1] += 1",
        "    spin(1)",
        "    await pause(0)",
        "    left = now()",
        "note((asked, entered, left))",
    ]


def test_the_body_says_what_a_lock_calls_it() -> None:
    body = Body("with READ: pass", "await AWAITED\nasync with WRITE: pass")
    plain, special = TWO
    special = replace(special, phrases={"READ": "lock.read()", "AWAITED": "lock"})
    assert body.as_task(plain)["threads"]["round"] == "with lock: pass"
    assert body.as_task(special)["threads"]["round"] == "with lock.read(): pass"
    assert body.as_task(special)["tasks"]["round"].startswith("await lock\n")


def counted(seconds: float = 2.0, **counts: list[int]) -> dict[str, Any]:
    sides = {side.replace("_", " "): each for side, each in counts.items()}
    return {"seconds": seconds, "counts": sides}


def test_throughput() -> None:
    row = Throughput(
        "row", "contended", TWO, BODY, numbers=(1, 2, 4), targets={4: Target(0.9)}
    )
    ours = [counted(threads=[10]), counted(threads=[10, 30])]
    theirs = [counted(threads=[20]), counted(threads=[10, 10])]
    told = Told(*ours, *theirs)
    items = run(row, told)  # quickly, without every other number
    assert [task["sides"] for _, task in told.tasks] == [
        {"threads": 1},
        {"threads": 4},
    ] * 2
    assert not any(task["traced"] for _, task in told.tasks)
    one, four = findings(items)
    assert (one.aspect, ratio(one), one.target) == ("1 thread", 0.5, None)
    assert (four.aspect, ratio(four), four.target) == ("4 threads", 2, Target(0.9))
    drawn = [item for item in items if isinstance(item, Point)]
    assert [(point.label, point.x, point.y.median) for point in drawn] == [
        (OURS, 1, 5),
        ("a.Lock", 1, 10),
        (OURS, 4, 20),
        ("a.Lock", 4, 10),
    ]
    assert {point.panel for point in drawn} == {"contended, threads"}


@pytest.mark.parametrize(
    ("side", "who"),
    [("asyncio tasks", "1 asyncio task"), ("processes", "1 process")],
)
def test_one_contender(side: str, who: str) -> None:
    row = Throughput("row", "contended", TWO, BODY, side=side, numbers=(1,))
    each = {"seconds": 2.0, "counts": {side: [1]}}
    (one,) = findings(run(row, Told(each, each)))
    assert one.aspect == who


def test_throughput_takes_longer_where_they_sleep_inside() -> None:
    rows = [
        Throughput("row", "contended", TWO, replace(BODY, lasts=lasts), numbers=(4,))
        for lasts in (0.0, 0.1)
    ]
    hasty, sleepy = (row.plan(ONCE, Told()).seconds for row in rows)
    assert sleepy == pytest.approx(hasty + 2 * 4 * 0.1)


def test_throughput_that_is_not_drawn() -> None:
    row = Throughput("row", "contended", TWO, BODY, numbers=(1,), pictured=False)
    items = run(row, Told(counted(threads=[1]), counted(threads=[1])))
    assert len(items) == 1


def test_a_mixture() -> None:
    sides = {"threads": 2, "trio tasks": 1}
    row = Mixture("row", "mixed", THREE, BODY, sides=sides, target=Target(3))
    assert row.plan(QUICK, Told()).needs == ("trio",)
    ours = [counted(threads=[2, 8], trio_tasks=[10])]
    theirs = [counted(threads=[4, 4], trio_tasks=[2])]
    items = list(row.conclude({OURS: ours, "a.Lock": theirs, "b.Lock": theirs}))
    every, threads, tasks, *rest = findings(items)
    assert (every.aspect, ratio(every), every.target) == ("all", 2, Target(3))
    assert (threads.aspect, ratio(threads)) == ("by threads", 1.25)
    assert threads.note == "least served: 1, peer 2"
    assert (tasks.aspect, ratio(tasks)) == ("by trio tasks", 5)
    assert [each.target for each in rest] == [None] * 3


def test_a_mixture_is_run_by_its_sides() -> None:
    row = Mixture("row", "mixed", TWO, BODY, 3, sides={"threads": 2})
    told = Told(*[counted(threads=[1, 1])] * 2)
    run(row, told)
    ((worker, task), _) = told.tasks
    assert (worker, task["permits"], task["sides"]) == ("crowd", 3, {"threads": 2})
    assert task["seconds"] == 4 * ONCE.window


def traced(scale: float, longest: int = 3, *, handed: bool = True) -> dict[str, Any]:
    values = [scale * (index + 1) for index in range(len(GRID))]
    return {
        "waits": {"threads": values},
        "hand-offs": values if handed else [],
        "longest run": longest,
        "spans": [[0, 0.0, 0.1], [longest, 0.1, 0.2]],
    }


def test_traces_of_waits() -> None:
    row = Traced(
        "row",
        "wait",
        TWO,
        BODY,
        sides={"threads": 2},
        waits="threads",
        target=Target(9),
    )
    told = Told({"traced": traced(1)}, {"traced": traced(2)})
    items = run(row, told)
    assert all(task["traced"] for _, task in told.tasks)
    assert [(each.aspect, ratio(each), each.target) for each in findings(items)] == [
        ("median wait", 0.5, None),
        ("p95 wait", 0.5, None),
        ("p99 wait", 0.5, None),
        ("worst wait", 0.5, Target(9)),
        ("longest run by one", 1, None),
    ]
    worst = findings(items)[3]
    assert worst.values.ours.median == len(GRID)
    drawn = [item for item in items if isinstance(item, Distribution)]
    assert [one.label for one in drawn] == [OURS, "a.Lock"]
    assert drawn[1].values[0] == 2


def test_the_timeline_is_of_the_worst_run() -> None:
    row = Traced("row", "wait", TWO, BODY, sides={"threads": 2}, waits="threads")
    runs = [traced(1, 3), traced(1, 8), traced(1, 5)]
    items = row.conclude({OURS: runs, "a.Lock": runs})
    lines = [item for item in items if isinstance(item, Timeline)]
    assert [line.label for line in lines] == [OURS, "a.Lock"]
    assert lines[0].spans == ((0, 0.0, 0.1), (8, 0.1, 0.2))


def test_traces_of_hand_offs() -> None:
    row = Traced("row", "hand", TWO, BODY, sides={"threads": 2}, target=Target(9))
    runs = [traced(3), traced(5, handed=False), traced(4)]
    peers = [traced(1), traced(1), traced(2)]
    items = list(row.conclude({OURS: runs, "a.Lock": peers}))
    assert not any(isinstance(item, Timeline) for item in items)
    median, *_, worst = findings(items)
    # The run without any counts for nobody.
    assert median.values.ratio == Spread(2.5, 2, 3)
    assert (median.target, worst.aspect) == (Target(9), "worst hand-off")


def test_where_nothing_was_handed_over() -> None:
    row = Traced("row", "hand", TWO, BODY, sides={"threads": 2})
    runs = [traced(3)]
    items = list(row.conclude({OURS: runs, "a.Lock": [traced(1, handed=False)]}))
    assert Skipped("row", "hand", "a.Lock: nothing was handed over") in items


# Waiters.


def waited(microseconds: float, size: float = 0.0, helpers: int = 0) -> dict[str, Any]:
    return {"microseconds": microseconds, "bytes": size, "helpers": helpers}


def test_waiters() -> None:
    row = Waiters("row", "wait", TWO, (10, 100, 1000), "trio", cancel=True)
    ours = [waited(2), waited(4), waited(5, 300, helpers=1)]
    theirs = [waited(1), waited(1), waited(0, 100)]
    told = Told(*ours, *theirs)
    pytest.importorskip("trio")
    items = run(row, told)  # quickly, without every other number
    assert [(task["waiters"], task["traced"]) for _, task in told.tasks[:3]] == [
        (10, False),
        (1000, False),
        (1000, True),
    ]
    assert all(task["loop"] == "trio" and task["cancel"] for _, task in told.tasks)
    ten, thousand, memory, grows, helpers = findings(items)
    assert (ten.aspect, ratio(ten)) == ("each of 10", 2)
    assert (thousand.aspect, ratio(thousand)) == ("each of 1,000", 4)
    assert (memory.unit, ratio(memory)) == ("B", 3)
    assert grows.values.theirs is not None
    assert grows.values.theirs.median == pytest.approx(1)
    assert grows.values.ours.median == pytest.approx(1.15, abs=0.001)
    assert (helpers.values.ours.high, helpers.verdict) == (1, "holds")
    drawn = [item for item in items if isinstance(item, Point)]
    assert [(point.label, point.x, point.y.median) for point in drawn] == [
        (OURS, 10, 20),
        (OURS, 1000, 4000),
        ("a.Lock", 10, 10),
        ("a.Lock", 1000, 1000),
    ]


def test_waiters_need_their_loop() -> None:
    row = Waiters("row", "wait", TWO, (10,), "asyncio")
    assert row.plan(USUAL, Told()).needs == ()


# What they cost before.


def test_imports_are_judged_by_what_they_drag_in() -> None:
    row = Imports("row", "import", THREE, Target(3, of="ours"), ("asyncio", "trio"))
    ours = [{"ms": ms, "modules": ["sys", "trio"]} for ms in (1.0, 2.0, 2.5)]
    theirs: list[Any] = [{"ms": ms, "modules": []} for ms in (4.0, -1.0, 9.0)]
    items = row.conclude({OURS: ours, "a.Lock": theirs, "b.Lock": theirs})
    first, second, modules = findings(list(items))
    assert (first.verdict, second.verdict) == ("holds", "")
    assert first.values.ratio is None
    assert (modules.verdict, modules.note) == ("FAILS by 1", "trio")


def test_sizes() -> None:
    row = Sizes("row", "size", THREE, Target(150, of="ours"))
    mine = {"traced": 100.0, "parts": 50, "resident": 200.0}
    theirs = {"traced": 50.0, "parts": 25, "resident": 50.0}
    told = Told(mine, theirs, theirs)
    most, parts, resident, *rest = findings(run(row, told))
    assert (most.aspect, ratio(most), most.verdict) == (
        "allocated",
        2,
        "holds",
    )
    assert (ratio(parts), parts.target) == (2, None)
    assert (ratio(resident), resident.unit) == (4, "B")
    assert resident.aspect.endswith(f"{ONCE.many:,}")
    assert [each.target for each in rest] == [None] * 3


def test_sizes_where_the_system_does_not_tell() -> None:
    row = Sizes("row", "size", TWO)
    mine = {"traced": 100.0, "parts": 50, "resident": None}
    assert len(run(row, Told(mine, mine))) == 2


def test_idle() -> None:
    row = Idle("row", "idle", TWO, Target(4, of="ours"))
    (finding,) = run(row, Told(3.0, 6.0, 6.0, 3.0))
    assert isinstance(finding, Finding)
    assert (finding.unit, ratio(finding)) == ("ms/s", 0.5)
    assert finding.verdict == "holds"
