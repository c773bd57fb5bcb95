"""make_lock: which lock it makes, what it refuses, and what it imports."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest

import anylock
from anylock import AsyncLock, Lock, ProcessLock, ThreadLock, make_lock
from backends import Backend, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock import LockKind

ADAPTERS: dict[LockKind, type] = {
    "async": AsyncLock,
    "process": ProcessLock,
    "thread": ThreadLock,
}

make_any: Callable[..., Lock] = make_lock
"""make_lock, for arguments that its overloads refuse."""


@pytest.fixture(autouse=True)
def _no_kind_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANYLOCK_KIND", raising=False)


def test_each_kind_makes_its_adapter(kind: LockKind) -> None:
    lock = make_lock(kind)
    assert type(lock) is ADAPTERS[kind]
    assert isinstance(lock, Lock)
    assert lock.kind == kind
    assert lock.name is None
    assert not lock.locked()


def test_every_call_makes_another_lock(kind: LockKind) -> None:
    first, second = make_lock(kind), make_lock(kind)
    assert first.try_acquire()
    assert second.try_acquire()
    first.release()
    second.release()


@pytest.mark.parametrize("name", ["inventory", "", "Ünïcode ☃"])
def test_the_name_is_a_label(kind: LockKind, name: str) -> None:
    lock = make_lock(kind, name=name)
    assert lock.name == name
    assert f"name={name!r}" in repr(lock)


def test_a_lock_without_a_name_shows_none(kind: LockKind) -> None:
    assert "name" not in repr(make_lock(kind))


@pytest.mark.parametrize("name", [1, b"bytes", ["list"], False])
def test_names_that_are_no_strings(kind: LockKind, name: object) -> None:
    with pytest.raises(TypeError, match=r"name must be a string or None, not ") as info:
        make_any(kind, name=name)
    assert repr(name) in str(info.value)


def test_the_name_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        make_any("thread", "inventory")


# What None picks


def test_none_is_thread_where_no_loop_runs() -> None:
    assert make_lock().kind == "thread"
    assert make_lock(None).kind == "thread"


def test_none_is_async_in_a_running_loop(backend: Backend) -> None:
    async def main() -> tuple[str, str | None]:
        lock = make_lock(name="mine")
        return lock.kind, lock.name

    assert run(backend, main) == ("async", "mine")


def test_none_is_thread_in_a_worker_thread_of_a_loop(backend: Backend) -> None:
    async def main() -> str:
        return await anyio.to_thread.run_sync(lambda: make_lock().kind)

    assert run(backend, main) == "thread"


def test_none_is_thread_again_after_the_loop(backend: Backend) -> None:
    async def main() -> None:
        pass

    run(backend, main)
    assert make_lock().kind == "thread"


def test_none_is_async_in_a_callback_of_asyncio() -> None:
    import asyncio

    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        loop.call_soon(lambda: answer.set_result(make_lock().kind))
        return await answer

    assert asyncio.run(main()) == "async"


def test_none_takes_the_environment_variable(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYLOCK_KIND", kind)
    assert make_lock().kind == kind


def test_the_environment_variable_comes_before_the_loop(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYLOCK_KIND", "thread")

    async def main() -> str:
        return make_lock().kind

    assert run(backend, main) == "thread"


def test_an_argument_comes_before_the_environment_variable(
    kind: LockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYLOCK_KIND", "nonsense")
    assert make_lock(kind).kind == kind


@pytest.mark.parametrize("value", ["nonsense", "Thread", " thread", ""])
def test_a_wrong_environment_variable_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYLOCK_KIND", value)
    with pytest.raises(ValueError, match="environment variable ANYLOCK_KIND") as info:
        make_lock()
    assert_lists_kinds(str(info.value))
    assert repr(value) in str(info.value)


def test_options_with_none_belong_to_the_kind_that_is_picked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert make_any(None, reset_after_fork=True).kind == "thread"
    monkeypatch.setenv("ANYLOCK_KIND", "async")
    assert make_any(None, fast_acquire=True).kind == "async"
    with pytest.raises(TypeError, match="'async' does not take 'reset_after_fork'"):
        make_any(None, reset_after_fork=True)


# What is refused


def assert_lists_kinds(message: str) -> None:
    assert set(re.findall(r"'(\w+)'", message)) >= set(ADAPTERS)


@pytest.mark.parametrize(
    "kind", ["threads", "", "THREAD", "cluster", 1, b"thread", ["thread"], ThreadLock]
)
def test_an_unknown_kind_lists_the_kinds(kind: object) -> None:
    with pytest.raises(ValueError, match="kind must be one of") as info:
        make_any(kind)
    assert_lists_kinds(str(info.value))
    assert repr(kind) in str(info.value)


OPTIONS: dict[LockKind, dict[str, Any]] = {
    "async": {"fast_acquire": True},
    "process": {"context": multiprocessing.get_context("spawn")},
    "thread": {"reset_after_fork": True},
}


def test_each_kind_takes_its_option(kind: LockKind) -> None:
    lock = make_any(kind, name="mine", **OPTIONS[kind])
    assert (lock.kind, lock.name) == (kind, "mine")


@pytest.mark.parametrize("owner", OPTIONS)
def test_an_option_of_another_kind_names_both(kind: LockKind, owner: LockKind) -> None:
    if owner == kind:
        return
    with pytest.raises(TypeError) as info:
        make_any(kind, **OPTIONS[owner])
    (option,), (own,) = OPTIONS[owner], OPTIONS[kind]
    assert f"kind {kind!r} does not take {option!r}" in str(info.value)
    assert f"it takes name, {own}" in str(info.value)
    assert f"{option!r} belongs to {owner!r}" in str(info.value)


def test_an_option_of_no_kind_names_the_right_ones(kind: LockKind) -> None:
    with pytest.raises(TypeError) as info:
        make_any(kind, reentrant=True)
    (own,) = OPTIONS[kind]
    assert str(info.value).endswith(f"does not take 'reentrant': it takes name, {own}")


def test_a_context_that_is_none_of_multiprocessing() -> None:
    # The name of a start method is the mistake that everybody makes once.
    with pytest.raises(TypeError, match="get_context"):
        make_any("process", context="spawn")


# The front door


@pytest.mark.parametrize("name", anylock.__all__)
def test_the_front_door_has_what_it_lists(name: str) -> None:
    assert getattr(anylock, name).__name__ in {name, "Literal"}


def test_the_front_door_is_sorted() -> None:
    assert sorted(anylock.__all__) == anylock.__all__


def test_what_the_front_door_does_not_have() -> None:
    with pytest.raises(ImportError, match="cannot import name 'RLock'"):
        exec("from anylock import RLock")  # noqa: S102 - a checker would refuse it
    # `import *` and hasattr rely on the type of that error.
    assert not hasattr(anylock, "RLock")


def test_make_lock_from_many_threads_at_once() -> None:
    barrier = threading.Barrier(8)
    kinds: list[str] = []

    def make() -> None:
        barrier.wait()
        kinds.extend(make_lock(kind).kind for kind in ADAPTERS)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kinds) == sorted([*ADAPTERS] * 8)


# What is imported, and when. Each program is a fresh process.

HEAVY = ("asyncio", "anyio", "trio", "multiprocessing", "concurrent")


def imported_by(program: str) -> set[str]:
    """Return which of the heavy modules `program` leaves in sys.modules."""
    # A measurement of coverage in the child imports modules of its own, and so may a
    # .pth file: what was there before does not count.
    watched = (
        f"import sys\nbefore = set(sys.modules)\n{program}\n"
        f"print(*(set({HEAVY}) & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", watched],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_the_import_is_light() -> None:
    assert imported_by("import anylock") == set()


def test_a_thread_lock_is_light() -> None:
    program = """
