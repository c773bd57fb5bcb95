"""The examples come out right with their locks, and lose updates without.

Each runs as users run it, by itself. The races without a lock are staged: somebody
intrudes at the one moment that matters, if the lock lets him.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from anylock import LockTimeout, make_lock
from backends import ASYNCIO, TRIO, Backend, require, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = Path(__file__).parent.parent / "examples"

OUTPUTS = {
    ("shared_counter", "thread"): "thread: 1000 of 1000\n",
    ("shared_counter", "process"): "process: 1000 of 1000\n",
    ("shared_counter", "asyncio"): "asyncio: 1000 of 1000\n",
    ("shared_counter", "trio"): "trio: 1000 of 1000\n",
    ("append_csv", "process"): "process: 400 of 400 rows are whole, headers: 1\n",
    ("append_csv", "thread"): "thread: 400 of 400 rows are whole, headers: 1\n",
    ("read_await_write", "asyncio"): (
        "asyncio, no lock: 1 of 10\n"
        "asyncio, async: 10 of 10\n"
        "asyncio, thread: 10 of 10\n"
        "asyncio, process: 10 of 10\n"
    ),
    ("read_await_write", "trio"): (
        "trio, no lock: 1 of 10\n"
        "trio, async: 10 of 10\n"
        "trio, thread: 10 of 10\n"
        "trio, process: 10 of 10\n"
    ),
    ("log_lines", "thread"): "thread: 100 of 100 lines are whole\n",
    ("log_lines", "process"): "process: 100 of 100 lines are whole\n",
    ("log_lines", "asyncio"): "asyncio: 100 of 100 lines are whole\n",
    ("log_lines", "trio"): "trio: 100 of 100 lines are whole\n",
    ("refresh_once", "thread"): "thread: 20 callers, requests: 1\n",
    ("refresh_once", "asyncio"): "asyncio: 20 callers, requests: 1\n",
    ("refresh_once", "trio"): "trio: 20 callers, requests: 1\n",
    ("library_class", "async"): "async: 80 of 100 left\n",
    ("library_class", "thread"): "thread: 80 of 100 left\n",
    ("library_class", "process"): "process: 70 of 100 left\n",
    **{
        ("limit_requests", kind): f"{kind}: 5 workers, at most 2 requests at a time\n"
        for kind in ("thread", "process", "asyncio", "trio")
    },
    **{
        ("bounded_buffer", group): (
            f"{group}: {items} items came through, their sum is {sum_}\n"
        )
        for group, items, sum_ in (
            ("thread", 50, 1225),
            ("asyncio", 50, 1225),
            ("trio", 50, 1225),
            ("thread+asyncio", 100, 2450),
            ("thread+trio", 100, 2450),
        )
    },
    **{
        ("reload_settings", kind): f"{kind}: 3 reloads, torn settings: 0\n"
        for kind in ("thread", "asyncio", "trio")
    },
    ("walk_tree", "thread"): "thread: 60 of 60 walks found 100 bytes\n",
    **{
        ("walk_tree", library): "".join(
            f"{library}, {kind}: 60 of 60 walks found 100 bytes\n"
            for kind in ("async", "thread", "process")
        )
        for library in ("asyncio", "trio")
    },
}

both_libraries = pytest.mark.parametrize("library", [ASYNCIO, TRIO], ids=str)
with_and_without_lock = pytest.mark.parametrize("locked", [True, False])


def example(name: str) -> Any:
    """Import an example anew, so that a test may change it."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


class NoLock(nullcontext[None]):
    """Lets everybody in."""

    def hold(self, _timeout: float | None = None) -> NoLock:
        return self

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def no_lock(*_args: object, **_options: object) -> NoLock:
    """Stand in for make_lock."""
    return NoLock()


