"""check_lock: which rules apply to a lock, and what becomes of their findings."""

from __future__ import annotations

import importlib.util
import math
import traceback
from concurrent.futures import wait
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import anyio

from anylock import LockKind
from anylock.testing import (
    _cancellation,
    _deadlocks,
    _loops,
    _processes,
    _surface,
    _tasks,
    _threads,
)
from anylock.testing._rule import BrokenRule, Feature, Rule
from anylock.testing._stage import Backend, Broken, Stage, in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from multiprocessing.context import BaseContext

    from anylock import Lock

_MODULES = (
    _surface,
    _tasks,
    _cancellation,
    _deadlocks,
    _threads,
    _loops,
    _processes,
)

_RULES = tuple(
    value
    for module in _MODULES
    for value in vars(module).values()
    if isinstance(value, Rule)
)

RULES: Mapping[str, str] = MappingProxyType({rule.name: rule.text for rule in _RULES})
"""The rules of the contract: what each is called, and what it says."""


def check_lock(  # noqa: PLR0913 - all but one are options, by name only
    factory: Callable[[], Lock],
    *,
    backends: Iterable[str | tuple[str, Mapping[str, Any]]] = ("asyncio", "trio"),
    threads: bool | None = None,
    deadlocks: bool | None = None,
    context: BaseContext | None = None,
    without: Collection[str] = (),
    patience: float = 10.0,
) -> None:
    """Check that a lock keeps the contract of `anylock.Lock`.

    All rules of `RULES` that apply are checked, each on fresh locks, up to the first
    that is broken. Nothing hangs: a rule that does not come to its end in time is
    broken. Whatever is stuck in a broken lock then stays behind in daemon threads.

    It takes about a second per backend, and another per start of a process. It may be
    called in any thread that runs no event loop; pytest is not needed.

    Args:
        factory: Makes a fresh lock, independent of all others, at each call.
        backends: The event loops to check it on: "asyncio", "trio", or pairs of such
            a name and backend options of `anyio.run`, as anyio's pytest plugin has
            them: `("asyncio", {"use_uvloop": True})`.
        threads: Whether the lock is for plain threads and for tasks of several event
            loops. If not, `with` is checked in worker threads of one event loop. None:
            unless its `kind` is "async".
        deadlocks: Whether it raises `WouldDeadlock` where waiting would never end.
            None: if its `kind` is one of anylock's own.
        context: Also give the lock to a process of this context, as from
            `multiprocessing.get_context`. The factory must make locks for it, and the
            program must stand being imported by its children. None: no processes.
        without: Names of rules that the lock need not keep.
        patience: Seconds for which each rule may take; more than enough for any lock
            that works.

    Raises:
        AssertionError: A rule is broken; it is a `BrokenRule`, with the rule's name.
        ImportError: trio is not installed.
        ValueError: There is no such backend, or no such rule, or `patience` is not
            positive and limited.
    """
    if unknown := sorted(set(without) - set(RULES)):
        message = f"there is no rule {unknown[0]!r}; there are {', '.join(RULES)}"
        raise ValueError(message)
    if not 0 < patience < math.inf:
        message = f"patience must be a limited number of seconds, not {patience!r}"
        raise ValueError(message)
    chosen = tuple(_backend(given) for given in backends)
    if not chosen:
        message = "backends must name one event loop at least: 'asyncio' or 'trio'"
        raise ValueError(message)
    kind = getattr(factory(), "kind", None)
    for_threads = kind != "async" if threads is None else threads
    tells = kind in get_args(LockKind) if deadlocks is None else deadlocks
    features: dict[Feature, bool] = {
        "threads": for_threads,
        "one loop": not for_threads,
        "deadlocks": tells,
        "processes": context is not None,
    }
    for rule in _RULES:
        if rule.name in without or not all(features[need] for need in rule.needs):
            continue
        for check, backend in _runs(rule, chosen, threads=for_threads):
            stage = Stage(
                factory, chosen, backend or chosen[0], for_threads, context, patience
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
    rule: Rule, backends: tuple[Backend, ...], *, threads: bool
) -> Iterator[tuple[Callable[[Stage], object], Backend | None]]:
    """Yield how to run the rule, and the backend of that run."""
    if rule.setting == "loops" or (rule.setting == "anywhere" and threads):
        yield rule.check, None
    if rule.setting == "loops":
        return
    for backend in backends:
        if rule.setting == "thread":
            yield rule.check, backend
        else:
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
