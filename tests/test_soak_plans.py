"""What the soak draws from its seed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from anylock._soak.command import KINDS
from anylock._soak.kills import KILLS
from anylock._soak.plan import plans
from anylock._soak.subjects import SUBJECTS

if TYPE_CHECKING:
    import pytest


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
    assert any(plan.kills for plan in drawn) == KILLS
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
            assert not plan.kills
            assert "bounded" not in label
            assert "condition" not in label
            assert not (tasks and label.startswith("rlock"))
            assert not (tasks and sys.version_info < (3, 11))


def test_only_who_survives_it_is_killed() -> None:
    kinds = {
        plan.subject.kind for plan in islice(plans(5, KINDS, 1.0), 300) if plan.kills
    }
    assert kinds == ({"machine"} if KILLS else set())


def test_no_signals_amid_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told, and struck before the first line inside, could not say so."""
    lock = replace(SUBJECTS["machine"][0], storm=True, storm_beside_tasks=True)
    monkeypatch.setitem(SUBJECTS, "machine", [lock])
    for plan in islice(plans(5, ["machine"], 1.0), 100):
        assert not (plan.kills and any(cast.storm is not None for cast in plan.cast))
