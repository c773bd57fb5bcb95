"""`python -m anylock soak`: what it passes, what it finds, and how it ends."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock
from anylock.__main__ import INTERRUPTED, main
from anylock._soak import command, soak
from anylock._soak.board import COLOURS, FAULTS, Board, Row, Violation
from anylock._soak.plan import Plan, plans
from anylock._soak.subjects import SUBJECTS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

VIOLATED = soak.VIOLATED
KINDS = command.KINDS


def run_alone(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
        env=environment(),
        **options,
    )


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(sys.path)
    # Not measured: the tracer takes a lock in Python code, and a fork amid that, or a
    # handler that raises, leaves it locked.
    unwanted = ("FORCE_COLOR", "NO_COLOR", "COVERAGE_PROCESS")
    mine = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    return {**mine, "PYTHONPATH": path, "COLUMNS": "120", **more}


# What it passes.


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_soak(kind: str) -> None:
    done = run_alone("-m", "anylock", "soak", "--seconds=1.2", "--kind", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"rounds in \d+ s, seed \d+", done.stdout)
    assert re.search(r"violations +│ +none", done.stdout)
    entries = re.findall(r"acquisitions by (?:async )?with +│ +([\d,]+)", done.stdout)
    assert sum(int(number.replace(",", "")) for number in entries) > 20


def test_all_kinds_by_default() -> None:
    done = run_alone("-m", "anylock", "soak", "--seconds=1", "--seed=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"3 rounds in \d+ s, seed 0", done.stdout)
    assert re.search(r"│ +thread +│ +process +│ +async +│|┃", done.stdout)
    assert len(re.findall("none", done.stdout)) == len(KINDS)


# What it finds, in locks that are broken on purpose.


class NoLock:
    """Lets everybody in."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    def hold(self, _timeout: float | None = None) -> NoLock:
        return self

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def locked(self) -> bool:
        return False

    @property
    def value(self) -> int:
        return 2


class Forgetful(NoLock):
    """A lock that is not released any more from some time on: nobody is woken."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 20

    def __enter__(self) -> None:
        self.lock.acquire()

    def try_acquire(self) -> bool:
        return self.lock.acquire(blocking=False)

    def release(self) -> None:
        self.left -= 1
        if self.left > 0:
            self.lock.release()

    def locked(self) -> bool:
        return self.lock.locked()


class LeftLocked(NoLock):
    """A lock that says it is held, though everybody who comes gets in, in turn."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.lock.acquire()

    def try_acquire(self) -> bool:
        return self.lock.acquire(blocking=False)

    def release(self) -> None:
        self.lock.release()

    def locked(self) -> bool:
        return True


class Refusing(LeftLocked):
    """A lock that can be had by waiting only."""

    def locked(self) -> bool:
        return False

    def try_acquire(self) -> bool:
        return False


class Generous(LeftLocked):
    """A lock that `try_acquire` gets for somebody who has it."""

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()

    def locked(self) -> bool:
        return False


class Noisy(LeftLocked):
    """A lock that leaves things to the garbage collector which raise there."""

    class Rubbish:
        def __del__(self) -> None:
            message = "not mine"
            raise LookupError(message)

    def locked(self) -> bool:
        return False

    def release(self) -> None:
        super().release()
        self.Rubbish()


def fatal() -> None:
    os._exit(7)


def unblinded() -> NoLock:
    return NoLock()


def blinded() -> NoLock:
    """Lets everybody in where nobody looks around, as if they were too quick for it."""
    rows: Any = Row
    rows._look_around = blind
    return NoLock()


def blind(_row: Row) -> None:
    pass


PROGRAM = """if True:
    import sys
    import test_soak
    from anylock.__main__ import main
    from anylock._soak import subjects
    subjects.SUBJECTS["thread"] = [test_soak.{subject}]
    if __name__ == "__main__":
        sys.exit(main(sys.argv[1:]))
"""


def alone(make: Callable[[], Any], **traits: Any) -> Subject:
    """A broken lock, for threads only unless it is said otherwise."""
    return replace(Subject("thread", "broken", make, loops_at_a_time=0), **traits)


OVERLAPPING = alone(unblinded)
OVERLAPPING_TASKS = alone(unblinded, loops_at_a_time=2, threads=False)
TEARING = alone(blinded)
OVERLAPPING_PERMITS = alone(unblinded, loops_at_a_time=1, threads=False, permits=2)
FORGETFUL = alone(Forgetful)
LEFT_LOCKED = alone(LeftLocked)
REFUSING = alone(Refusing)
GENEROUS = alone(Generous)
NOISY = alone(Noisy)
FATAL = alone(fatal)
LOCKED_IN_CHILDREN = alone(
    lambda: make_lock("thread"), forks=True, fresh_in_children=True
)


