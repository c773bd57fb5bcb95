"""What locks cost before they are used, and how waiting grows with many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.findings import Target
from anylock._bench.measure.costs import Imports, Sizes
from anylock._bench.measure.waiters import Waiters
from anylock._bench.peers import Contender, creating
from anylock._bench.rows.writing import Loop, named

if TYPE_CHECKING:
    from anylock._bench.plan import Row

UNWANTED = ("anyio", "asyncio", "multiprocessing", "trio")
"""What neither `import anylock` nor a thread lock may import."""


def importing(statement: str, *needs: str) -> Contender:
    """Give a statement whose imports are timed."""
    return Contender(statement, "", statement, needs)


PEER_IMPORTS = (
    importing("import threading"),
    importing("import asyncio"),
    importing("import aiologic", "aiologic"),
)

_CROWDED: tuple[tuple[str, Loop, str], ...] = (
    (
        "async",
        "asyncio",
        "make_lock('async') asyncio.Lock anyio.Lock(fast) aiologic.Lock",
    ),
    ("async", "trio", "make_lock('async') trio.Lock anyio.Lock aiologic.Lock"),
    ("thread", "asyncio", "make_lock('thread') aiologic.Lock asyncio.Lock"),
)

COSTS: tuple[Row, ...] = (
    Imports(
        "import",
        "import anylock, beyond bare Python",
        (importing("import anylock"), *PEER_IMPORTS),
        Target(3, of="ours"),
        UNWANTED,
    ),
    Imports(
        "import-thread",
        "import anylock and a thread lock, beyond bare Python",
        (importing("import anylock; anylock.make_lock('thread')"), *PEER_IMPORTS),
        None,
        UNWANTED,
    ),
    *(
        Sizes(f"size-{kind}", f"a lock, {kind} kind", named(labels, creating), target)
        for kind, labels, target in (
            (
                "thread",
                "make_lock('thread') threading.Lock aiologic.Lock",
                Target(700, of="ours"),
            ),
            ("async", "make_lock('async') asyncio.Lock anyio.Lock", None),
        )
    ),
)

WAITERS = (
    *(
        Waiters(
            f"{'leavers' if cancel else 'waiters'}-{kind}-{loop}",
            f"tasks that {'are cancelled' if cancel else 'wait'}, {kind} kind, {loop}",
            named(labels),
            (10, 100, 1000, 10_000),
            loop,
            cancel,
        )
        for cancel in (False, True)
        for kind, loop, labels in _CROWDED
    ),
    Waiters(
        "waiters-threads",
        "threads that wait, thread kind",
        named("make_lock('thread') threading.Lock aiologic.Lock"),
        (10, 100, 1000),
    ),
)
