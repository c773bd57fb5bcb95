"""Kind "machine": a thread that waits for one side, and its tasks at the other.

What they are granted it takes back, and their helper thread sets out again at once.
Here the helper is always the faster of the two.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock._machine.rwlock import MachineReadLock, MachineRWLock, MachineWriteLock
from anylock._parking import this_thread
from backends import run
from staging import PATIENCE, granted, in_thread, until, until_in_task, waiting
from test_lockfile_shared import at_rest, enter, hold, stranger_to, waits

if sys.platform != "linux":
    pytest.skip("it looks at the places in the queue", allow_module_level=True)

from test_lockfile_queue import places

if TYPE_CHECKING:
    from backends import Backend

OnFile = MachineReadLock | MachineWriteLock


@pytest.fixture
def rw(tmp_path: Path) -> MachineRWLock:
    return MachineRWLock(path=tmp_path / "the.lock")


def in_queue(rw: MachineRWLock) -> int:
    """Count who has a place in the queue across processes."""
    return len(places(Path(f"{rw.path}.queue")))


def sides(rw: MachineRWLock, side: str) -> tuple[OnFile, OnFile]:
    """Return that side, and the other."""
    return (rw.read, rw.write) if side == "read" else (rw.write, rw.read)


both = pytest.mark.parametrize("side", ["read", "write"])


@both
@pytest.mark.parametrize("among", ["nobody", "threads"])
def test_a_thread_keeps_its_place(
    backend: Backend,
    rw: MachineRWLock,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    among: str,
) -> None:
    """Or a helper that is faster would overtake it again and again."""
    stranger = stranger_to(rw)
    lock, other = sides(rw, side)
    release = other._mutex.release

    def release_slowly() -> None:
        release()
        if this_thread.marker.parks_tasks and waiting(other):
            until(lambda: granted(other) or in_queue(rw) == 2)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, other)
            await until_in_task(lambda: waits(rw))
            if among == "threads":
                tasks.start_soon(anyio.to_thread.run_sync, hold, lock)
                await until_in_task(lambda: in_queue(rw) == 2)
            monkeypatch.setattr(other._mutex, "release", release_slowly)
            stranger.write.release()
            until(lambda: granted(other))
            with lock.hold(PATIENCE):
                pass
            monkeypatch.undo()

    stranger.write.acquire()
    run(backend, main)
    at_rest(rw)


@both
@pytest.mark.parametrize("timeout", [None, PATIENCE])
@pytest.mark.parametrize("among", ["nobody", "threads", "tasks"])
def test_a_thread_takes_back_what_is_granted_while_it_blocks(
    backend: Backend,
    rw: MachineRWLock,
    side: str,
    among: str,
    timeout: float | None,
) -> None:
    """In the queue, at the gate of this process, or among tasks that wait as well."""
    stranger = stranger_to(rw)
    lock, other = sides(rw, side)
    me = threading.get_ident()

    def blocks() -> bool:
        if among == "nobody":
            return in_queue(rw) == 2
        return sys._current_frames()[me].f_code.co_name == "acquire_while"

    def leave() -> None:
        until(blocks)
        stranger.write.release()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, other)
            await until_in_task(lambda: waits(rw))
            if among == "threads":
                tasks.start_soon(anyio.to_thread.run_sync, hold, lock)
            elif among == "tasks":
                tasks.start_soon(enter, lock)
            if among != "nobody":
                await until_in_task(lambda: in_queue(rw) == 2)
            with in_thread(leave), lock.hold(timeout):
                pass

    stranger.write.acquire()
    run(backend, main)
    at_rest(rw)