def seed_with(subject: Subject, wanted: Callable[[Plan], bool]) -> str:
    """Return a seed with a first round of that subject as it is wanted."""
    before = SUBJECTS["thread"]
    SUBJECTS["thread"] = [subject]
    try:
        return next(
            str(seed)
            for seed in range(1000)
            if wanted(next(plans(seed, ["thread"], 1.0)))
        )
    finally:
        SUBJECTS["thread"] = before


def soak_with(kind: str, label: str, wanted: Callable[[Plan], bool]) -> str:
    """Run one round of a sound subject, planned as it is wanted; return the summary."""
    for seed in range(10_000):
        plan = next(plans(seed, [kind], 1.0))
        if plan.subject.label == label and wanted(plan):
            break
    else:
        pytest.fail("there is no such plan")
    options = ("--seconds=1", f"--kind={kind}", f"--seed={seed}")
    done = run_alone("-m", "anylock", "soak", *options)
    assert done.returncode == 0, f"{plan}: {done.stdout}{done.stderr}"
    return done.stdout


def soak_of(name: str, seed: str, patience: str = "20") -> tuple[int, str, str]:
    """Run one round of a broken subject."""
    done = run_alone(
        *("-c", PROGRAM.format(subject=name), "soak", "--kind=thread"),
        *("--seconds=1", f"--seed={seed}", f"--patience={patience}"),
    )
    return done.returncode, done.stdout, done.stderr


def many_tasks(plan: Plan) -> bool:
    return any(p.endings == "over" and len(p.rows) > 3 for p in plan.cast[0].loops)


def several_threads(plan: Plan) -> bool:
    return len(plan.cast[0].threads) > 1


WRONG_RECORD = r"overlap: \d+ are inside, of 1 at the most|the check-sum is wrong"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("OVERLAPPING", WRONG_RECORD),
        ("OVERLAPPING_TASKS", WRONG_RECORD),
        ("OVERLAPPING_PERMITS", r"overlap: \d are inside, of 2 at the most"),
        ("TEARING", "the check-sum is wrong|lost update: "),
        ("GENEROUS", "more than 1 get in"),
        ("REFUSING", "it is free, but try_acquire\\(\\) is refused"),
        ("NOISY", "LookupError: not mine"),
        ("FATAL", "a process ended with exit code 7"),
    ],
)
def test_a_broken_lock_is_found_out(name: str, found: str) -> None:
    subject: Subject = globals()[name]
    seed = seed_with(subject, several_threads if subject.threads else many_tasks)
    status, out, err = soak_of(name, seed)
    assert status == VIOLATED, out + err
    assert re.search(r"violations +│ +violated", out)
    assert re.search(found, err)
    assert "anylock soak: round 0, thread broken: " in err
    assert f"anylock soak: VIOLATED, with seed {seed}\n" in err
    again = f"python -m anylock soak --kind thread --seed {seed} --seconds 1\n"
    assert again in err


def test_a_hang_is_found_out_with_all_stacks() -> None:
    seed = seed_with(FORGETFUL, several_threads)
    status, out, err = soak_of("FORGETFUL", seed, patience="1")
    assert status == VIOLATED, out + err
    assert re.search(r"hang: nobody got in for 1 s, while \d wanted to", err)
    assert re.search(r"Stacks of process \d+:\n.*in __enter__", err, re.DOTALL)
    assert f"with seed {seed}" in err


def test_a_lock_that_is_left_locked() -> None:
    seed = seed_with(LEFT_LOCKED, several_threads)
    status, out, err = soak_of("LEFT_LOCKED", seed, patience="1")
    assert status == VIOLATED, out + err
    assert "it was left locked, and nobody is there" in err


def test_a_child_that_hangs_is_found_out() -> None:
    def forks(plan: Plan) -> bool:
        return plan.forks and several_threads(plan)

    seed = seed_with(LOCKED_IN_CHILDREN, forks)
    status, out, err = soak_of("LOCKED_IN_CHILDREN", seed, patience="2")
    assert status == VIOLATED, out + err
    assert "a forked child failed, with status 256; see above" in err
    assert "LockTimeout" in err


# The faults, in a round of each.


