"""The standard library's own classes over our locks, while tasks use these too."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from anyio.lowlevel import checkpoint

from anylock import make_lock
from backends import Backend, run
from staging import PATIENCE, acquire, assert_at_rest, enter, is_native

if TYPE_CHECKING:
    from anylock import Lock, LockKind

bridged = pytest.mark.parametrize("kind", ["process", "thread"])


def test_native_surfaces_of_the_thread_kind_beside_tasks() -> None:
    """Condition and Queue keep the methods they found when they were made."""

    async def main(turns: int) -> None:
        lock = make_lock("thread")
        holding = make_lock("thread")
        items: queue.Queue[int] = queue.Queue(maxsize=1)
        await enter(holding)
        conditions = [
            threading.Condition(cast("threading.Lock", lock)),
            threading.Condition(cast("threading.Lock", holding)),  # made while held
        ]
        holding.release()
        plain: Any = items
        plain.mutex = lock
        for name in ("not_empty", "not_full", "all_tasks_done"):
            setattr(plain, name, threading.Condition(cast("threading.Lock", lock)))
        got: list[int] = []
        over = threading.Event()

        async def disturb(lock: Lock) -> None:
            while not over.is_set():
                async with lock:
                    await checkpoint()
                await checkpoint()

        def produce() -> None:
            for item in range(turns):
                items.put(item, timeout=PATIENCE)
                for condition in conditions:
                    condition.acquire()
                    condition.notify_all()
                    condition.release()

        def consume() -> None:
            got.extend(items.get(timeout=PATIENCE) for _ in range(turns))
            over.set()

        tasks = [asyncio.ensure_future(disturb(x)) for x in (lock, lock, holding)]
        await asyncio.gather(
            asyncio.to_thread(produce), asyncio.to_thread(consume), *tasks
        )
        assert got == [*range(turns)]
        assert_at_rest(lock)
        assert_at_rest(holding)

    asyncio.run(main(100))


def test_native_surfaces_of_the_process_kind_beside_tasks() -> None:
    async def main(turns: int) -> None:
        lock = make_lock("process")
        context = multiprocessing.get_context()
        condition = context.Condition(lock)
        value = context.Value("i", 0, lock=lock)
        plain: Any = value

        async def in_task() -> None:
            for _ in range(turns):
                async with lock:
                    number = plain.get_obj().value
                    await checkpoint()
                    plain.get_obj().value = number + 1

        def in_a_thread() -> None:
            for _ in range(turns):
                with value:
                    plain.get_obj().value += 1
                with condition:
                    condition.notify_all()
                    condition.wait(0.0)

        await asyncio.gather(in_task(), in_task(), asyncio.to_thread(in_a_thread))
        assert plain.value == 3 * turns
        assert_at_rest(lock)

    asyncio.run(main(100))


@bridged
def test_native_methods_come_and_go(backend: Backend, kind: LockKind) -> None:
    async def main() -> None:
        lock = make_lock(kind)
        assert is_native(lock)
        async with lock:
            assert not is_native(lock)
        assert is_native(lock)
        acquire(lock)
        assert is_native(lock)
        entering = enter(lock)
        entering.send(None)
        assert not is_native(lock)
        entering.close()
        assert is_native(lock)
        lock.release()
        assert_at_rest(lock)

    run(backend, main)