from anylock import Lock, make_lock, synchronized
for lock in make_lock("thread"), make_lock():
    with lock:
        assert lock.locked()
    with lock.hold(timeout=1):
        assert not lock.try_acquire()
    assert lock.acquire()
    lock.release()
    synchronized(lock)(repr)(lock)
    assert isinstance(lock, Lock)
"""
    assert imported_by(program) == set()


def test_an_async_lock_is_light_until_it_is_used() -> None:
    program = """
from anylock import make_lock
lock = make_lock("async")
assert lock.try_acquire()
lock.release()
assert repr(lock)
"""
    assert imported_by(program) == set()


def test_an_async_lock_uses_the_loop_that_is_there() -> None:
    program = """
import asyncio
from anylock import make_lock
lock = make_lock("async")
async def use():
    async with lock, make_lock("async").hold(1):
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
    await task
    lock.release()
asyncio.run(use())
"""
    assert imported_by(program) <= {"asyncio", "concurrent"}


def test_tasks_of_asyncio_do_not_import_anyio_for_a_thread_lock() -> None:
    program = """
import asyncio
from anylock import make_lock
lock = make_lock("thread")
async def use():
    async with lock:
        task = asyncio.create_task(lock.__aenter__())
        await asyncio.sleep(0)
    await task
    await lock.__aexit__(None, None, None)
asyncio.run(use())
"""
    assert imported_by(program) <= {"asyncio", "concurrent"}


@pytest.mark.parametrize("adapter", ["AsyncLock", "ProcessLock", "ThreadLock"])
def test_adapters_are_imported_on_first_use(adapter: str) -> None:
    module = f"anylock._{adapter.removesuffix('Lock').lower()}.lock"
    program = f"""
import anylock
assert not [m for m in sys.modules if m in
            ("anylock._async.lock", "anylock._process.lock", "anylock._thread.lock")]
anylock.{adapter}
assert {module!r} in sys.modules
from anylock import {adapter}
assert {adapter}().kind == {adapter.removesuffix("Lock").lower()!r}
"""
    allowed = {"multiprocessing"} if adapter == "ProcessLock" else set[str]()
    assert imported_by(program) <= allowed


def test_while_another_thread_imports_asyncio() -> None:
    """Then it is in sys.modules, with nothing in it yet, and no loop runs here."""
    program = """
import types
sys.modules["asyncio"] = types.ModuleType("asyncio")
from anylock import make_condition, make_lock
assert make_lock().kind == "thread"
condition = make_condition("thread")
with condition:
    assert not condition.wait(0)
del sys.modules["asyncio"]
import asyncio
async def main():
    async with condition:
        assert not await condition.async_wait(0)
    return make_lock().kind
assert asyncio.run(main()) == "async"
"""
    assert "asyncio" in imported_by(program)
