"""How the tests of races stage them, and how they look underneath a lock.

What is private to the locks is known here and nowhere else in these tests.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import types
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from anylock import AsyncLock, Lock, ProcessLock, ThreadLock
from backends import require

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import FrameType

    from anylock._bridge.lock import LockBridge
    from backends import Backend

BridgedLock = ThreadLock | ProcessLock
PATIENCE = 10.0
"""Seconds after which something is taken never to happen."""


def usable(backend: Backend) -> bool:
    """Say whether the backend is to be had here; it may be required."""
    try:
        require(backend)
    except pytest.skip.Exception:
        return False
    return True


class Section:
    """A critical section that tells when two are inside, and counts who was."""

    def __init__(self) -> None:
        self.inside = False
        self.count = 0
        self.overlaps = 0

    def __enter__(self) -> None:
        self.overlaps += self.inside
        self.inside = True

    def __exit__(self, *exc_info: object) -> None:
        self.inside = False
        self.count += 1

    def update(self) -> None:
        """Pass through without waiting; the counter is read and written apart."""
        with self:
            count = self.count
            busy = [*range(3)]
            self.count = count + len(busy) - 3


def bridge_of(lock: Lock) -> LockBridge:
    """Return the bridge of a lock that a task has used already."""
    bridge = cast("BridgedLock", lock)._bridge
    assert bridge is not None
    return bridge


def waiting(lock: Lock) -> int:
    """Count who is queued."""
    if isinstance(lock, AsyncLock):
        return len(lock._waiters or ())
    bridge = cast("BridgedLock", lock)._bridge
    return 0 if bridge is None else len(bridge._queue)


def granted(lock: Lock) -> bool:
    """Say whether a task was granted the lock and has not run since."""
    bridge = cast("BridgedLock", lock)._bridge
    holder = None if bridge is None else bridge.holder
    return holder is not None and not holder.resumed


def helpers(lock: Lock) -> bool:
    """Say whether the lock's helper thread is under way."""
    bridge = cast("BridgedLock", lock)._bridge
    return bridge is not None and bridge._helping


def amid_steps(lock: Lock) -> bool:
    """Say whether some thread has yet to end what it does to the lock's bridge."""
    bridge = cast("BridgedLock", lock)._bridge
    return bridge is not None and bool(bridge._mail)


def is_native(lock: Lock) -> bool:
    """Say whether sync callers run the C methods of the inner lock."""
    return isinstance(lock.__enter__, types.BuiltinMethodType)


def python_calls(function: Callable[[Any], object], made: object) -> list[str]:
    """Return the names of the Python functions that run in `function(made)`."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(made)
    finally:
        sys.setprofile(before)
    return calls


def until(condition: Callable[[], object]) -> None:
    """Block this thread until others have brought something about.

    It is polled, because what is waited for has no way of telling.
    """
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "it never happened"
        sleep(0.0002)


async def until_in_task(condition: Callable[[], object]) -> None:
    """Let other tasks run until they have brought something about."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "it never happened"
        await checkpoint()


async def queued(lock: Lock, number: int = 1) -> None:
    """Let other tasks run until so many are queued."""
    await until_in_task(lambda: waiting(lock) >= number)


def assert_at_rest(lock: Lock) -> None:
    """Check that nobody has the lock, and that it can be had in both colours."""
    if not isinstance(lock, AsyncLock):
        # A helper that nobody waits for any more ends when it gets the lock, and a
        # release may be carried out by another thread that was amid a step.
        until(lambda: not helpers(lock) and not lock.locked() and not amid_steps(lock))
    assert not lock.locked()
    assert waiting(lock) == 0
    if isinstance(lock, AsyncLock):
        assert lock.try_acquire()
        lock.release()
    else:
        with in_thread(lambda: use(lock)):
            pass
        assert is_native(lock)
    assert not lock.locked()


def use(lock: Lock) -> None:
    """Take the lock, which should be free, and release it."""
    with lock.hold(PATIENCE):
        pass


@contextmanager
def in_thread(
    function: Callable[[], object], patience: float = PATIENCE
) -> Generator[threading.Thread]:
    """Run a function in another thread; join it, and raise what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(patience)
    if thread.is_alive():
        faulthandler.dump_traceback()
        raise AssertionError("the thread never ended")
    for error in raised:
        raise error


def acquire(lock: Lock) -> None:
    """Take a lock of any kind that is free, in the way that tells nobody.

    So a thread does that leaves the C methods to work: to the bridge, nobody known
    holds the lock.
    """
    assert lock.try_acquire()


async def enter(lock: Lock, seconds: float | None = None) -> Any:
    """Run `__aenter__`, of the lock itself or of its `hold`."""
    return await (lock if seconds is None else lock.hold(seconds)).__aenter__()


async def all_done(*functions: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run coroutine functions as tasks beside one another, to the end."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for function in functions:
                tasks.start_soon(function)
