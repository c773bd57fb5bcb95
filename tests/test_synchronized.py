"""synchronized: what it runs under the lock, what it keeps, and what it refuses."""

from __future__ import annotations

import functools
import inspect
import threading
import types
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import anyio.to_thread
import pytest

from anylock import Lock, LockTimeout, WouldDeadlock, make_lock, synchronized
from backends import Backend, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

decorate_any: Any = synchronized
"""synchronized, for arguments that its types refuse."""


class Account:
    """What users write: one lock, methods of both colours."""

    shared = make_lock("thread")

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.balance = 0

    @synchronized("_lock")
    def deposit(self, amount: int, *, times: int = 1) -> int:
        """Add to the balance."""
        assert self._lock.locked()
        self.balance += amount * times
        return self.balance

    @synchronized("_lock")
    async def deposit_later(self, amount: int, *, times: int = 1) -> int:
        """Add to the balance, with every chance for others to come in between."""
        assert self._lock.locked()
        seen = self.balance
        await anyio.lowlevel.checkpoint()
        self.balance = seen + amount * times
        return self.balance

    @property
    @synchronized("_lock")
    def rounded(self) -> int:
        assert self._lock.locked()
        return round(self.balance, -1)

    @classmethod
    @synchronized("shared")
    def in_class(cls) -> type[Account]:
        assert cls.shared.locked()
        return cls

    @staticmethod
    @synchronized(shared)
    def alone(number: int) -> int:
        assert Account.shared.locked()
        return number

    @synchronized("_lock", timeout=0)
    def at_once(self) -> str:
        return "at once"

    @synchronized("_lock", timeout=0)
    async def at_once_later(self) -> str:
        return "at once"


# What it does


def test_a_function(kind: str, backend: Backend) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    def add(first: int, second: int = 2, *rest: int, lock: int, **more: int) -> int:
        assert outer.locked()
        return first + second + sum(rest) + lock + sum(more.values())

    outer = lock

    def use() -> None:
        assert add(1, lock=4) == 7
        assert add(1, 1, 1, lock=1, timeout=1, function=1, self=1) == 7
        assert not outer.locked()

    if kind != "async":
        use()
    run(backend, anyio.to_thread.run_sync, use)


def test_a_coroutine_function(kind: str, backend: Backend) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    async def double(number: int) -> int:
        assert lock.locked()
        await anyio.lowlevel.checkpoint()
        assert lock.locked()
        return 2 * number

    async def main() -> None:
        assert await double(21) == 42
        assert await double(number=4) == 8
        waiting = double(1)
        assert not lock.locked()  # until somebody waits for it
        assert await waiting == 2

    run(backend, main)
    assert not lock.locked()


def test_both_colours_exclude_each_other(kind: str, backend: Backend) -> None:
    account = Account(make_lock(kind))

    def in_thread() -> None:
        for _ in range(20):
            account.deposit(1)

    async def in_task() -> None:
        for _ in range(20):
            await account.deposit_later(1)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(in_task)
                tasks.start_soon(anyio.to_thread.run_sync, in_thread)

    run(backend, main)
    assert account.balance == 120


def test_methods_find_the_lock_of_their_own_object(backend: Backend) -> None:
    first, second = Account(make_lock("thread")), Account(make_lock("thread"))
    for account in first, second:
        assert account.deposit(3, times=2) == 6
        assert account.rounded == 10
        assert run(backend, account.deposit_later, 4) == 10
    with first._lock:
        assert second.deposit(1) == 11
    second._lock = make_lock("process")
    assert second.deposit(1) == 12


def test_class_and_static_methods() -> None:
    assert Account.in_class() is Account
    assert Account(make_lock("thread")).in_class() is Account
    assert Account.alone(3) == 3
    assert not Account.shared.locked()


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_an_exception_releases(kind: str) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    def fail() -> None:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            fail()
        assert not lock.locked()


def test_an_exception_in_a_task_releases(kind: str, backend: Backend) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(LookupError):
                await fail()
            assert not lock.locked()

    run(backend, main)


def test_a_cancellation_releases(kind: str, backend: Backend) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    async def sleep(scope: anyio.CancelScope) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await sleep(scope)
        assert scope.cancelled_caught
        assert not lock.locked()

    run(backend, main)


def test_timeouts(kind: str, backend: Backend) -> None:
    lock = make_lock(kind, name="inventory")
    account = Account(lock)

    async def main() -> None:
        assert await account.at_once_later() == "at once"
        assert await anyio.to_thread.run_sync(account.at_once) == "at once"
        async with lock:
            with pytest.raises(LockTimeout, match="'inventory'") as info:
                await account.at_once_later()
            assert info.value.timeout == 0
            with pytest.raises(LockTimeout, match="'inventory'"):
                await anyio.to_thread.run_sync(account.at_once)
        assert await account.at_once_later() == "at once"

    run(backend, main)
    assert not lock.locked()


