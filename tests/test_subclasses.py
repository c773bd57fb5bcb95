"""Classes of users that override what our slots hold."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from anylock import make_lock, make_rlock, make_semaphore
from backends import Backend, run
from staging import in_thread

called: list[str] = []


def overriding(base: Any) -> Any:
    """Return a subclass that notes what is called, and calls what it overrides."""

    class Lock(base):  # type: ignore[misc]
        def __enter__(self) -> Any:
            called.append("enter")
            parent: Any = super()
            return parent.__enter__()

        def __exit__(self, *exc_info: object) -> None:
            called.append("exit")
            parent: Any = super()
            parent.__exit__(*exc_info)

        def acquire(self, *arguments: Any) -> bool:
            called.append("acquire")
            parent: Any = super()
            return bool(parent.acquire(*arguments))

        def release(self) -> None:
            called.append("release")
            parent: Any = super()
            parent.release()

    return Lock


def mixed(native: Any) -> Any:
    """Return a subclass that has it from another base."""
    return type(native)("Lock", (overriding(object), native), {})


def of_a_subclass(native: Any) -> Any:
    """Return a subclass of such a subclass, which overrides some of it again."""
    base: Any = overriding(native)

    class Lock(base):  # type: ignore[misc]
        def __enter__(self) -> Any:
            parent: Any = super()
            return parent.__enter__()

    return Lock


@pytest.fixture(params=[make_lock, make_rlock, make_semaphore])
def lock(request: pytest.FixtureRequest, kind: str, way: Any) -> Any:
    called.clear()
    return way(type(request.param(kind)))()


every_way = pytest.mark.parametrize("way", [overriding, mixed, of_a_subclass])
each_kind = pytest.mark.parametrize("kind", ["process", "thread"])


def is_held(lock: Any) -> bool:
    tried: list[bool] = []
    with in_thread(lambda: tried.append(lock.acquire(False))):
        pass
    return tried == [False]


@every_way
@each_kind
def test_what_overrides_is_called_and_calls_what_it_overrides(lock: Any) -> None:
    with lock:
        assert is_held(lock)
    called.clear()
    with ExitStack() as stack:
        stack.enter_context(lock)
    assert lock.acquire()
    lock.release()
    # What an overridden one calls in its turn is its own affair.
    assert [*dict.fromkeys(called)] == ["enter", "exit", "acquire", "release"]


@every_way
@each_kind
def test_likewise_while_tasks_have_it(lock: Any, backend: Backend) -> None:
    async def main() -> None:
        async with lock:
            assert is_held(lock)
            assert "acquire" in called

    run(backend, main)
    with lock:
        called.clear()
    assert "exit" in called
