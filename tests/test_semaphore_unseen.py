"""What the bridge of a semaphore counts, which only a rare wait depends upon.

Each of these was found by a change to the code that no other test noticed.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from anylock import WouldDeadlock
from backends import ASYNCIO, run
from children import in_child
from permits import (
    acquire,
    at_rest,
    bridged,
    enter,
    exit_,
    granted,
    leave,
    make,
    queued,
    waiting,
)
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from anylock import LockKind
    from backends import Backend


@bridged
def test_who_left_may_wait_for_a_thread(backend: Backend, kind: LockKind) -> None:
    """The only permit was the task's once, and is not any more."""
    semaphore = make(kind)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with semaphore:
            inside.set()
            assert go_on.wait(PATIENCE)

    async def main() -> None:
        await enter(semaphore)
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


def test_a_forked_child_leaves_alone_what_another_thread_was_granted() -> None:
    """As with what other threads hold: it stays taken there."""
    semaphore = make("thread", bounded=False)
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

    def child() -> None:
        assert not semaphore.try_acquire()

    acquire(semaphore)
    with in_thread(lambda: run(ASYNCIO, loop)):
        assert blocked.wait(PATIENCE)
        leave(semaphore)
        until(lambda: granted(semaphore))
        in_child(child)
        go_on.set()
    at_rest(semaphore, 1)
