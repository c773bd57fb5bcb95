"""The checks: of locks, re-entrant locks, semaphores and conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anylock.testing._conditions import tasks_can_wait, threads_can_wait
from anylock.testing._run import Options, check_rules
from anylock.testing._tables import CONDITIONS, LOCKS, RLOCKS, SEMAPHORES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from multiprocessing.context import BaseContext

    from anylock import Condition, Lock, Semaphore
    from anylock.testing._rule import Feature


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
    options = Options(backends, threads, deadlocks, context, without, patience)
    check_rules(LOCKS, factory, options)


def check_rlock(  # noqa: PLR0913 - as above
    factory: Callable[[], Lock],
    *,
    backends: Iterable[str | tuple[str, Mapping[str, Any]]] = ("asyncio", "trio"),
    threads: bool | None = None,
    deadlocks: bool | None = None,
    context: BaseContext | None = None,
    without: Collection[str] = (),
    patience: float = 10.0,
) -> None:
    """Check that a re-entrant lock keeps the contract: the rules of `RLOCK_RULES`.

    These are the rules of locks, where they are about others than who holds it, and
    some about who enters it again.

    Args:
        factory: Makes a fresh lock, independent of all others, at each call.
        backends: As for `check_lock`, like all that follow.
        threads: Whether it is for plain threads and for tasks of several event loops.
        deadlocks: Whether it raises `WouldDeadlock` where waiting would never end.
        context: Also give it to a process of this context.
        without: Names of rules that it need not keep.
        patience: Seconds for which each rule may take.

    Raises:
        AssertionError: A rule is broken; it is a `BrokenRule`, with the rule's name.
        ImportError: trio is not installed.
        ValueError: An option is none.
    """
    options = Options(backends, threads, deadlocks, context, without, patience)
    check_rules(RLOCKS, factory, options)


def check_semaphore(  # noqa: PLR0913 - as above
    factory: Callable[[int], Semaphore],
    *,
    bounded: bool = False,
    backends: Iterable[str | tuple[str, Mapping[str, Any]]] = ("asyncio", "trio"),
    threads: bool | None = None,
    deadlocks: bool | None = None,
    context: BaseContext | None = None,
    without: Collection[str] = (),
    patience: float = 10.0,
) -> None:
    """Check that a semaphore keeps the contract: the rules of `SEMAPHORE_RULES`.

    These are the rules of locks, for a semaphore of one permit, and some about more
    permits than one, and about none.

    Args:
        factory: Makes a fresh semaphore with so many permits, independent of all
            others, at each call.
        bounded: Whether it is an error to release more often than was acquired. If
            not, that makes more permits.
        backends: As for `check_lock`, like all that follow.
        threads: Whether it is for plain threads and for tasks of several event loops.
        deadlocks: Whether it raises `WouldDeadlock` where waiting would never end.
        context: Also give it to a process of this context.
        without: Names of rules that it need not keep.
        patience: Seconds for which each rule may take.

    Raises:
        AssertionError: A rule is broken; it is a `BrokenRule`, with the rule's name.
        ImportError: trio is not installed.
        ValueError: An option is none.
    """

    def make(value: int = 1) -> Semaphore:
        return factory(value)

    def features(_: object) -> dict[Feature, bool]:
        return {"bounded": bounded, "unbounded": not bounded}

    options = Options(backends, threads, deadlocks, context, without, patience)
    check_rules(SEMAPHORES, make, options, features)


def check_condition(  # noqa: PLR0913 - as above
    factory: Callable[[], Condition],
    *,
    backends: Iterable[str | tuple[str, Mapping[str, Any]]] = ("asyncio", "trio"),
    threads: bool | None = None,
    deadlocks: bool | None = None,
    context: BaseContext | None = None,
    without: Collection[str] = (),
    patience: float = 10.0,
) -> None:
    """Check that a condition keeps the contract: the rules of `CONDITION_RULES`.

    These are the rules of locks, whether its lock is re-entrant or not, and some about
    waiting to be notified. Tasks wait by its `async_wait` if it has one, else by its
    `wait` if that is a coroutine function; if there is neither, it is not for tasks,
    and no rule about them applies. Threads wait by its `wait` unless that is a
    coroutine function.

    Args:
        factory: Makes a fresh condition, independent of all others, at each call.
        backends: As for `check_lock`, like all that follow.
        threads: Whether it is for plain threads and for tasks of several event loops.
        deadlocks: Whether it raises `WouldDeadlock` where waiting would never end.
        context: Also give it to a process of this context.
        without: Names of rules that it need not keep.
        patience: Seconds for which each rule may take.

    Raises:
        AssertionError: A rule is broken; it is a `BrokenRule`, with the rule's name.
        ImportError: trio is not installed.
        ValueError: An option is none.
    """

    def features(one: object) -> dict[Feature, bool]:
        return {"tasks": tasks_can_wait(one), "thread waits": threads_can_wait(one)}

    options = Options(backends, threads, deadlocks, context, without, patience)
    check_rules(CONDITIONS, factory, options, features)