def test_a_function_on_the_thread_of_the_loop(kind: str, backend: Backend) -> None:
    account = Account(make_lock(kind))

    async def main() -> None:
        async with account._lock:
            with pytest.raises(WouldDeadlock, match="use 'async with'"):
                account.deposit(1)
        assert account.balance == 0

    run(backend, main)


def test_calls_of_itself_are_told(kind: str, backend: Backend) -> None:
    lock = make_lock(kind)

    @synchronized(lock)
    async def recursive() -> None:
        await recursive()

    async def main() -> None:
        with pytest.raises(WouldDeadlock, match="this task holds it"):
            await recursive()

    run(backend, main)
    assert not lock.locked()


def test_threads_exclude_each_other() -> None:
    inside = threading.Semaphore(1)

    @synchronized(make_lock("thread"))
    def enter() -> None:
        assert inside.acquire(blocking=False)
        entered.append(1)
        inside.release()

    entered: list[int] = []
    threads = [threading.Thread(target=enter) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 20


# What it keeps


def test_the_function_looks_as_before() -> None:
    for method, original in (
        (Account.deposit, "deposit"),
        (Account.deposit_later, "deposit_later"),
    ):
        assert method.__name__ == original
        assert method.__qualname__ == f"Account.{original}"
        assert method.__module__ == __name__
        assert method.__doc__
        assert method.__doc__.startswith("Add to the balance")
        shown = str(inspect.signature(method))
        assert shown == "(self, amount: 'int', *, times: 'int' = 1) -> 'int'"
        assert inspect.unwrap(method) is not method
    assert inspect.iscoroutinefunction(Account.deposit_later)
    assert not inspect.iscoroutinefunction(Account.deposit)


def test_functions_of_c_and_bound_methods() -> None:
    lock = make_lock("thread")
    assert synchronized(lock)(len)("four") == 4
    words: list[str] = []
    synchronized(lock)(words.append)("one")
    assert words == ["one"]
    assert not lock.locked()


# What it refuses


def generator() -> Iterator[int]:
    yield 1


async def asynchronous_generator() -> AsyncIterator[int]:
    yield 1


@types.coroutine
def old_coroutine() -> Iterator[None]:
    yield


class Callable_:  # noqa: N801 - named for what it is
    def __call__(self) -> None:
        """Do nothing."""


def function() -> None:
    """Do nothing."""


def getter(of: object) -> object:
    return of


UNSUITABLE: tuple[tuple[object, str], ...] = (
    (generator, "generator: it runs after the call.*take the lock inside"),
    (asynchronous_generator, "generator: it runs after the call"),
    (old_coroutine, "generator"),
    (Account, "class: decorate its methods"),
    (vars(Account)["alone"], "static or class method: put @synchronized below"),
    (vars(Account)["in_class"], "static or class method: put @synchronized below"),
    (functools.partial(function), "not a function"),
    (functools.partialmethod(function), "not a function"),
    (functools.cached_property(getter), "not a function"),
    (property(getter), "not a function"),
    (Callable_(), "not a function"),
    (None, "not a function"),
    ("function", "not a function"),
)


@pytest.mark.parametrize(
    ("what", "reason"),
    UNSUITABLE,
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_decorated(what: object, reason: str) -> None:
    for lock in make_lock("thread"), make_lock("async"), "_lock":
        with pytest.raises(TypeError, match=f"cannot synchronize .*{reason}") as info:
            decorate_any(lock)(what)
        assert repr(what) in str(info.value)


@pytest.mark.parametrize(
    "lock", [function, None, 1, threading.Lock(), make_lock, b"_lock", Account]
)
def test_whatever_is_no_lock(lock: object) -> None:
    with pytest.raises(TypeError, match=r"needs a lock.*write @synchronized\(lock\)"):
        decorate_any(lock)


def test_a_class_of_locks_is_no_lock() -> None:
    with pytest.raises(TypeError, match="needs a lock"):
        decorate_any(type(make_lock("thread")))


def test_the_bare_decorator() -> None:
    with pytest.raises(TypeError, match=r"not <function .*bare.*write @synchronized\("):

        @synchronized  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        def bare() -> None:
            """Do nothing."""


def test_the_timeout_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        decorate_any(make_lock("thread"), 1.0)


def test_a_name_without_an_object_to_look_in() -> None:
    alone: Callable[[], None] = synchronized("_lock")(function)
    with pytest.raises(TypeError, match=r"function\(\).*self\._lock.*is for methods"):
        alone()


def test_an_attribute_that_is_no_lock() -> None:
    account: Any = Account(make_lock("thread"))
    account._lock = threading.Lock()
    with pytest.raises(TypeError, match=r"Account\.deposit\(\) needs a lock in its"):
        account.deposit(1)
    del account._lock
    with pytest.raises(AttributeError, match="_lock"):
        account.deposit(1)
