"""The examples of semaphores, conditions and re-entrant locks, staged.

That they run by themselves is in test_examples.py.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import make_condition, make_rlock, make_semaphore
from backends import run
from staging import PATIENCE, all_done, in_thread, until, until_in_task
from test_examples import NoLock, example, no_lock, with_and_without_lock

if TYPE_CHECKING:
    from backends import Backend


@with_and_without_lock
def test_requests_of_threads(*, locked: bool) -> None:
    module = example("limit_requests")
    module.WORKERS, module.REQUESTS = 4, 1
    # All that may be inside wait there until all of them are.
    inside = threading.Barrier(2 if locked else 4, timeout=PATIENCE)

    def meet(_seconds: float) -> None:
        inside.wait()

    module.time = SimpleNamespace(sleep=meet)
    if not locked:
        module.make_semaphore = no_lock
    server = module.Server()
    module.work_in("thread", server)
    assert server.most == (2 if locked else 4)


@with_and_without_lock
@pytest.mark.parametrize("kind", ["async", "process", "thread"])
def test_requests_of_tasks(backend: Backend, kind: str, *, locked: bool) -> None:
    module = example("limit_requests")
    module.WORKERS, module.REQUESTS = 4, 1
    together, came = 2 if locked else 4, 0

    def make(_kind: str, value: int) -> Any:
        return make_semaphore(kind, value) if locked else NoLock()

    async def meet(_seconds: float) -> None:
        nonlocal came
        came += 1
        last = -(-came // together) * together
        await until_in_task(lambda: came >= last)

    module.anyio = SimpleNamespace(
        sleep=meet, create_task_group=anyio.create_task_group
    )
    module.make_semaphore = make
    server = module.Server()
    run(backend, module.work_in_tasks, server)
    assert server.most == together


def waiting(condition: Any) -> int:
    return len(condition._notices)


def test_buffer_of_threads() -> None:
    module = example("bounded_buffer")
    condition = make_condition("thread")
    buffer = module.Buffer(condition)
    with in_thread(lambda: module.put_all(buffer)):
        until(lambda: waiting(condition))
        assert list(buffer._items) == [0, 1, 2]
        assert [buffer.get() for _ in range(50)] == list(range(50))
    assert buffer.most == module.PLACES
    got: list[int] = []
    with in_thread(lambda: module.get_all(buffer, got)):
        until(lambda: waiting(condition))
        module.put_all(buffer)
    assert got == list(range(50))


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_buffer_of_tasks(backend: Backend, kind: str) -> None:
    module = example("bounded_buffer")
    condition: Any = make_condition(kind)
    buffer = module.TaskBuffer(condition)
    got: list[int] = []

    async def put() -> None:
        await module.put_all_in_task(buffer)

    async def get() -> None:
        await until_in_task(lambda: waiting(condition))
        assert list(buffer._items) == [0, 1, 2]
        await module.get_all_in_task(buffer, got)

    run(backend, all_done, put, get)
    assert got == list(range(50))
    assert buffer.most == module.PLACES


@pytest.mark.parametrize("thread_gets", [True, False])
def test_buffer_of_a_thread_and_a_task(backend: Backend, *, thread_gets: bool) -> None:
    module = example("bounded_buffer")
    condition = make_condition("thread")
    buffer = module.Buffer(condition)
    got: list[int] = []

    def in_a_thread() -> None:
        if thread_gets:
            until(lambda: waiting(condition))
            module.get_all(buffer, got)
        else:
            module.put_all(buffer)

    async def in_a_task() -> None:
        if thread_gets:
            await module.put_all_in_task(buffer)
        else:
            await until_in_task(lambda: waiting(condition))
            await module.get_all_in_task(buffer, got)

    with in_thread(in_a_thread):
        run(backend, in_a_task)
    assert got == list(range(50))
    assert buffer.most == module.PLACES


@with_and_without_lock
@pytest.mark.parametrize("kind", ["process", "thread"])
def test_tree_of_threads(kind: str, *, locked: bool) -> None:
    module = example("walk_tree")
    totals: list[int] = []
    tree = module.Tree(make_rlock(kind) if locked else NoLock())
    walker = threading.Thread(target=lambda: totals.append(tree.total(tree.root)))

    def walk_amid_the_move(_seconds: float) -> None:
        walker.start()
        if not locked:
            walker.join()

    module.time = SimpleNamespace(sleep=walk_amid_the_move)
    tree.move(tree.left, tree.right, 10)
    walker.join()
    assert totals == [100 if locked else 90]
    assert (tree.left.size, tree.right.size) == (40, 35)


@with_and_without_lock
@pytest.mark.parametrize("kind", ["async", "process", "thread"])
def test_tree_of_tasks(backend: Backend, kind: str, *, locked: bool) -> None:
    module = example("walk_tree")
    totals: list[int] = []
    tree = module.Tree(make_rlock(kind) if locked else NoLock())

    async def walk() -> None:
        totals.append(await tree.total_in_task(tree.root))

    async def main() -> None:
        async def walk_amid_the_move() -> None:
            module.checkpoint = checkpoint
            tasks.start_soon(walk)
            if not locked:
                await until_in_task(lambda: totals)

        async with anyio.create_task_group() as tasks:
            module.checkpoint = walk_amid_the_move
            await tree.move_in_task(tree.left, tree.right, 10)

    run(backend, main)
    assert totals == [100 if locked else 90]
    assert (tree.left.size, tree.right.size) == (40, 35)
