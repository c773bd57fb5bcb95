"""What the tests of debug locks share."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from anylock import WouldDeadlock, debug, make_condition, make_lock
from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def lock_of(kind: str, make: Any = make_lock, **options: Any) -> Any:
    """Return a debug lock, of whatever class that is."""
    return make(kind, debug=True, **options)


def condition_of(kind: str, lock: Any = None) -> Any:
    """Return a debug condition, of whatever class that is."""
    make: Any = make_condition
    return make(kind, lock, name="news", debug=True)


def found(*kinds: str) -> list[debug.Finding]:
    """Return what was found, of those kinds."""
    return [each for each in debug.findings if each.kind in kinds]


@contextmanager
def watched() -> Generator[list[debug.Event]]:
    """Collect the events that happen meanwhile."""
    events: list[debug.Event] = []
    stop = debug.listen(events.append)
    try:
        yield events
    finally:
        stop()


def happened(events: list[debug.Event], lock: Any = None) -> list[str]:
    """Return what happened, to that lock or to all."""
    return [each.what for each in events if lock is None or each.lock is lock.record]


def awaited(lock: Any, number: int = 1) -> bool:
    """Say whether so many wait for the lock."""
    return len(lock.record.waits) >= number


@contextmanager
def all_joined(*functions: Callable[[], object]) -> Generator[list[BaseException]]:
    """Run functions in threads beside one another, join them; tell what they raised."""
    raised: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - told
            raised.append(error)

    threads = [
        threading.Thread(
            target=run, args=(function,), name=getattr(function, "__name__", None)
        )
        for function in functions
    ]
    with ExitStack() as stack:
        for thread in threads:
            thread.daemon = True
            thread.start()
            stack.callback(thread.join, PATIENCE)
        yield raised
    assert not any(thread.is_alive() for thread in threads), "a thread never ended"


def locks(number: int, kind: Any = "thread") -> list[Any]:
    return [make_lock(kind, name=f"lock-{n}", debug=True) for n in range(number)]


def take_both(first: Any, then: Any, ready: Callable[[], object]) -> str:
    with first:
        ready()
        try:
            with then:
                return "got"
        except WouldDeadlock as error:
            return str(error)
