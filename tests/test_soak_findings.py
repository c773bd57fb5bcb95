"""What the soak finds, in locks that are broken on purpose."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import broken_subjects
from soaks import many_tasks, seed_with, several_threads, violation_of

if TYPE_CHECKING:
    from anylock._soak.plan import Plan
    from anylock._soak.subjects import Subject


WRONG_RECORD = r"overlap: \d+ are inside, of 1 at the most|the check-sum is wrong"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("OVERLAPPING", WRONG_RECORD),
        ("OVERLAPPING_TASKS", WRONG_RECORD),
        ("OVERLAPPING_PERMITS", r"overlap: \d are inside, of 2 at the most"),
        ("TEARING", "the check-sum is wrong|lost update: "),
        ("UNREAD", f"{WRONG_RECORD}|somebody wrote while another read|to write while"),
        ("UNREAD_BY_TASKS", "somebody wrote while another read|check-sum|to write whi"),
        ("GENEROUS", "more than 1 get in"),
        ("REFUSING", "it is free, but try_acquire\\(\\) is refused"),
        ("NOISY", "LookupError: not mine"),
        ("FATAL", "a process ended with exit code 7"),
    ],
)
def test_a_broken_lock_is_found_out(name: str, found: str) -> None:
    subject: Subject = getattr(broken_subjects, name)
    seed = seed_with(subject, several_threads if subject.threads else many_tasks)
    out, err = violation_of(name, seed)
    assert re.search(r"violations +│ +violated", out)
    assert re.search(found, err)
    assert "anylock soak: round 0, thread broken: " in err
    assert f"anylock soak: VIOLATED, with seed {seed}\n" in err
    again = f"python -m anylock soak --kind thread --seed {seed} --seconds 1\n"
    assert again in err


def test_a_hang_is_found_out_with_all_stacks() -> None:
    seed = seed_with(broken_subjects.FORGETFUL, several_threads)
    _, err = violation_of("FORGETFUL", seed, patience="1")
    assert re.search(r"hang: nobody got in for 1 s, while \d wanted to", err)
    assert re.search(r"Stacks of process \d+:\n.*in __enter__", err, re.DOTALL)
    assert f"with seed {seed}" in err


def test_a_lock_that_is_left_locked() -> None:
    seed = seed_with(broken_subjects.LEFT_LOCKED, several_threads)
    _, err = violation_of("LEFT_LOCKED", seed, patience="1")
    assert "it was left locked, and nobody is there" in err


def test_a_child_that_hangs_is_found_out() -> None:
    def forks(plan: Plan) -> bool:
        return plan.forks and several_threads(plan)

    seed = seed_with(broken_subjects.LOCKED_IN_CHILDREN, forks)
    _, err = violation_of("LOCKED_IN_CHILDREN", seed, patience="2")
    assert "a forked child failed, with status 256; see above" in err
    assert "LockTimeout" in err


# Deaths.


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "NEVER_TOLD",
            r"workers \[\d\] were killed inside, and who came next",
        ),
        ("ALWAYS_TOLD", r"\d+ deaths inside were told, and there were \d|lost update"),
        ("TOLD_TWICE", r"\d+ deaths inside were told, and there were \d|lost update"),
        ("STALE", "nobody got in for 2 s, while [2-9] want|it was left locked"),
    ],
)
def test_a_lock_on_a_file_that_is_broken(name: str, found: str) -> None:
    seed = seed_with(getattr(broken_subjects, name), kills_often)
    _, err = violation_of(name, seed, patience="2")
    assert re.search(found, err), err


def kills_often(plan: Plan) -> bool:
    # Who is spawned would have a lock of the usual class.
    often = plan.kills is not None and plan.kills < 0.1
    return often and plan.start_method == "fork" and several_threads(plan)
