"""Re-entrant locks between processes, in the place of `multiprocessing.RLock`."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import pytest

from anylock import LockTimeout, make_rlock
from children import running
from depths import NOT_HELD, rlock
from staging import (
    PATIENCE,
    assert_at_rest,
)

if TYPE_CHECKING:
    from ctypes import c_int

    from anylock import ProcessRLock

__all__ = ["rlock"]

pytestmark = pytest.mark.filterwarnings(
    # pytest-xdist has a thread in each of its workers. It takes none of our locks.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


def work(lock: ProcessRLock, counter: c_int, condition: Any) -> None:
    """Add, in threads and tasks of a child, several levels deep; then wait."""

    async def task() -> None:
        for _ in range(10):
            async with lock:
                with lock:
                    seen = counter.value
                    async with lock.hold(0):
                        await asyncio.sleep(0)
                    counter.value = seen + 1

    async def main() -> None:
        await asyncio.gather(task(), task())

    for _ in range(10):
        with lock, lock:
            seen = counter.value
            with lock.hold(PATIENCE):
                counter.value = seen + 1
    asyncio.run(main())
    assert type(lock).__name__ == "ProcessRLock"
    with lock, condition, lock:
        counter.value += 1
        condition.notify_all()
        assert condition.wait_for(lambda: counter.value >= 64, 60)


def test_children_of_every_start_method(start_method: str) -> None:
    """Pickled on the way, except to a forked child; a condition is over it as well."""
    context: Any = multiprocessing.get_context(start_method)
    lock = make_rlock("process", name="stock", context=context)
    assert isinstance(lock, synchronize.RLock)
    condition = context.Condition(lock)
    counter = context.RawValue("i", 0)
    arguments = (lock, counter, condition)
    with running(*[context.Process(target=work, args=arguments) for _ in range(2)]):
        with condition, condition:
            assert condition.wait_for(lambda: counter.value == 62, 60)
        with lock, lock:
            counter.value = 64
            condition.notify_all()
    assert counter.value == 64
    assert_at_rest(lock)


def only_tries(lock: ProcessRLock) -> None:
    assert lock.locked()
    assert not lock.try_acquire()
    assert not lock.acquire(block=False)
    with pytest.raises(LockTimeout), lock.hold(0.01):
        pass
    with pytest.raises(NOT_HELD):
        lock.release()


@pytest.mark.parametrize("owner", ["thread", "task"])
def test_child_does_not_hold_what_its_parent_holds(
    start_method: str, owner: str
) -> None:
    context: Any = multiprocessing.get_context(start_method)
    lock = make_rlock("process", context=context)
    child = context.Process(target=only_tries, args=(lock,))

    async def main() -> None:
        async with lock, lock:
            with running(child):
                pass

    if owner == "task":
        asyncio.run(main())
    else:
        with lock, lock, running(child):
            pass
    assert_at_rest(lock)


def test_is_not_to_be_sent_later() -> None:
    with pytest.raises(RuntimeError, match="initargs="):
        pickle.dumps(make_rlock("process"))