def number(summary: str, row: str) -> int:
    found = re.search(rf"{row} +│ +([\d,]+)", summary)
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_round_with_signals(kind: str) -> None:
    def storms(plan: Plan) -> bool:
        return any(cast.storm is not None for cast in plan.cast)

    assert number(soak_with(kind, "lock", storms), "signal") > 0


@pytest.mark.parametrize("label", ["lock", "lock, reset after fork", "rlock"])
def test_a_round_with_forks(label: str) -> None:
    def forks(plan: Plan) -> bool:
        return plan.forks and several_threads(plan)

    assert number(soak_with("thread", label, forks), "fork") > 0


def test_a_round_with_processes_that_end() -> None:
    def ends(plan: Plan) -> bool:
        early = any(cast.life is not None for cast in plan.cast)
        return early and plan.forks and plan.start_method == "fork"

    soak_with("process", "lock", ends)


# The record.


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


# The plans.


def test_equal_seeds_give_equal_plans() -> None:
    first, second, other = (
        [str(plan) for plan in islice(plans(seed, KINDS, 1.0), 60)]
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_every_kind_of_the_command_line_has_subjects() -> None:
    assert tuple(SUBJECTS) == KINDS


def test_every_subject_has_its_turn() -> None:
    drawn = {
        (plan.subject.kind, plan.subject.label)
        for plan in islice(plans(5, KINDS, 1.0), 60)
    }
    assert drawn == {
        (subject.kind, subject.label)
        for subjects in SUBJECTS.values()
        for subject in subjects
    }


def test_every_fault_is_planned() -> None:
    drawn = list(islice(plans(5, KINDS, 1.0), 300))
    endings = {
        (loop.library, loop.endings)
        for plan in drawn
        for cast in plan.cast
        for loop in cast.loops
    }
    libraries = ["asyncio"] + ["trio"] * (importlib.util.find_spec("trio") is not None)
    assert endings == {
        *((library, end) for library in libraries for end in ("over", "cancelled")),
        ("asyncio", "closed"),
    }
    assert any(plan.forks for plan in drawn)
    assert any(cast.life for plan in drawn for cast in plan.cast)
    assert any(cast.storm is not None for plan in drawn for cast in plan.cast)


def test_signals_only_where_the_documents_promise_safety() -> None:
    for plan in islice(plans(5, KINDS, 1.0), 1000):
        label = plan.subject.label
        tasks = any(cast.loops for cast in plan.cast)
        for cast in plan.cast:
            if cast.storm is None:
                continue
            assert plan.subject.kind != "async"
            assert "bounded" not in label
            assert "condition" not in label
            assert not (tasks and label.startswith("rlock"))
            assert not (tasks and sys.version_info < (3, 11))


# Options, and what may be missing.


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seconds=0", "--seconds: must be a number of seconds above 0, not '0'"),
        ("--seconds=-1", "--seconds: must be a number of seconds above 0, not '-1'"),
        ("--seconds=nan", "--seconds: must be a number of seconds above 0, not 'nan'"),
        ("--seconds=inf", "--seconds: must be a number of seconds above 0, not 'inf'"),
        ("--seconds=long", "must be a number of seconds above 0, not 'long'"),
        ("--patience=0", "--patience: must be a number of seconds above 0, not '0'"),
        ("--seed=-1", "--seed: must be a whole number, 0 or more, not '-1'"),
        ("--seed=1.5", "--seed: must be a whole number, 0 or more, not '1.5'"),
        ("--kind=fibre", "--kind: invalid choice: 'fibre'"),
    ],
)
def test_bad_arguments(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["soak", argument])
    assert caught.value.code == command.FAILED
    assert message in capsys.readouterr().err


def test_without_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_spec(_name: str) -> None:
        return None

    monkeypatch.setattr(command, "find_spec", find_spec)
    assert main(["soak"]) == command.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "anylock soak: needs rich for what it shows: pip install 'anylock[cli]'\n"
    )


def test_help_needs_nothing() -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from anylock.__main__ import main; main(['soak', '--help'])"
    )
    done = run_alone("-c", program)
    assert done.returncode == 0
    assert "--patience" in done.stdout


def test_an_interrupt_ends_it_with_the_summary() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "anylock", "soak", "--seconds=60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=0,
        start_new_session=True,
        env=environment(FORCE_COLOR="1"),  # rich takes stderr for a terminal then
    ) as process:
        assert process.stderr is not None
        drawn = ""
        while "acquisitions" not in drawn:  # it is at work
            drawn += process.stderr.read(1)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "violations" in out
    assert "Traceback" not in err
