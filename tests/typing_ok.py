"""What type checkers must make of anylock: read by mypy and pyright, run by test_types.

Each line with an "ignore" must *not* type-check: a checker that takes it calls the
comment needless, and fails.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import anylock
from anylock import (
    AsyncLock,
    Hold,
    Lock,
    LockKind,
    LockNotHeldError,
    LockTimeout,
    ProcessLock,
    ThreadLock,
    WouldDeadlock,
    WrongEventLoop,
    make_lock,
    synchronized,
)

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SPAWN = multiprocessing.get_context("spawn")


def overloads_give_concrete_classes(kind: LockKind, text: str) -> None:
    assert_type(make_lock("thread"), ThreadLock)
    assert_type(make_lock("thread", name="mine"), ThreadLock)
    assert_type(make_lock("thread", reset_after_fork=True), ThreadLock)
    assert_type(make_lock("process"), ProcessLock)
    assert_type(make_lock("process", name="mine", context=SPAWN), ProcessLock)
    assert_type(make_lock("async"), AsyncLock)
    assert_type(make_lock("async", fast_acquire=True), AsyncLock)
    assert_type(make_lock(), Lock)
    assert_type(make_lock(None, name="mine"), Lock)
    assert_type(make_lock(kind), Lock)
    assert_type(make_lock(text), Lock)
    assert_type(ThreadLock("mine", reset_after_fork=True), ThreadLock)
    assert_type(ProcessLock("mine", context=SPAWN), ProcessLock)
    assert_type(AsyncLock("mine", fast_acquire=True), AsyncLock)


def adapters_are_locks() -> None:
    """Each adapter satisfies the Protocol, without a cast."""
    locks: list[Lock] = [make_lock("thread"), make_lock("process"), make_lock("async")]
    one: Lock = ThreadLock()
    one = ProcessLock()
    one = AsyncLock()
    locks.append(one)
    for lock in locks:
        portable(lock)


def portable(lock: Lock) -> None:
    assert_type(lock.kind, str)
    assert_type(lock.name, "str | None")
    assert_type(lock.hold(), Hold)
    assert_type(lock.hold(None), Hold)
    assert_type(lock.hold(timeout=2.0), Hold)
    assert_type(lock.try_acquire(), bool)
    assert_type(lock.locked(), bool)
    release: Callable[[], None] = lock.release
    with lock, lock.hold(1):
        release()
    lock.acquire()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    lock.hold("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lock.name = "mine"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def portable_in_tasks(lock: Lock) -> None:
    async with lock, lock.hold(1):
        pass


def kinds_are_literals() -> None:
    kind: LockKind = make_lock("thread").kind
    kind = make_lock("process").kind
    kind = make_lock("async").kind
    kind = "machines"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    make_lock(kind)


def native_thread() -> None:
    lock = make_lock("thread")
    assert_type(lock.acquire(), bool)
    assert_type(lock.acquire(False), bool)
    assert_type(lock.acquire(blocking=True, timeout=1.5), bool)
    with lock as entered, lock.hold() as held:
        assert_type(entered, bool)
        assert_type(held, ThreadLock)
    lock.acquire(block=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lock.acquire(True, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lock.acquire = ThreadLock().acquire  # type: ignore[method-assign]


def native_process(stdlib: synchronize.Lock) -> None:
    lock = make_lock("process")
    multiprocessing.Condition(lock)
    multiprocessing.Value("i", lock=lock)
    SPAWN.Condition(lock)
    assert_type(lock.acquire(), bool)
    assert_type(lock.acquire(False, None), bool)
    assert_type(lock.acquire(block=True, timeout=1.5), bool)
    assert_type(lock.acquire(blocking=False), bool)
    with lock as entered, lock.hold() as held:
        assert_type(entered, bool)
        assert_type(held, ProcessLock)
    lock.acquire(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    native_process(lock)
    ours: Callable[[ProcessLock], bool] = ProcessLock.try_acquire
    ours(stdlib)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def native_async() -> None:
    lock = make_lock("async")
    assert_type(await lock.acquire(), bool)
    assert_type(await lock.acquire(blocking=False), bool)
    assert_type(await lock.acquire(True, 1.5), bool)
    async with lock as entered, lock.hold() as held:
        assert_type(entered, None)
        assert_type(held, AsyncLock)
    with lock as in_thread, lock.hold() as held_in_thread:
        assert_type(in_thread, bool)
        assert_type(held_in_thread, AsyncLock)
    lock.acquire(timeout=[])  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]


def options_belong_to_their_kind() -> None:
    make_lock("thread", "mine")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    make_lock("async", name=b"mine")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    make_lock(1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def the_front_door_has_no_more() -> None:
    _ = anylock.NoSuchLock  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


@synchronized(make_lock("thread"))
def function(number: int, /, *, text: str = "") -> list[str]:
    return [text] * number


@synchronized(make_lock("async"), timeout=1.5)
async def coroutine_function(number: int) -> str:
    return str(number)


class Shelf:
    def __init__(self) -> None:
        self._lock: Lock = make_lock()

    @synchronized("_lock")
    def put(self, book: str) -> int:
        return len(book)

    @synchronized("_lock", timeout=None)
    async def take(self, *books: str) -> tuple[str, ...]:
        return books

    @classmethod
    @synchronized(make_lock("thread"))
    def make(cls, _: int) -> Shelf:
        return cls()

    @property
    @synchronized("_lock")
    def size(self) -> int:
        return 1


async def synchronized_preserves_types(shelf: Shelf) -> None:
    assert_type(function(1, text="a"), "list[str]")
    assert_type(await coroutine_function(1), str)
    assert_type(shelf.put("a"), int)
    assert_type(await shelf.take("a", "b"), "tuple[str, ...]")
    assert_type(Shelf.make(1), Shelf)
    assert_type(shelf.size, int)
    put: Callable[[str], int] = shelf.put
    take: Callable[[str], Coroutine[Any, Any, tuple[str, ...]]] = shelf.take
    del put, take
    function("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    function(number=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    shelf.put(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    coroutine_function(1).upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def what_synchronized_refuses() -> None:
    synchronized()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    synchronized(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    synchronized(function)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    synchronized("_lock", 1.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    synchronized("_lock")(1)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


class Complete:
    """A lock of one's own: the names are enough, there is nothing to inherit."""

    kind = "dummy"
    name: str | None = None

    def __enter__(self) -> None: ...
    def __exit__(self, *exc_info: object) -> None: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *exc_info: object) -> None: ...
    def try_acquire(self) -> bool:
        return True

    def release(self) -> None: ...
    def locked(self) -> bool:
        return False

    def hold(self, timeout: float | None = None) -> Hold:
        raise LockTimeout(timeout or 0.0, self.name)


class Incomplete:
    """No lock: it has no hold()."""

    kind = "dummy"
    name = None

    def __enter__(self) -> None: ...
    def __exit__(self, *exc_info: object) -> None: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *exc_info: object) -> None: ...
    def try_acquire(self) -> bool:
        return True

    def release(self) -> None: ...
    def locked(self) -> bool:
        return False


def locks_of_ones_own() -> None:
    lock: Lock = Complete()
    synchronized(Complete())
    lock = Incomplete()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    synchronized(Incomplete())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del lock


def errors_carry_data(
    timeout: LockTimeout,
    not_held: LockNotHeldError,
    elsewhere: WouldDeadlock | WrongEventLoop,
) -> None:
    assert_type(timeout.timeout, float)
    assert_type(timeout.lock_name, "str | None")
    assert_type(not_held.lock_name, "str | None")
    assert_type(elsewhere.reason, str)
    assert_type(elsewhere.advice, str)
    as_builtins: tuple[TimeoutError, RuntimeError, ValueError, RuntimeError] = (
        timeout,
        not_held,
        not_held,
        elsewhere,
    )
    del as_builtins
