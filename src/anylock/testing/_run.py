"""How a table of rules is checked, and what becomes of the findings."""

from __future__ import annotations

import importlib.util
import math
import traceback
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import anyio

from anylock import LockKind
from anylock.testing._rule import BrokenRule, Feature, Rule
from anylock.testing._stage import Backend, Broken, Stage, in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from multiprocessing.context import BaseContext

    from anylock.testing._tables import Table


@dataclass(frozen=True)
class Options:
    """What the caller of a check chose; see `check_lock`."""

    backends: Iterable[str | tuple[str, Mapping[str, Any]]]
    threads: bool | None
    deadlocks: bool | None
    context: BaseContext | None
    without: Collection[str]
    patience: float


def check_rules(
    table: Table,
    factory: Callable[..., Any],
    options: Options,
    features: Callable[[object], dict[Feature, bool]] | None = None,
) -> None:
    """Check all rules of the table that apply, up to the first that is broken.

    Args:
        table: The rules.
        factory: Makes a fresh one of what is checked, also without arguments.
        options: What the caller chose.
        features: Tells from one that was made what else decides which rules apply.
    """
    if unknown := sorted(set(options.without) - set(table.texts)):
        message = f"there is no rule {unknown[0]!r}; there are {', '.join(table.texts)}"
        raise ValueError(message)
    if not 0 < options.patience < math.inf:
        message = (
            f"patience must be a limited number of seconds, not {options.patience!r}"
        )
        raise ValueError(message)
    chosen = tuple(_backend(given) for given in options.backends)
    if not chosen:
        message = "backends must name one event loop at least: 'asyncio' or 'trio'"
        raise ValueError(message)
    one = factory()
    kind = getattr(one, "kind", None)
    for_threads = kind != "async" if options.threads is None else options.threads
    tells = (
        kind in get_args(LockKind) if options.deadlocks is None else options.deadlocks
    )
    has: dict[Feature, bool] = {
        "threads": for_threads,
        "one loop": not for_threads,
        "deadlocks": tells,
        "processes": options.context is not None,
        "tasks": True,
    }
    if features is not None:
        has |= features(one)
    for rule in table.rules:
        if rule.name in options.without or not all(has[need] for need in rule.needs):
            continue
        for check, backend in _runs(rule, chosen, has):
            stage = Stage(
                factory,
                chosen,
                backend or chosen[0],
                for_threads,
                options.context,
                options.patience,
                has["tasks"],
                table.reentrant,
            )
            _check(rule, check, stage, backend)


def _backend(given: str | tuple[str, Mapping[str, Any]]) -> Backend:
    nothing: Mapping[str, Any] = {}
    library, options = (given, nothing) if isinstance(given, str) else given
    if library not in {"asyncio", "trio"}:
        message = f"a backend is 'asyncio' or 'trio', not {library!r}"
        raise ValueError(message)
    if library == "trio" and importlib.util.find_spec("trio") is None:
        message = (
            "checking a lock on trio needs trio: pip install 'anylock[trio]', or leave "
            "it out by backends=['asyncio']"
        )
        raise ImportError(message)
    return Backend(library, options)


def _runs(
    rule: Rule, backends: tuple[Backend, ...], has: Mapping[Feature, bool]
) -> Iterator[tuple[Callable[[Stage], object], Backend | None]]:
    """Yield how to run the rule, and the backend of that run."""
    if rule.setting == "loops" or (rule.setting == "anywhere" and has["threads"]):
        yield rule.check, None
    if rule.setting == "loops":
        return
    for backend in backends:
        if rule.setting == "thread":
            yield rule.check, backend
        elif has["tasks"]:
            yield partial(_run_in_task, rule), backend


def _run_in_task(rule: Rule, stage: Stage) -> None:
    stage.backend.run(_as_task, rule, stage)


async def _as_task(rule: Rule, stage: Stage) -> None:
    # What the stage waits for ends before, and says more.
    with anyio.move_on_after(1.1 * stage.patience) as scope:
        try:
            if rule.setting == "task":
                await rule.check(stage)
            else:
                rule.check(stage)
        except anyio.get_cancelled_exc_class() as error:
            stack = "".join(traceback.format_tb(error.__traceback__))
            stage.found = stage.found or Broken(
                f"it did not come to its end within {stage.patience:g} s, at\n{stack}"
            )
            raise
    if scope.cancelled_caught and stage.found is not None:
        raise stage.found


def _check(
    rule: Rule,
    check: Callable[[Stage], object],
    stage: Stage,
    backend: Backend | None,
) -> None:
    outcome = in_daemon_thread(check, stage)
    # The stage gives up before, unless a thread or an event loop is blocked.
    wait([outcome], 1.5 * stage.patience)
    cause: BaseException | None = None
    if outcome.done():
        cause = outcome.exception()
    elif stage.found is None:
        stage.found = Broken(
            f"it did not come to its end within {stage.patience:g} s:{stage.stacks()}"
        )
    if cause is not None and stage.found is None:
        cause = _first_of(cause)
        stage.found = Broken(f"it raised {cause!r}")
    stage.stop()
    if stage.found is not None:
        library = None if backend is None else backend.library
        raise BrokenRule(rule.name, rule.text, str(stage.found), library) from cause


def _first_of(error: BaseException) -> BaseException:
    """Return the first error of an exception group, or the error itself."""
    inner: Any = getattr(error, "exceptions", None)
    return _first_of(inner[0]) if inner else error
