"""Kind "machine": a thread that waits for one side, and its tasks at the other.

What they are granted it takes back, and their helper thread sets out again at once.
Here the helper is always the faster of the two.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from anylock._machine.rwlock import MachineRWLock
from anylock._parking import this_thread
from backends import run
from staging import PATIENCE, granted, until, until_in_task, waiting
from test_lockfile_shared import at_rest, enter, hold, stranger_to, waits

if sys.platform != "linux":
    pytest.skip("it looks at the places in the queue", allow_module_level=True)

from test_lockfile_queue import places

if TYPE_CHECKING:
    from backends import Backend


@pytest.fixture
def rw(tmp_path: Path) -> MachineRWLock:
    return MachineRWLock(path=tmp_path / "the.lock")


@pytest.mark.parametrize("among", ["nobody", "a task", "a thread"])
@pytest.mark.parametrize("side", ["read", "write"])
def test_a_thread_keeps_its_place(
    backend: Backend,
    rw: MachineRWLock,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    among: str,
) -> None:
    """Or a helper that is faster would overtake it again and again."""
    lock, other = (rw.read, rw.write) if side == "read" else (rw.write, rw.read)
    stranger, queue = stranger_to(rw), Path(f"{rw.path}.queue")
    release = other._mutex.release

    def release_slowly() -> None:
        here = this_thread.marker
        release()
        if here.parks_tasks and waiting(other) and among != "a task":
            until(lambda: granted(other) or len(places(queue)) == 2)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, other)
            await until_in_task(lambda: waits(rw))
            if among == "a task":
                tasks.start_soon(enter, lock)
            elif among == "a thread":
                tasks.start_soon(anyio.to_thread.run_sync, hold, lock)
            if among != "nobody":
                await until_in_task(lambda: len(places(queue)) == 2)
            monkeypatch.setattr(other._mutex, "release", release_slowly)
            stranger.write.release()
            until(lambda: granted(other))
            with lock.hold(PATIENCE):
                pass
            monkeypatch.undo()

    stranger.write.acquire()
    run(backend, main)
    at_rest(rw)
