"""The checks of the family accept what is right, and refuse a wrong one for each rule.

What is new in them, that is: test_check_lock.py shows it for the rules of locks.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from anylock.testing import (
    CONDITION_RULES,
    RLOCK_RULES,
    RULES,
    SEMAPHORE_RULES,
    BrokenRule,
    check_condition,
    check_rlock,
    check_semaphore,
)
from backends import ASYNCIO, TRIO, Backend, require
from broken_conditions import BROKEN_CONDITIONS, ON_ASYNCIO_ONLY
from broken_rlocks import BROKEN_RLOCKS
from broken_semaphores import BROKEN_SEMAPHORES
from reference_family import (
    AsyncCondition,
    BoundedReferenceSemaphore,
    ReferenceCondition,
    ReferenceRLock,
    ReferenceSemaphore,
    ThreadCondition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from broken_locks import BrokenLock

CHECKS: dict[str, Callable[..., None]] = {
    "rlock": check_rlock,
    "semaphore": check_semaphore,
    "condition": check_condition,
}
TABLES: dict[str, Mapping[str, str]] = {
    "rlock": RLOCK_RULES,
    "semaphore": SEMAPHORE_RULES,
    "condition": CONDITION_RULES,
}
BROKEN: dict[str, list[BrokenLock]] = {
    "rlock": BROKEN_RLOCKS,
    "semaphore": BROKEN_SEMAPHORES,
    "condition": BROKEN_CONDITIONS,
}
RIGHT: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("rlock", ReferenceRLock, {}),
    ("semaphore", ReferenceSemaphore, {}),
    ("semaphore", BoundedReferenceSemaphore, {"bounded": True}),
    ("condition", ReferenceCondition, {}),
    ("condition", AsyncCondition, {}),
    ("condition", ThreadCondition, {}),
]
NEEDS_ASYNCIO = {"closed_loop_waits", "permits_and_wait_for"}
"""Rules about what only happens to asyncio."""

ALL_BROKEN = [
    (member, broken)
    for member, all_broken in (*BROKEN.items(), ("condition", ON_ASYNCIO_ONLY))
    for broken in all_broken
]
ONE_OF_EACH = [
    (member, broken)
    for member, all_broken in BROKEN.items()
    for rule, broken in {b.rule: b for b in reversed(all_broken)}.items()
    if rule not in NEEDS_ASYNCIO
]


@pytest.mark.parametrize(
    ("member", "factory", "options"), RIGHT, ids=[right[1].__name__ for right in RIGHT]
)
def test_what_is_right_is_accepted(
    member: str,
    factory: Callable[..., Any],
    options: dict[str, Any],
    backend: Backend,
) -> None:
    before = set(threading.enumerate())
    CHECKS[member](factory, backends=[backend.anyio_backend], **options)
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("check_lock"):
            thread.join(10)
            assert not thread.is_alive(), f"still running: {thread}"


@pytest.mark.parametrize("backend", [ASYNCIO, TRIO], ids=str)
@pytest.mark.parametrize(
    ("member", "factory", "options"), RIGHT, ids=[right[1].__name__ for right in RIGHT]
)
def test_what_is_right_is_accepted_by_worker_threads(
    member: str,
    factory: Callable[..., Any],
    options: dict[str, Any],
    backend: Backend,
) -> None:
    require(backend)
    CHECKS[member](factory, backends=[backend.library], threads=False, **options)


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """What was made; in the end those who are stuck in it are let go."""
    before = set(threading.enumerate())
    things: list[Any] = []
    yield things
    deadline = time.monotonic() + 30
    while stuck := [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("check_lock")
    ]:
        for thing in things:
            let_all_go(thing)
        for thread in stuck:
            thread.join(0.01)
        assert time.monotonic() < deadline, f"still running: {stuck}"


def let_all_go(thing: Any) -> None:
    with suppress(AttributeError):  # no condition
        thing.pass_on(1000)
    thing.hand_on()


def expect_refusal(
    member: str, broken: BrokenLock, library: str, made: list[Any]
) -> None:
    found = refusal(member, broken, library, made, **broken.options)
    if broken.found not in found:
        # On a busy machine it may run out of patience before that is found, or not be
        # seen by a rule that waits for it a moment.
        patient = {**broken.options, "patience": 10.0}
        found = refusal(member, broken, library, made, **patient)
    assert broken.found in found


def refusal(
    member: str, broken: BrokenLock, library: str, made: list[Any], **options: Any
) -> str:
    """Return what is found to be wrong with it; nothing, if it passes."""
    rules = TABLES[member]

    def factory(*args: Any) -> Any:
        made.append(broken.factory(*args))
        return made[-1]

    try:
        CHECKS[member](
            factory,
            backends=[library],
            without=set(rules) - {broken.rule},
            **options,
        )
    except BrokenRule as error:
        refused = error
    else:
        return ""  # a thread that does wrong may be too late for the rule to see it
    assert refused.rule == broken.rule
    assert rules[broken.rule] in str(refused)
    return refused.found


@pytest.mark.parametrize(("member", "broken"), ALL_BROKEN, ids=str)
def test_what_is_broken_is_refused(
    member: str, broken: BrokenLock, made: list[Any]
) -> None:
    expect_refusal(member, broken, "asyncio", made)


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize(("member", "broken"), ONE_OF_EACH, ids=str)
def test_what_is_broken_is_refused_on_trio(
    member: str, broken: BrokenLock, made: list[Any]
) -> None:
    expect_refusal(member, broken, "trio", made)


@pytest.mark.parametrize("member", TABLES)
def test_every_new_rule_can_be_broken(member: str) -> None:
    new = set(TABLES[member]) - set(RULES)
    assert {broken.rule for broken in BROKEN[member]} == new


@pytest.mark.parametrize(
    ("member", "left_out"),
    [
        ("rlock", {"own_lock_again"}),
        ("semaphore", {"own_lock_again", "release_unheld"}),
        ("condition", {"own_lock_again"}),
    ],
)
def test_the_rules_of_locks_are_shared(member: str, left_out: set[str]) -> None:
    assert set(RULES) - set(TABLES[member]) == left_out


@pytest.mark.parametrize("member", TABLES)
def test_unknown_rules_are_refused(member: str) -> None:
    with pytest.raises(ValueError, match="there is no rule 'own_lock_again'; there"):
        CHECKS[member](ReferenceSemaphore, without={"own_lock_again"})
