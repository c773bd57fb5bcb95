"""The factories of the family: what they make, take and refuse, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import tracemalloc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import anylock
from anylock import (
    Condition,
    Lock,
    LockKind,
    Semaphore,
    make_condition,
    make_lock,
    make_rlock,
    make_rwlock,
    make_semaphore,
)
from backends import Backend, run
from staging import python_calls

if TYPE_CHECKING:
    from collections.abc import Callable

BUILTIN = type(threading.Lock().acquire)
KINDS: tuple[LockKind, ...] = ("async", "process", "thread")


def make_bounded(kind: Any = None, **options: Any) -> Semaphore:
    factory: Any = make_semaphore
    made: Semaphore = factory(kind, bounded=True, **options)
    return made


MEMBERS: dict[str, tuple[Callable[..., Any], type]] = {
    "BoundedSemaphore": (make_bounded, Semaphore),
    "Condition": (make_condition, Condition),
    "RLock": (make_rlock, Lock),
    "Semaphore": (make_semaphore, Semaphore),
}
"""Member of the family -> its factory, its contract."""


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def make(member: str) -> Callable[..., Any]:
    return MEMBERS[member][0]


def test_each_kind_makes_its_class(member: str, kind: LockKind) -> None:
    factory, contract = MEMBERS[member]
    made: Any = factory(kind)
    assert type(made) is getattr(anylock, f"{kind.capitalize()}{member}")
    whatever: object = made
    assert isinstance(whatever, contract)
    assert made.kind == kind
    assert made.name is None
    assert "name" not in repr(made)
    assert not made.locked()


def test_names_and_weak_references(make: Callable[..., Any], kind: LockKind) -> None:
    made = make(kind, name="inventory")
    assert made.name == "inventory"
    assert "name='inventory'" in repr(made)
    assert weakref.ref(made)() is made
    with pytest.raises(TypeError, match="name must be a string or None, not 1"):
        make(kind, name=1)


@pytest.mark.parametrize("kind", KINDS)
def test_condition_has_the_name_of_its_lock_unless_it_is_given_one(
    kind: LockKind,
) -> None:
    make: Any = make_condition
    lock = make_lock(kind, name="shelf")
    assert make(kind, lock).name == "shelf"
    assert "shelf" in repr(make(kind, lock))
    assert make(kind, lock, name="door").name == "door"


def test_semaphore_has_no_more_permits_than_the_system_can_count() -> None:
    with pytest.raises(ValueError, match=r"value must be [\d,]+ at most, not"):
        make_semaphore("process", 2**40)


def test_what_help_shows(member: str, kind: LockKind) -> None:
    """A reader finds the docstrings on the class, whatever the slots hold."""
    factory, contract = MEMBERS[member]
    made: object = factory(kind)
    assert inspect.getdoc(type(made))
    names = [name for name in dir(contract) if not name.startswith("_")]
    assert {"hold", "kind", "name", "release", "try_acquire"} < set(names)
    for name in names:
        method = getattr(type(made), name)
        # That of multiprocessing has none.
        inherited = getattr(method, "__module__", "") == "multiprocessing.synchronize"
        assert inherited or inspect.getdoc(method), name


def test_none_picks_as_for_a_lock(
    make: Callable[..., Any], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> str:
        kind: str = make().kind
        return kind

    assert make().kind == "thread"
    assert run(backend, main) == "async"
    monkeypatch.setenv("ANYLOCK_KIND", "process")
    assert make().kind == "process"


def test_unknown_kinds_and_foreign_options(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="'async', 'process', 'thread', not 'threads'"):
        make("threads")
    with pytest.raises(TypeError, match=r"'thread' does not take 'context'.*'process'"):
        make("thread", context=None)
    with pytest.raises(TypeError, match="'process' does not take 'fast_acquire'"):
        make("process", fast_acquire=True)


def test_the_kinds_and_options_of_read_write_locks() -> None:
    make: Callable[..., Any] = make_rwlock
    with pytest.raises(ValueError, match="'async', 'machine', 'thread', not 'process'"):
        make("process")
    make("thread", reset_after_fork=True)
    make("async", fast_acquire=True)
    with pytest.raises(TypeError, match="'machine' does not take 'fair': it takes"):
        make("machine", fair=True)
    with pytest.raises(TypeError, match=r"'thread' does not take 'path'.*'machine'"):
        make("thread", path="/tmp/a")  # noqa: S108 - not made


def test_none_picks_a_read_write_lock_as_a_lock(backend: Backend) -> None:
    async def main() -> str:
        return make_rwlock().kind

    assert make_rwlock().kind == "thread"
    assert run(backend, main) == "async"


@pytest.mark.parametrize("factory", [make_rlock, make_semaphore, make_bounded])
def test_each_kind_takes_its_option(factory: Callable[..., Any]) -> None:
    factory("thread", reset_after_fork=True)
    factory("process", context=None)
    factory("async", fast_acquire=True)


@pytest.mark.parametrize("value", [0, 1, 7])
@pytest.mark.parametrize("bounded", [False, True])
def test_the_value_of_a_semaphore(kind: LockKind, value: int, bounded: bool) -> None:  # noqa: FBT001
    made = make_semaphore(kind, value, bounded=bounded)
    assert made.value == value
    assert made.locked() == (value == 0)
    taken = [made.try_acquire() for _ in range(value + 1)]
    assert taken == [True] * value + [False]
    assert made.value == 0


@pytest.mark.parametrize("value", [-1, 1.5, "1", None, True])
def test_values_that_count_nothing(kind: LockKind, value: Any) -> None:
    error = ValueError if value == -1 else TypeError
    with pytest.raises(error, match="value must "):
        make_semaphore(kind, value)


def test_a_value_that_would_fill_the_memory() -> None:
    with pytest.raises(ValueError, match="10,000,000 at most"):
        make_semaphore("thread", sys.maxsize)


@pytest.mark.parametrize("n", [0, -1, 1.5, "1"])
def test_counts_that_release_nothing(kind: LockKind, n: Any) -> None:
    made: Any = make_semaphore(kind, 1)
    with pytest.raises(TypeError if isinstance(n, float | str) else ValueError):
        made.release(n)
    assert made.value == 1


def test_a_condition_takes_the_kind_of_its_lock(kind: LockKind) -> None:
    for lock in (make_lock(kind), make_rlock(kind)):
        condition = make_condition(lock=lock)
        assert condition.kind == kind
        assert lock.try_acquire()
        assert condition.locked()
        lock.release()
        assert not condition.locked()


def test_a_condition_refuses_locks_of_other_kinds(kind: LockKind) -> None:
    for other in KINDS:
        if other != kind:
            with pytest.raises(TypeError, match=r"lock must be .*make_lock"):
                make_condition(kind, make_lock(other))
    lock: Any = threading.Lock()
    with pytest.raises(TypeError, match=r"lock must be .*make_lock"):
        make_condition(kind, lock)


def test_default_locks_are_those_of_the_standard_library() -> None:
    for kind in ("process", "thread"):
        condition = make_condition(kind)
        with condition, condition:
            assert condition.locked()
    assert make_condition("async").try_acquire()


# The hot path.


def use_semaphore(made: Any) -> None:
    with made:
        pass
    made.__enter__()
    made.__exit__(None, None, None)


def use_rlock(made: Any) -> None:
    with made, made:
        pass
    made.__enter__()
    made.__exit__(None, None, None)


NATIVE: list[tuple[Callable[..., Any], Callable[[Any], None], LockKind]] = [
    (make_semaphore, use_semaphore, "thread"),
    (make_semaphore, use_semaphore, "process"),
    (make_bounded, use_semaphore, "process"),
    (make_rlock, use_rlock, "thread"),
    (make_rlock, use_rlock, "process"),
]


@pytest.mark.parametrize(("factory", "use", "kind"), NATIVE)
def test_no_python_runs(
    factory: Callable[..., Any],
    use: Callable[[Any], None],
    kind: LockKind,
    backend: Backend,
) -> None:
    made: Any = factory(kind)
    assert python_calls(use, made) == [use.__name__]

    async def main() -> None:
        async with made:
            assert not isinstance(made.__enter__, BUILTIN)

    run(backend, main)
    assert python_calls(use, made) == [use.__name__]
    # The measurement would see it:
    assert python_calls(lambda made: made.try_acquire(), made)[1] == "try_acquire"


# A re-entrant lock keeps a guard for each thread that uses it.
SIZES: list[tuple[Callable[..., Any], int]] = [
    (make_rlock, 2000),
    (make_semaphore, 800),
]


@pytest.mark.parametrize(("factory", "most"), SIZES)
def test_those_for_threads_are_small(factory: Callable[..., Any], most: int) -> None:
    factory("thread")
    number = 1000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [factory("thread") for _ in range(number)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(kept) <= most


@pytest.mark.parametrize("member", ["rlock", "semaphore", "condition"])
def test_the_imports_are_light(member: str) -> None:
    """Neither an event loop nor multiprocessing, as for a lock."""
    program = f"""
import sys
before = set(sys.modules)
from anylock import make_{member}
made = make_{member}("thread")
with made:
    pass
heavy = {{"anyio", "asyncio", "multiprocessing", "trio"}}
print(*(heavy & (set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", [])
