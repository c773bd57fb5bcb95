"""What the bridge of a semaphore counts, which only a rare wait depends upon.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock import SemaphoreOverReleased, WouldDeadlock
from anylock._parking import this_thread
from backends import ASYNCIO, run
from children import in_child
from permits import (
    acquire,
    at_rest,
    bridge_of,
    bridged,
    enter,
    exit_,
    granted,
    helping,
    leave,
    make,
    queued,
    settled,
    waiting,
)
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Generator

    from anylock import LockKind
    from backends import Backend
    from permits import BridgedSemaphore


@bridged
@pytest.mark.parametrize("too_often", [False, True])
def test_who_left_may_wait_for_a_thread(
    backend: Backend, kind: LockKind, *, too_often: bool
) -> None:
    """The only permit was the task's once, and is not any more."""
    semaphore = make(kind)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with semaphore:
            inside.set()
            assert go_on.wait(PATIENCE)

    async def main() -> None:
        await enter(semaphore)
        if too_often:
            leave(semaphore)  # by somebody who had none
            with pytest.raises(SemaphoreOverReleased):
                await exit_(semaphore)
        else:
            await exit_(semaphore)
        with in_thread(hold):
            assert inside.wait(PATIENCE)
            with in_thread(let_go):
                await enter(semaphore)
        await exit_(semaphore)

    def let_go() -> None:
        until(lambda: waiting(semaphore))
        go_on.set()

    run(backend, main)
    at_rest(semaphore, 1)


@bridged
def test_each_permit_of_a_thread_is_counted_once(
    backend: Backend, kind: LockKind
) -> None:
    """Its tasks have all three again, so that to wait here would never end."""

    async def main() -> None:
        semaphore = make(kind, 3)
        for _ in range(3):
            await enter(semaphore)
        for move in (exit_, exit_, enter, enter):
            await move(semaphore)
        with pytest.raises(WouldDeadlock):
            semaphore.__enter__()
        for _ in range(3):
            await exit_(semaphore)
        at_rest(semaphore, 3)

    run(backend, main)


@contextmanager
def granted_to_a_blocked_loop(semaphore: BridgedSemaphore) -> Generator[None]:
    """Grant the permit to a task of another thread, which cannot run meanwhile."""
    blocked, go_on = threading.Event(), threading.Event()

    async def loop() -> None:
        async def one() -> None:
            await enter(semaphore)
            await exit_(semaphore)

        task = asyncio.create_task(one())
        await queued(semaphore)
        blocked.set()
        assert go_on.wait(PATIENCE)
        await task

    acquire(semaphore)
    with in_thread(lambda: run(ASYNCIO, loop)):
        assert blocked.wait(PATIENCE)
        leave(semaphore)
        until(lambda: granted(semaphore))
        yield
        go_on.set()


def test_a_forked_child_leaves_alone_what_another_thread_was_granted() -> None:
    """As with what other threads hold: it stays taken there."""
    semaphore = make("thread", bounded=False)

    def child() -> None:
        assert not semaphore.try_acquire()

    with granted_to_a_blocked_loop(semaphore):
        in_child(child)
    at_rest(semaphore, 1)


@bridged
def test_a_permit_that_was_waited_for_counts(backend: Backend, kind: LockKind) -> None:
    """Tasks of this thread have all of them, and to wait here would never end."""

    async def main() -> None:
        semaphore = make(kind)
        acquire(semaphore)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            leave(semaphore)
        with pytest.raises(WouldDeadlock):
            semaphore.__enter__()
        await exit_(semaphore)
        at_rest(semaphore, 1)

    run(backend, main)


@bridged
def test_who_released_by_itself_may_do_so_again(
    backend: Backend, kind: LockKind
) -> None:
    """How many permits there are is not known then, so that the helper must look."""

    async def main() -> None:
        semaphore = make(kind, bounded=False)
        await enter(semaphore)
        semaphore.release()
        await enter(semaphore)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            leave(semaphore)  # as a thread does: nobody is told
        await exit_(semaphore)
        settled(semaphore, 1)

    run(backend, main)


def test_another_process_makes_a_permit(backend: Backend) -> None:
    """Tasks of this one have all that it knows of."""

    async def main() -> None:
        semaphore = make("process", bounded=False)
        await enter(semaphore)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            in_child(semaphore.release)
        for _ in range(2):
            await exit_(semaphore)
        at_rest(semaphore, 2)

    run(backend, main)


@bridged
def test_what_another_loop_was_granted_is_not_taken_back(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task may run at any moment, whatever this loop's thread waits for."""
    semaphore = make(kind)

    async def main() -> None:
        monkeypatch.setattr(this_thread.marker, "parks_tasks", True)
        assert not bridge_of(semaphore).block(0.01, None)

    with granted_to_a_blocked_loop(semaphore):
        run(ASYNCIO, main)
        assert granted(semaphore) == 1
    at_rest(semaphore, 1)


@bridged
def test_in_use_while_it_is_granted(backend: Backend, kind: LockKind) -> None:
    """So threads that come now are careful: they let nobody be overtaken."""

    async def main() -> None:
        semaphore = make(kind, bounded=False)
        acquire(semaphore)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            leave(semaphore)
            until(lambda: granted(semaphore) and not bridge_of(semaphore)._mail)
            assert bridge_of(semaphore).busy
        await exit_(semaphore)
        at_rest(semaphore, 1)

    run(backend, main)


def test_no_helper_where_tasks_have_all_permits(backend: Backend) -> None:
    """It would only keep threads from the turnstile: tasks look when they leave."""

    async def main() -> None:
        semaphore = make("thread")
        await enter(semaphore)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, semaphore)
            await queued(semaphore)
            assert not helping(semaphore)
            await exit_(semaphore)
        await exit_(semaphore)
        at_rest(semaphore, 1)

    run(backend, main)


@bridged
def test_a_loops_thread_waits_where_anybody_may_release(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many permits there are is not known, so that it is no deadlock for sure."""

    async def main() -> None:
        semaphore = make(kind, bounded=False)
        await enter(semaphore)
        semaphore.release()
        monkeypatch.setattr(this_thread.marker, "parks_tasks", True)

        def let_go() -> None:
            until(lambda: waiting(semaphore))
            leave(semaphore)

        acquire(semaphore)
        with in_thread(let_go):
            assert bridge_of(semaphore).block(None, None)
        leave(semaphore)
        settled(semaphore, 1)

    run(ASYNCIO, main)
