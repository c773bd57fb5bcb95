"""ProcessLock between processes, in the place of `multiprocessing.Lock`."""

from __future__ import annotations

import importlib.util
import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any, cast

import anyio.lowlevel
import pytest

from anylock import ProcessLock, make_lock
from children import running

if TYPE_CHECKING:
    from ctypes import c_int
    from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext

    Context = ForkContext | ForkServerContext | SpawnContext

pytestmark = pytest.mark.filterwarnings(
    # pytest-xdist has a thread in each of its workers. It takes none of our locks.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)

ROUNDS = 100
LIBRARIES = [name for name in ("asyncio", "trio") if importlib.util.find_spec(name)]


@pytest.fixture
def context(start_method: str) -> Context:
    chosen: Any = multiprocessing.get_context(start_method)
    return cast("Context", chosen)


@pytest.fixture
def process_lock(context: Context) -> ProcessLock:
    return make_lock("process", name="inventory", context=context)


# What runs in the child processes


def add(lock: ProcessLock, counter: c_int) -> None:
    """Add to the counter, with every chance for others to come in between."""
    for _ in range(ROUNDS):
        with lock:
            seen = counter.value
            time.sleep(0)
            counter.value = seen + 1


def add_in_tasks(library: str, lock: ProcessLock, counter: c_int) -> None:
    async def task() -> None:
        for _ in range(ROUNDS // 5):
            async with lock:
                seen = counter.value
                await anyio.lowlevel.checkpoint()
                counter.value = seen + 1

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(task)

    anyio.run(main, backend=library)


def expect_the_same_lock(lock: ProcessLock) -> None:
    assert type(lock) is ProcessLock
    assert (lock.kind, lock.name) == ("process", "inventory")
    assert repr(lock) == "<ProcessLock(owner=SomeOtherProcess) name='inventory'>"
    assert lock.locked()
    assert not lock.try_acquire()
    assert not lock.acquire(block=False)
    assert not lock.acquire(timeout=0.001)
    assert threading.active_count() == 1


def acquire_for_good(lock: ProcessLock) -> None:
    with lock:
        assert repr(lock) == "<ProcessLock(owner=the-child) name='inventory'>"
    assert lock.acquire()


def wait_for_notice(
    condition: synchronize.Condition, waiting: synchronize.Semaphore
) -> None:
    with condition:
        waiting.release()
        assert condition.wait(60)


def add_to_value(number: Any, numbers: Any) -> None:
    for _ in range(ROUNDS):
        with number:
            number.get_obj().value += 1
        with numbers.get_lock():
            numbers.get_obj()[1] += 1


worker: dict[str, Any] = {}


def initialise(lock: ProcessLock, counter: c_int) -> None:
    worker.update(lock=lock, counter=counter)


def add_in_worker(_: int = 0) -> str | None:
    add(worker["lock"], worker["counter"])
    name: str | None = worker["lock"].name
    return name


# Exclusion


def test_processes_and_threads_exclude_each_other(
    context: Context, process_lock: ProcessLock
) -> None:
    counter = context.RawValue("i", 0)
    arguments = (process_lock, counter)
    with running(
        context.Process(target=add, args=arguments),
        context.Process(target=add, args=arguments),
    ):
        thread = threading.Thread(target=add, args=arguments)
        thread.start()
        add(*arguments)
        thread.join()
    assert counter.value == 4 * ROUNDS
    assert not process_lock.locked()


def test_tasks_of_several_processes_exclude_each_other(
    context: Context, process_lock: ProcessLock
) -> None:
    counter = context.RawValue("i", 0)
    arguments = (process_lock, counter)
    in_tasks = [
        context.Process(target=add_in_tasks, args=(library, *arguments))
        for library in LIBRARIES
    ]
    with running(*in_tasks, context.Process(target=add, args=arguments)):
        for library in LIBRARIES:
            add_in_tasks(library, *arguments)
    assert counter.value == (2 * len(LIBRARIES) + 1) * ROUNDS
    # A helper that nobody waits for any more may still be giving it back.
    assert process_lock.acquire(timeout=10)
    process_lock.release()


def test_the_child_gets_the_same_lock(
    context: Context, process_lock: ProcessLock
) -> None:
    child = context.Process(target=expect_the_same_lock, args=(process_lock,))
    with process_lock, running(child):
        pass


def test_another_process_may_release(
    context: Context, process_lock: ProcessLock
) -> None:
    child = context.Process(
        target=acquire_for_good, args=(process_lock,), name="the-child"
    )
    with running(child):
        pass
    # The child is gone and the lock is still its: semaphores do not notice.
    assert process_lock.locked()
    assert not process_lock.try_acquire()
    process_lock.release()
    assert process_lock.try_acquire()


def test_a_forked_child_takes_a_lock_of_any_context(context: Context) -> None:
    lock = make_lock("process", context=context)
    counter = context.RawValue("i", 0)
    fork = multiprocessing.get_context("fork")
    with running(fork.Process(target=add, args=(lock, counter))):
        add(lock, counter)
    assert counter.value == 2 * ROUNDS


# What multiprocessing builds on a lock


def test_condition(context: Context, process_lock: ProcessLock) -> None:
    condition = context.Condition(process_lock)
    waiting = context.Semaphore(0)
    children = [
        context.Process(target=wait_for_notice, args=(condition, waiting))
        for _ in range(2)
    ]
    with running(*children):
        for _ in children:
            assert waiting.acquire(timeout=60)
        with condition:  # so both of them wait by now
            assert process_lock.locked()
            condition.notify_all()
    assert not process_lock.locked()


def test_condition_keeps_its_own_errors_and_timeouts(process_lock: ProcessLock) -> None:
    condition = multiprocessing.Condition(process_lock)
    with pytest.raises(AssertionError, match="must acquire"):
        condition.wait()
    with pytest.raises(AssertionError, match="not owned"):
        condition.notify()
    with process_lock:
        assert not condition.wait(0.001)
        condition.notify()
    assert condition.acquire(block=False)
    condition.release()


def test_a_task_notifies(context: Context, process_lock: ProcessLock) -> None:
    condition = context.Condition(process_lock)
    waiting = context.Semaphore(0)

    async def notify() -> None:
        async with process_lock:
            condition.notify()

    child = context.Process(target=wait_for_notice, args=(condition, waiting))
    with running(child):
        assert waiting.acquire(timeout=60)
        with process_lock:  # so the child waits by now
            pass
        anyio.run(notify)


def test_value_and_array(context: Context, process_lock: ProcessLock) -> None:
    number = context.Value("i", 0, lock=process_lock)
    numbers = context.Array("i", 3, lock=process_lock)
    assert number.get_lock() is numbers.get_lock() is process_lock
    child = context.Process(target=add_to_value, args=(number, numbers))
    with running(child):
        add_to_value(number, numbers)
    assert number.value == 2 * ROUNDS
    assert numbers[:] == [0, 2 * ROUNDS, 0]


def test_pool(context: Context, process_lock: ProcessLock) -> None:
    counter = context.RawValue("i", 0)
    initial = (process_lock, counter)
    with context.Pool(2, initializer=initialise, initargs=initial) as pool:
        assert pool.map(add_in_worker, range(4), 1) == ["inventory"] * 4
        # The mistake that everybody makes once.
        with pytest.raises(RuntimeError, match="initargs=") as info:
            pool.apply(expect_the_same_lock, (process_lock,))
        assert "through inheritance. Pass the lock" in str(info.value)
        pool.close()
        pool.join()
    assert counter.value == 4 * ROUNDS


def test_process_pool_executor(context: Context, process_lock: ProcessLock) -> None:
    counter = context.RawValue("i", 0)
    initial = (process_lock, counter)
    with ProcessPoolExecutor(
        2, mp_context=context, initializer=initialise, initargs=initial
    ) as pool:
        assert [*pool.map(add_in_worker, range(4))] == ["inventory"] * 4
        with pytest.raises(RuntimeError, match="initargs="):
            pool.submit(expect_the_same_lock, process_lock).result()
    assert counter.value == 4 * ROUNDS