def run_alone(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


class Intruder:
    """Does something as soon as the lock lets him in."""

    def __init__(self, lock: Any, act: Callable[[], object]) -> None:
        self._lock = lock
        self._act = act
        self._done = False

    def look(self, *_args: object) -> None:
        """Act now, if that is possible and has not been done."""
        if not self._done and self._lock.try_acquire():
            self._done = True
            self._act()
            self._lock.release()


def test_every_example_is_listed() -> None:
    assert {name for name, _ in OUTPUTS} == {
        path.stem for path in EXAMPLES.glob("*.py")
    }


@pytest.mark.parametrize(("name", "kind"), OUTPUTS)
def test_example_by_itself(name: str, kind: str) -> None:
    if kind.endswith("trio"):
        require(TRIO)
    assert run_alone(str(EXAMPLES / f"{name}.py"), kind) == OUTPUTS[name, kind]


@pytest.mark.parametrize("name", sorted({name for name, _ in OUTPUTS}))
def test_example_by_default(name: str) -> None:
    kinds = [kind for known, kind in OUTPUTS if known == name and "trio" not in kind]
    lines = "".join(OUTPUTS[name, kind] for kind in kinds)
    assert run_alone(str(EXAMPLES / f"{name}.py")) == lines


def test_library_class_in_trio(capsys: pytest.CaptureFixture[str]) -> None:
    require(TRIO)
    example("library_class").main("async", "thread", library="trio")
    assert capsys.readouterr().out == "async: 80 of 100 left\nthread: 80 of 100 left\n"


@with_and_without_lock
def test_counter_of_threads(*, locked: bool) -> None:
    module = example("shared_counter")
    module.TIMES = 1
    counter = module.RawValue(module.c_int, 0)
    lock = make_lock("thread") if locked else NoLock()

    def intrude() -> None:
        counter.value += 1

    intruder = Intruder(lock, intrude)
    module.time = SimpleNamespace(sleep=intruder.look)
    module.count(lock, counter)
    intruder.look()
    assert counter.value == (2 if locked else 1)


@with_and_without_lock
@both_libraries
def test_counter_of_tasks(library: Backend, *, locked: bool) -> None:
    module = example("shared_counter")
    module.TIMES = 1
    counter = module.RawValue(module.c_int, 0)
    if not locked:
        module.make_lock = no_lock
    run(library, module.count_in_tasks, counter)
    assert counter.value == (module.WORKERS if locked else 1)


@with_and_without_lock
def test_rows_of_a_csv_file(tmp_path: Path, *, locked: bool) -> None:
    module = example("append_csv")
    path = tmp_path / "rows.csv"
    lock = make_lock("thread") if locked else NoLock()
    intruder = Intruder(lock, lambda: module.append(NoLock(), path, [1, 2, 1]))

    def fields() -> Iterator[int]:
        for field in (5, 6, 5):
            yield field
            intruder.look()

    module.append(lock, path, fields())
    intruder.look()
    assert module.whole_rows(path) == (2 if locked else 0)


@with_and_without_lock
def test_log_of_threads(tmp_path: Path, *, locked: bool) -> None:
    module = example("log_lines")
    module.LINES = 1
    path = tmp_path / "service.log"
    lock = make_lock("thread") if locked else NoLock()
    intruder = Intruder(lock, lambda: module.write(path, "".join(module.PIECES)))
    module.time = SimpleNamespace(sleep=intruder.look)
    module.log(lock, path)
    intruder.look()
    assert module.whole_lines(path) == (2 if locked else 0)


@with_and_without_lock
@both_libraries
def test_log_of_tasks(library: Backend, tmp_path: Path, *, locked: bool) -> None:
    module = example("log_lines")
    module.LINES = 1
    path = tmp_path / "service.log"
    if not locked:
        module.make_lock = no_lock
    run(library, module.log_from_tasks, path)
    assert module.whole_lines(path) == (module.WORKERS if locked else 0)


class Source:
    """Where a cache gets its values; counts how often."""

    def __init__(self) -> None:
        self.requests = 0

    def fetch(self) -> str:
        self.requests += 1
        return f"value {self.requests}"


@with_and_without_lock
def test_cache_of_threads_refreshes_once(*, locked: bool) -> None:
    source = Source()
    others: list[threading.Thread] = []

    def fetch() -> str:
        if not others:  # another thread comes while the first one refreshes
            others.append(threading.Thread(target=cache.get))
            others[0].start()
            if not locked:
                others[0].join()
        return source.fetch()

    cache = example("refresh_once").Cache(fetch)
    if not locked:
        cache.refreshing = NoLock()
    cache.get()
    others[0].join()
    assert source.requests == (1 if locked else 2)


@with_and_without_lock
@both_libraries
def test_cache_of_tasks_refreshes_once(library: Backend, *, locked: bool) -> None:
    source = Source()
    cache = example("refresh_once").Cache(source.fetch, kind="async")
    if not locked:
        cache.refreshing = NoLock()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(cache.get_in_task)

    run(library, main)
    assert source.requests == (1 if locked else 5)


def test_cache_keeps_a_value_for_its_time_to_live() -> None:
    now = 0.0
    source = Source()
    cache = example("refresh_once").Cache(
        source.fetch, time_to_live=10.0, clock=lambda: now
    )
    assert cache.get() == cache.get() == "value 1"
    now = 9.9
    assert cache.get() == "value 1"
    now = 10.0
    assert cache.get() == cache.get() == "value 2"


def test_cache_gives_impatient_threads_the_old_value() -> None:
    now = 0.0
    cache = example("refresh_once").Cache(Source().fetch, clock=lambda: now)
    with cache.refreshing, pytest.raises(LockTimeout):
        cache.get(patience=0)
    assert cache.get() == "value 1"
    now = 1000.0
    with cache.refreshing:
        assert cache.get(patience=0) == "value 1"
    assert cache.get(patience=0) == "value 2"


@both_libraries
def test_cache_gives_impatient_tasks_the_old_value(library: Backend) -> None:
    async def main() -> None:
        now = 0.0
        cache = example("refresh_once").Cache(
            Source().fetch, kind="async", clock=lambda: now
        )
        async with cache.refreshing:
            with pytest.raises(LockTimeout):
                await cache.get_in_task(patience=0)
        assert await cache.get_in_task() == "value 1"
        now = 1000.0
        async with cache.refreshing:
            assert await cache.get_in_task(patience=0) == "value 1"
        assert await cache.get_in_task(patience=0) == "value 2"

    run(library, main)


class WatchedPath:
    """A file; somebody looks whether he can intrude whenever it has been read."""

    name = "stock.txt"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.look: Callable[[], None] = lambda: None

    def read_text(self, **options: str) -> str:
        text = self._path.read_text(**options)
        self.look()
        return text

    def write_text(self, text: str, **options: str) -> None:
        self._path.write_text(text, **options)


@with_and_without_lock
@pytest.mark.parametrize("kind", ["thread", "process"])
def test_stock(kind: str, tmp_path: Path, *, locked: bool) -> None:
    path = tmp_path / "stock.txt"
    path.write_text("10", encoding="ascii")
    watched = WatchedPath(path)
    stock = example("library_class").Stock(watched, kind)
    if not locked:
        stock._lock = NoLock()
    lock = stock._lock

    def intrude() -> None:
        stock._lock = NoLock()  # he has the lock already
        stock.take(1)
        stock._lock = lock

    watched.look = Intruder(lock, intrude).look
    stock.take(1)
    watched.look()
    assert path.read_text(encoding="ascii") == ("8" if locked else "9")
