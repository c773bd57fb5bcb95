"""What the constructors take by name, and what they take by nothing else.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import make_condition, make_lock, make_rlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

OPTIONS: dict[str, dict[str, Any]] = {
    "Async": {"fast_acquire": True},
    "Process": {"context": multiprocessing.get_context("spawn")},
    "Thread": {"reset_after_fork": True},
}
every_kind = pytest.mark.parametrize("kind", OPTIONS)


@every_kind
@pytest.mark.parametrize("member", ["Lock", "RLock"])
def test_locks(kind: str, member: str) -> None:
    make: Any = getattr(anylock, kind + member)
    assert make(name="the-lock", **OPTIONS[kind]).name == "the-lock"
    assert make("the-lock").name == "the-lock"
    with pytest.raises(TypeError, match="positional argument"):
        make("the-lock", *OPTIONS[kind].values())


@every_kind
@pytest.mark.parametrize("member", ["Semaphore", "BoundedSemaphore"])
def test_semaphores(kind: str, member: str) -> None:
    make: Any = getattr(anylock, kind + member)
    assert make().value == 1
    made = make(value=2, name="pool", **OPTIONS[kind])
    assert (made.value, made.name) == (2, "pool")
    with pytest.raises(TypeError, match="positional argument"):
        make(2, "pool", *OPTIONS[kind].values())


@every_kind
def test_conditions(kind: str) -> None:
    make: Any = getattr(anylock, kind + "Condition")
    assert make(lock=None, name="news").name == "news"


def test_context_of_a_condition() -> None:
    make: Any = anylock.ProcessCondition
    with pytest.raises(TypeError, match="positional argument"):
        make(None, "news", *OPTIONS["Process"].values())


@pytest.mark.parametrize("kind", ["async", "process", "thread"])
@pytest.mark.parametrize("make_inner", [make_lock, make_rlock])
def test_name_of_a_condition_that_is_given_a_lock(
    kind: LockKind, make_inner: Callable[[Any], Any]
) -> None:
    """The lock has looked at its own alone."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="name"):
        make_condition(kind, make_inner(kind), name=wrong)
