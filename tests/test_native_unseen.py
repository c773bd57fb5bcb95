"""The kinds "thread" and "process" from the side of threads, where that is rare.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])
family = pytest.mark.parametrize("make", [make_lock, make_rlock, make_semaphore])


@bridged
@family
def test_contextlib_leaves_it(make: Callable[[Any], Any], kind: LockKind) -> None:
    """It looks the methods up on the class, beside the slots."""
    thing = make(kind)
    with ExitStack() as stack:
        stack.enter_context(thing)
        assert thing.locked()
    assert not thing.locked()


@pytest.mark.parametrize("make", [make_lock, make_rlock])
def test_how_long_a_careful_wait_may_last(
    make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the C method's would, however little or much that is."""
    thing = make("thread")
    waited: list[float | None] = []

    def block(_bridge: object, seconds: float | None, _name: object) -> bool:
        waited.append(seconds)
        return False

    async def main() -> None:
        async with thing:
            monkeypatch.setattr(thing._bridge.__class__, "block", block)
            assert not thing.acquire()
            for seconds in (0, 0.25, TIMEOUT_MAX):
                assert not thing.acquire(True, seconds)
            assert waited == [None, 0, 0.25, TIMEOUT_MAX]
            with pytest.raises(ValueError, match="timeout"):
                thing.acquire(True, -0.5)
            assert len(waited) == 4

    asyncio.run(main())


def test_old_names_of_threading_wait() -> None:
    lock: Any = make_lock("thread")
    asked: list[object] = []

    def acquire(*args: object) -> bool:
        asked.append(args)
        return True

    lock.acquire = acquire
    assert lock.acquire_lock()
    assert asked == [(True, -1)]
