"""Crowds that use one lock: how much they do, who waits, how it is handed over.

Holds are of three lengths. An empty one is over at once, but tasks give their event
loop a turn inside, without which no two would ever contend. For 10 us they compute, and
for 500 us they sleep: a lock guards either. (Event loops on Linux sleep a millisecond
at least.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.findings import Target
from anylock._bench.measure.crowds import Body, Mixture, Throughput, Traced
from anylock._bench.rows.writing import named

if TYPE_CHECKING:
    from anylock._bench.plan import Row


EMPTY = Body.holding("", "await pause(0)")
COMPUTING = Body.holding("spin(1e-5)", "spin(1e-5)\nawait pause(0)")
SLEEPING = Body.holding("sleep(5e-4)", "await pause(5e-4)", lasts=1e-3)
HOLDS = {"empty": EMPTY, "10us": COMPUTING, "500us": SLEEPING}

MIXED_BODY = Body.holding("", "", pauses=("", "await pause(0)"))
THREADS_SLEEP = Body.holding("sleep(5e-4)", "", pauses=("", "await pause(0)"))
# So that who waits for it certainly gets it, and does not meet it free.
ALTERNATING = Body.holding(
    "sleep(2e-3)", "await pause(2e-3)", pauses=("sleep(1e-3)", "await pause(1e-3)")
)
# Who comes back only when the other one has it is not met by who polls in the meantime;
# and who polls is met at any moment, because they hold it for 10 to 18 ms.
SLOWLY_ALTERNATING = Body.holding(
    "mine = board[1]\nsleep(2e-3 * (5 + mine % 5))",
    "",
    pauses=("while board[1] == mine and not board[0]:\n    sleep(5e-4)", ""),
)

AT_LEAST_THRICE = Target(3, at_least=True)
AT_MOST_50_MS = Target(50_000, of="ours")
NEARLY_LEVEL = Target(1 / 1.1, at_least=True)
"""Of throughput: a use takes 1.1 times as long at most."""

SIDES = {
    "threads": (
        "thread",
        (1, 2, 4, 8),
        (
            "make_lock('thread') threading.Lock aiologic.Lock locklib.SmartLock "
            "readerwriterlock.RWLockFair"
        ),
    ),
    "asyncio tasks": (
        "async",
        (2, 10, 100, 1000),
        "make_lock('async') asyncio.Lock anyio.Lock(fast) aiologic.Lock",
    ),
    "trio tasks": (
        "async",
        (2, 10, 100, 1000),
        "make_lock('async') trio.Lock anyio.Lock aiologic.Lock",
    ),
    "processes": (
        "process",
        (1, 2, 4),
        "make_lock('process') multiprocessing.Lock",
    ),
}
"""Side -> the kind of lock that is for it, how many contend, and whom it meets."""


def contended(  # an argument per column of the tables
    key: str, what: str, labels: str, side: str, *, permits: int = 1
) -> Throughput:
    """Give a row of 100 who stay inside for a turn of their loop."""
    return Throughput(
        key, what, named(labels), EMPTY, permits,
        side=side, numbers=(100,), pictured=False,
    )  # fmt: skip


def waited(  # noqa: PLR0913, PLR0917 - likewise
    key: str,
    what: str,
    labels: str,
    body: Body,
    sides: dict[str, int],
    waits: str | None,
    target: Target | None = None,
) -> Traced:
    """Give a row in which it is noted who waits."""
    return Traced(
        key, what, named(labels), body, sides=sides, waits=waits, target=target
    )


THROUGHPUT = tuple(
    Throughput(
        f"throughput-{side.split(' ')[0]}-{hold}",
        f"contended, {kind} kind, hold {hold}",
        named(labels),
        body,
        side=side,
        numbers=numbers,
        targets=(
            {2: NEARLY_LEVEL, 100: NEARLY_LEVEL, 1000: NEARLY_LEVEL}
            if kind == "async" and hold == "empty"
            else {}
        ),
    )
    for side, (kind, numbers, labels) in SIDES.items()
    for hold, body in HOLDS.items()
)

CONTROL = contended(
    "control-asyncio",
    "control: contended, asyncio.Lock against its other name",
    "asyncio.Lock asyncio.locks.Lock",
    "asyncio tasks",
)

MIXTURES = (
    Mixture(
        "mixed-asyncio-trio",
        "mixed: 2 threads, 10 asyncio tasks, 10 trio tasks",
        named("make_lock('thread') aiologic.Lock"),
        MIXED_BODY,
        sides={"threads": 2, "asyncio tasks": 10, "trio tasks": 10},
        target=AT_LEAST_THRICE,
    ),
    Mixture(
        "mixed-asyncio",
        "mixed: 2 threads, 10 asyncio tasks",
        named("make_lock('thread') aiologic.Lock"),
        MIXED_BODY,
        sides={"threads": 2, "asyncio tasks": 10},
        target=AT_LEAST_THRICE,
    ),
    contended(
        "contended-thread-asyncio",
        "contended, thread kind",
        "make_lock('thread') aiologic.Lock asyncio.Lock",
        "asyncio tasks",
    ),
)

FAIRNESS = (
    *(
        waited(
            f"wait-{loop}",
            f"1 {loop} task under 2 threads that hold 0.5 ms",
            "make_lock('thread') aiologic.Lock",
            THREADS_SLEEP,
            {"threads": 2, f"{loop} tasks": 1},
            f"{loop} tasks",
            AT_MOST_50_MS,
        )
        for loop in ("asyncio", "trio")
    ),
    *(
        waited(
            f"fairness-{side.split(' ')[0]}",
            f"{number} {side} that come straight back, hold 500us",
            labels,
            SLEEPING,
            {side: number},
            side,
        )
        for side, number, (_, _, labels) in (
            ("threads", 4, SIDES["threads"]),
            ("asyncio tasks", 10, SIDES["asyncio tasks"]),
            ("trio tasks", 10, SIDES["trio tasks"]),
            ("processes", 4, SIDES["processes"]),
        )
    ),
)

HAND_OFFS = tuple(
    waited(
        f"hand-off-{side.split(' ')[0]}",
        f"2 {side} that hand it to each other",
        labels,
        ALTERNATING,
        {side: 2},
        None,
    )
    for side, (_, _, labels) in SIDES.items()
)

CROWDS: tuple[Row, ...] = (
    *THROUGHPUT,
    *MIXTURES,
    *FAIRNESS,
    *HAND_OFFS,
    CONTROL,
)
