"""Kind "machine": who is told of a death inside: the next who comes in, nobody else."""

from __future__ import annotations

import ast
import dis
import inspect
import signal
import sys
from contextlib import suppress
from types import CodeType
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import MachineLock, make_lock
from anylock._machine.mutex import FileMutex
from backends import run
from children import Child, Signal
from interruptions import Interrupted, interrupt, interrupt_at, run_points
from staging import PATIENCE, granted, helpers, queued, until

if sys.platform != "linux":
    pytest.skip("it is about inotify, too", allow_module_level=True)

from anylock._machine import inotify, queue, shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from backends import Backend


def other(lock: MachineLock, *, fair: bool = False) -> MachineLock:
    made = MachineLock(path=lock.path, fair=fair)
    made._mutex = FileMutex(lock.path, None, fair=fair)
    return made


def holder_of(lock: MachineLock) -> Child:
    """Start a process that holds the lock until it is killed."""
    held = Signal()

    def hold() -> None:
        lock.acquire()
        held.set()
        signal.pause()

    child = Child(hold)
    held.wait()
    held.close()
    return child


async def enter(lock: MachineLock) -> None:
    async with lock:
        pytest.fail("it was cancelled")


def test_who_is_cancelled_when_it_was_granted(backend: Backend, tmp_path: Path) -> None:
    """It never came in; so the next one is told."""
    lock = make_lock("machine", path=tmp_path / "lock")
    holder = holder_of(lock)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, lock)
            await queued(lock)
            holder.kill()
            until(lambda: granted(lock))  # and no task runs meanwhile
            tasks.cancel_scope.cancel()

    run(backend, main)
    until(lambda: not (helpers(lock) or lock.locked()))
    with other(lock) as next_one:
        assert next_one.abandoned
    with lock:
        assert not lock.abandoned


def test_the_next_is_told_after_one_that_never_came_in(
    backend: Backend, tmp_path: Path
) -> None:
    lock = make_lock("machine", path=tmp_path / "lock")
    holder = holder_of(lock)
    told: list[bool] = []

    async def come_in() -> None:
        async with lock:
            told.append(lock.abandoned)
        async with lock:
            told.append(lock.abandoned)

    async def main() -> None:
        async with anyio.create_task_group() as both, anyio.create_task_group() as one:
            one.start_soon(enter, lock)
            await queued(lock)
            both.start_soon(come_in)
            await queued(lock, 2)
            holder.kill()
            until(lambda: granted(lock))
            one.cancel_scope.cancel()

    run(backend, main)
    assert told == [True, False]


@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("fair", [False, True], ids=["", "fair"])
@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="a handler may raise after all is done"
)
def test_a_handler_that_raises_on_the_way_in(
    tmp_path: Path,
    fair: bool,  # noqa: FBT001 - a parameter of the test
    died: bool,  # noqa: FBT001
) -> None:
    """Nobody died of it; and who did is told of still."""

    def attempt(point: int, where: list[str]) -> None:
        lock = make_lock("machine", path=tmp_path / str(point), fair=fair)
        with lock:  # what is done once is not what this is about
            pass
        if died:
            (tmp_path / str(point)).write_bytes(b"+\n")
        got = False
        with suppress(Interrupted), interrupt_at(point, interrupt, where):
            got = lock.acquire(timeout=PATIENCE)
        if got:
            assert lock.abandoned == died
            lock.release()
        with other(lock, fair=fair) as next_one:
            assert next_one.abandoned == (died and not got)

    run_points(attempt, parks=False)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def jumps_left_out(code: CodeType) -> set[int]:
    """Return the lines of the jumps back that no handler of the function covers."""
    module: Any = dis
    table = module._parse_exception_table(code)
    return {
        one.positions.lineno
        for one in module.get_instructions(code)
        if "JUMP_BACKWARD" in one.opname
        and "NO_INTERRUPT" not in one.opname
        and not any(entry.start <= one.offset < entry.end for entry in table)
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no table before")
@pytest.mark.parametrize("module", [inotify, shared, queue])
def test_no_jump_is_left_out_of_a_with(module: ModuleType) -> None:
    """As CPython does, from 3.12 on, with that behind an `if` at the end of a loop.

    A signal handler that raises just there leaves the lock of the `with` locked.
    """
    source = inspect.getsource(module)
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With) and node.end_lineno is not None:
            inside.update(range(node.lineno + 1, node.end_lineno + 1))
    for code in codes_in(compile(source, module.__name__, "exec")):
        if not code.co_name.startswith("<"):  # what that raises comes out in a call
            assert not jumps_left_out(code) & inside, code.co_name
