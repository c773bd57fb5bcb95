"""`check_lock` accepts a right lock, and refuses a wrong one for each of its rules."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from anylock.testing import RULES, BrokenRule, check_lock
from backends import ASYNCIO, TRIO, Backend, require
from broken_locks import (
    BROKEN,
    BrokenLock,
    FailingRepr,
    LastComeFirstServed,
    LeakyAsyncExit,
)
from reference_lock import ReferenceLock

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDS_ASYNCIO = {"closed_loop"}
"""Rules about what only happens to asyncio."""

ONE_OF_EACH = [
    broken
    for rule, broken in {broken.rule: broken for broken in reversed(BROKEN)}.items()
    if rule not in NEEDS_ASYNCIO
]


def only(rule: str) -> set[str]:
    """Return all other rules."""
    return set(RULES) - {rule}


def test_a_right_lock_is_accepted(backend: Backend) -> None:
    check_lock(ReferenceLock, backends=[backend.anyio_backend])


@pytest.mark.parametrize("backend", [ASYNCIO, TRIO], ids=str)
def test_a_right_lock_is_accepted_by_worker_threads(backend: Backend) -> None:
    require(backend)
    check_lock(ReferenceLock, backends=[backend.library], threads=False)


def test_a_lock_without_a_name_is_accepted() -> None:
    check_lock(lambda: ReferenceLock(None), backends=["asyncio"])


@pytest.mark.usefixtures("trio")
def test_backends_share_a_check() -> None:
    check_lock(ReferenceLock)


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """Locks that were made; in the end those who are stuck in them are let go."""
    before = set(threading.enumerate())
    locks: list[Any] = []
    yield locks
    deadline = time.monotonic() + 30
    while stuck := [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("check_lock")
    ]:
        for lock in locks:
            with suppress(AttributeError, RuntimeError, ValueError):  # not a lock; free
                lock.release()
        for thread in stuck:
            thread.join(0.01)
        assert time.monotonic() < deadline, f"still running: {stuck}"


def expect_refusal(broken: BrokenLock, library: str, made: list[Any]) -> None:
    found = refusal(broken, library, made, **broken.options)
    if broken.found not in found:
        # On a busy machine it may run out of patience before that is found.
        found = refusal(broken, library, made, **{**broken.options, "patience": 10.0})
    assert broken.found in found


def refusal(broken: BrokenLock, library: str, made: list[Any], **options: Any) -> str:
    """Return what is found to be wrong with it."""

    def factory() -> Any:
        made.append(broken.factory())
        return made[-1]

    with pytest.raises(BrokenRule) as caught:
        check_lock(factory, backends=[library], without=only(broken.rule), **options)
    assert caught.value.rule == broken.rule
    assert caught.value.found in str(caught.value)
    assert broken.rule in str(caught.value)
    assert RULES[broken.rule] in str(caught.value)
    return caught.value.found


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_lock_is_refused(broken: BrokenLock, made: list[Any]) -> None:
    expect_refusal(broken, "asyncio", made)


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize("broken", ONE_OF_EACH, ids=str)
def test_a_broken_lock_is_refused_on_trio(broken: BrokenLock, made: list[Any]) -> None:
    expect_refusal(broken, "trio", made)


def test_every_rule_can_be_broken() -> None:
    assert {broken.rule for broken in BROKEN} == set(RULES)


def test_the_whole_check_refuses_it_too() -> None:
    with pytest.raises(AssertionError, match="breaks the rule 'async_with'"):
        check_lock(LeakyAsyncExit, backends=["asyncio"])


def test_rules_can_be_left_out() -> None:
    check_lock(FailingRepr, backends=["asyncio"], without={"repr_and_weakref"})


@pytest.mark.usefixtures("trio")
def test_a_broken_rule_names_its_backend() -> None:
    with pytest.raises(BrokenRule, match=r"\(on trio\)") as caught:
        check_lock(
            LastComeFirstServed,
            backends=["trio"],
            without=only("first_come_first_served"),
        )
    assert caught.value.backend == "trio"


def test_a_broken_rule_survives_pickling() -> None:
    error = BrokenRule("fair", "First come, first served.", "it was last", "asyncio")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no rule 'fairness'; there are "):
        check_lock(ReferenceLock, without={"fairness"})


def test_unknown_backends_are_refused() -> None:
    with pytest.raises(ValueError, match="'asyncio' or 'trio', not 'curio'"):
        check_lock(ReferenceLock, backends=["curio"])


def test_no_backends_are_refused() -> None:
    with pytest.raises(ValueError, match="one event loop at least"):
        check_lock(ReferenceLock, backends=[])


@pytest.mark.parametrize("patience", [0, -1, float("nan"), float("inf")])
def test_patience_is_limited(patience: float) -> None:
    with pytest.raises(ValueError, match="patience"):
        check_lock(ReferenceLock, backends=["asyncio"], patience=patience)


def test_a_missing_trio_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        assert name == "trio"

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(ImportError, match=r"pip install 'anylock\[trio\]'"):
        check_lock(ReferenceLock)


def test_an_error_of_the_factory_is_its_own() -> None:
    def factory() -> ReferenceLock:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_lock(factory, backends=["asyncio"])


def test_neither_pytest_nor_trio_is_imported() -> None:
    program = (
        "import sys, anylock.testing; "
        "sys.exit(' '.join({'pytest', 'trio'} & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
