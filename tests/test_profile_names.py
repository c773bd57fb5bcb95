"""Where locks are made, as the profiler sees it, and what they are called."""

from __future__ import annotations

import _thread
import collections
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from anylock._profile.origin import is_standard
from staging import until

if TYPE_CHECKING:
    from anylock import debug

# To type checkers: they do not know what is tried here.
stdlib: Any = threading

pytest_plugins = ["profile_fixtures"]
pytestmark = pytest.mark.usefixtures("recording")


def record_of(lock: Any) -> debug.Record:
    record: debug.Record = lock._anylock
    return record


def name_of(lock: Any) -> str:
    return str(record_of(lock).name)


class Owner:
    def __init__(self) -> None:
        self.lock = stdlib.Lock()
        self.other: Any = stdlib.RLock()


def line() -> int:
    return sys._getframe(1).f_lineno


def test_names() -> None:
    at = line() + 1
    a = stdlib.Lock()
    assert name_of(a) == f"test_profile_names:{at} a"
    by_key = {}
    by_key["x"] = stdlib.Lock()
    many = [stdlib.Lock() for _ in range(2)]
    fallback = None or stdlib.Semaphore(2)
    passed = max([stdlib.RLock()], key=id)
    if walrus := stdlib.Lock():
        pass
    owner = Owner()

    @dataclass
    class Data:
        lock: Any = field(default_factory=stdlib.Lock)

    data = Data()
    made: dict[str, Any] = collections.defaultdict(stdlib.Lock)
    _ = Owner, made["x"]
    names = [
        name_of(each).partition(" ")[2]
        for each in (
            by_key["x"],
            many[1],
            fallback,
            passed,
            walrus,
            owner.lock,
            owner.other,
            data.lock,
            made["x"],
        )
    ]
    assert names == [
        'by_key["x"]',
        *("many", "fallback", "passed", "walrus"),
        *("self.lock", "self.other", "data", "_"),
    ]


def test_other_names() -> None:
    def variable(lock: Any) -> str:
        return name_of(lock).partition(" ")[2]

    one, other = stdlib.Lock(), stdlib.RLock()
    assert variable(one) == variable(other) == "one, other"
    assert variable(lock=stdlib.Lock()) == "lock"
    space: Any = type("", (), {})
    max(space, space, key=id).lock = stdlib.Lock()
    assert not variable(space.lock)
    assert not variable((stdlib.Lock(),)[0])


def test_code_that_has_no_file() -> None:
    made: dict[str, Any] = {}
    code = "import threading\nlock = threading.Lock()"
    exec(compile(code, "<mine>", "exec"), made)  # noqa: S102
    assert name_of(made["lock"]) == "?:2"
    made.clear()
    exec(code, made)  # noqa: S102
    assert record_of(made["lock"]).site.file == __file__


def test_nobody_calls_it() -> None:
    # A thread that begins in C. What goes wrong in it fails the test.
    _thread.start_new_thread(stdlib.Lock, ())
    lock = stdlib.Lock()
    _thread.start_new_thread(lock.acquire, ())
    until(lock.locked)
    _thread.start_new_thread(lock.release, ())
    until(lambda: not lock.locked())


def test_what_is_standard() -> None:
    assert is_standard(threading.__file__)
    assert is_standard("<frozen importlib._bootstrap>")
    assert not is_standard(__file__)
    assert not is_standard(pytest.__file__)
