"""How the rows are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from anylock._bench.findings import Target
from anylock._bench.measure.statements import Statement
from anylock._bench.peers import Contender, creating, using

if TYPE_CHECKING:
    from collections.abc import Callable

Loop = Literal["asyncio", "trio"]

WITH = "with lock:\n    pass"
ASYNC_WITH = "async with lock:\n    pass"
ACQUIRE = "lock.acquire()\nlock.release()"
AWAIT_ACQUIRE = "await lock.acquire()\nlock.release()"
TRY_FINALLY = "\ntry:\n    pass\nfinally:\n    lock.release()"
HOLD = "with lock.hold(timeout=1):\n    pass"
ASYNC_HOLD = f"async {HOLD}"
ACQUIRE_IN_TIME = f"lock.acquire(timeout=1){TRY_FINALLY}"

# How tasks of trio wait for what knows threads only.
IN_A_TRIO_THREAD = f"await to_thread.run_sync(lock.acquire){TRY_FINALLY}"
TRIO_THREADS = "from trio import to_thread"


def row(  # noqa: PLR0913 - an argument per column of the tables
    key: str,
    what: str,
    statement: str,
    labels: str,
    target: float | Target | None = None,
    *,
    loop: Loop | None = None,
) -> Statement:
    """Give a row in which all do the same; `labels` names ours first."""
    contenders = tuple(using(label, statement) for label in labels.split())
    limit = Target(target) if isinstance(target, (int, float)) else target
    return Statement(key, what, contenders, limit, loop)


def various(
    key: str, what: str, *contenders: Contender, loop: Loop | None = None
) -> Statement:
    """Give a row in which each does it in its own way."""
    return Statement(key, what, contenders, loop=loop)


def created(
    key: str, ours: str, *peers: str, target: Target | None = None
) -> Statement:
    """Give a row in which they are made."""
    contenders = tuple(map(creating, (ours, *peers)))
    return Statement(key, f"creating, {ours}", contenders, target)


def named(
    labels: str, make: Callable[[str], Contender] = using
) -> tuple[Contender, ...]:
    """Give the contenders of these labels, ours first."""
    return tuple(make(label) for label in labels.split())
