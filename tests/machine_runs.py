"""How state machines are run, and how it is seen that they find a fault."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import hypothesis
from hypothesis import HealthCheck
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from actors import Violation
from anylock._async._base import AsyncBase
from anylock._bridge.queue import Waiting
from machines import Machine
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

IMPATIENCE = 0.7
"""Seconds to wait for what most likely never happens."""

HUNT = int(os.environ.get("ANYLOCK_HUNT", "0"))
"""How many new examples to try, beyond those that are always the same."""

SETTINGS = hypothesis.settings(
    max_examples=HUNT or 25,
    stateful_step_count=40 if HUNT else 25,
    # Time depends on what else runs on this computer, and is not what is tested.
    deadline=None,  # and the same goes for the health check of slowness
    # The same programs each time: what fails is to be laid to the last change. New
    # ones are for those who hunt. (What the threads make of them differs as it is.)
    derandomize=not HUNT,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)

# The first program that finds it is the last. Which programs there are depends on what
# is imported, so there have to be enough for all of them.
WITH_A_FAULT = hypothesis.settings(SETTINGS, max_examples=3000)


def run(machine: Callable[[], Machine], *, times: int = 1) -> None:
    """Run a machine; with so many times as many programs as others have."""
    settings = hypothesis.settings(SETTINGS, max_examples=times * SETTINGS.max_examples)
    made: list[Machine] = []

    def make() -> Machine:
        # Once it has failed, the programs that make it shorter need not be waited for.
        if made and made[0].broken:
            Machine.patience = IMPATIENCE
        made[:] = [machine()]
        return made[0]

    try:
        run_state_machine_as_test(cast("Any", make), settings=settings)
    finally:
        Machine.patience = PATIENCE


class Found(BaseException):
    """A violation that is not to be made shorter; Hypothesis lets it pass."""


def first_violation(machine: Callable[[], Machine]) -> str:
    """Run a machine whose subject has a fault, and tell what it finds."""
    found: list[str] = []

    def make() -> Machine:
        made = machine()
        made.patience = IMPATIENCE
        settle = made.settle

        def settle_or_stop() -> None:
            try:
                settle()
            except Violation as violation:
                found.append(str(violation))
                raise Found from None

        made.settle = settle_or_stop  # type: ignore[method-assign]
        return made

    # Hypothesis objects if the same program had passed before: which thread is faster
    # is another matter each time.
    with suppress(Found, Flaky):
        run_state_machine_as_test(cast("Any", make), settings=WITH_A_FAULT)
    return found[0] if found else "nothing"


# Faults that several machines are to find.


def do_nothing(*_: object) -> None:
    pass


def lose_the_grant(patch: pytest.MonkeyPatch) -> None:
    def withdraw(bridge: Any, waiter: Any) -> None:
        if waiter.granted:
            bridge._distrust(waiter)
        else:
            bridge._remove(waiter)

    patch.setattr(Waiting, "_withdraw", withdraw)


def lose_the_grant_of_a_task(patch: pytest.MonkeyPatch) -> None:
    def withdraw(lock: Any, waiter: Any) -> None:
        lock._waiters.pop(waiter, None)

    patch.setattr(AsyncBase, "_withdraw", withdraw)


def serve_the_last(patch: pytest.MonkeyPatch) -> None:
    def last(bridge: Any, _thread: Any) -> Any:
        return next(reversed(bridge._queue))

    patch.setattr(Waiting, "_next", last)
