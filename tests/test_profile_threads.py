"""Stand-ins for the locks of `threading`: whose they are, and what they tell."""

from __future__ import annotations

import _thread
import copy
import gc
import os
import pickle
import queue
import threading
import weakref
from abc import ABC
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from anylock import debug, make_lock
from anylock._profile import threads
from anylock.debug._actors import here
from anylock.debug._around import Debug
from children import in_child
from staging import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._profile.recording import Recording

# To type checkers: they do not know what is tried here.
stdlib: Any = threading

pytest_plugins = ["profile_fixtures"]
pytestmark = pytest.mark.usefixtures("recording")

NAMES = ("BoundedSemaphore", "Condition", "Lock", "RLock", "Semaphore")
REAL = {name: getattr(threading, name) for name in NAMES}
LOCKS = ("Lock", "RLock")
DERIVABLE = ("BoundedSemaphore", "Condition", "Semaphore")


def record_of(lock: Any) -> debug.Record:
    record: debug.Record = lock._anylock
    return record


def name_of(lock: Any) -> str:
    return str(record_of(lock).name)


def told(recording: Recording, lock: Any) -> list[str]:
    number = record_of(lock).number
    return [each.what for each in recording.events if each.lock.number == number]


# Whose they are.


@pytest.mark.parametrize("name", NAMES)
def test_the_program_has_stand_ins(name: str) -> None:
    made = getattr(threading, name)()
    assert type(made) is getattr(threads, name)
    assert record_of(made).family == name
    assert record_of(made).kind == "thread"


def test_the_standard_library_has_real_ones() -> None:
    of_library: list[Any] = [
        stdlib.Event()._cond,
        queue.Queue().not_empty,
        queue.Queue().mutex,
        stdlib.Barrier(1)._cond,
    ]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(int)
        of_library.append(future._condition)
        assert future.result() == 0
    for made in of_library:
        assert not hasattr(made, "_anylock")


def test_what_the_standard_library_makes_of_a_class_of_the_program() -> None:
    class Own(stdlib.Condition):  # type: ignore[misc]
        pass

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(Own).result()
    assert record_of(made).family == "Condition"
    assert record_of(made).site.module == "concurrent.futures.thread"


@pytest.mark.parametrize("name", NAMES)
def test_what_they_are(name: str) -> None:
    replaced = getattr(threading, name)
    made, real = replaced(), REAL[name]()
    assert isinstance(made, replaced)
    assert isinstance(real, replaced)
    assert not isinstance(object(), replaced)
    assert pickle.loads(pickle.dumps(replaced)) is replaced  # noqa: S301 - ours
    weakref.ref(made)
    assert repr(made).split(" at ")[0] == repr(real).split(" at ")[0]


def test_nothing_is_derived_from_locks() -> None:
    for base in (threading.Lock, type(threading.Lock())):
        with pytest.raises(TypeError, match="not an acceptable base"):
            type("Own", (base,), {})


@pytest.mark.parametrize("name", LOCKS)
def test_their_types(name: str) -> None:
    made, real = getattr(threading, name)(), REAL[name]()
    for one, other in ((made, real), (real, made), (made, made)):
        assert isinstance(one, type(other))
        assert one.__class__ is type(real)
    assert not isinstance(made, type(_thread.start_new_thread))


def test_what_is_derived_from_the_type_of_re_entrant_locks() -> None:
    type_of: Any = type
    base: Any = type_of(stdlib.RLock())

    class Own(base):  # type: ignore[misc]
        def __init__(self, text: str, *, number: int) -> None:
            self.given: Any = text, number

        def release(self) -> None:
            self.given = ()
            inside: Any = super()
            inside.release()

    own: Any = Own("text", number=1)
    assert own.given == ("text", 1)
    assert own.__class__ is type(own) is Own
    assert isinstance(own, type(stdlib.RLock()))
    assert not isinstance(stdlib.RLock(), Own)
    assert "test_profile_threads:" in name_of(own)
    with own, own:
        assert own._is_owned()
        own.acquire()
        own.release()
    assert own.given == ()
    assert not record_of(own).holds
    with stdlib.Condition(own) as condition:
        assert condition is not None


@pytest.mark.parametrize("name", DERIVABLE)
def test_what_is_derived_from_the_others(name: str) -> None:
    class Own(getattr(threading, name), ABC):  # type: ignore[misc]
        def acquire(self, *arguments: Any) -> Any:
            calls.append(arguments)
            inside: Any = super()
            return inside.acquire(*arguments)

    calls: list[Any] = []
    own: Any = Own()
    assert isinstance(own, getattr(threading, name))
    assert not isinstance(REAL[name](), Own)
    assert "test_profile_threads:" in name_of(own)
    if name != "Condition":
        assert own.acquire(True)
        own.release()
        with own:
            pass
        assert calls == [(True,)]


def test_what_others_put_in_the_place_of_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "_CRLock", None)  # as gevent does
    assert type(stdlib.RLock()) is stdlib._PyRLock
    monkeypatch.setattr(threading, "RLock", stdlib._PyRLock)  # as eventlet does
    condition = stdlib.Condition()
    assert record_of(condition)
    assert type(condition._lock) is stdlib._PyRLock


def test_arguments_that_are_wrong() -> None:
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: stdlib.Lock(1),
        lambda: stdlib.Lock(x=1),
        lambda: stdlib.Lock().acquire(False, 1),
        lambda: stdlib.Lock().acquire(timeout=-2),
        lambda: stdlib.Semaphore(-1),
        lambda: stdlib.Condition(1, 2),
    )
    for wrong in wrongs:
        with pytest.raises((TypeError, ValueError)):
            wrong()


@pytest.mark.parametrize("name", LOCKS)
def test_they_cannot_be_copied(name: str) -> None:
    made = getattr(threading, name)()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle"):
            way(made)


# What they tell.


@pytest.mark.parametrize("name", ["BoundedSemaphore", "Lock", "RLock", "Semaphore"])
def test_what_they_tell(name: str, recording: Recording) -> None:
    lock: Any = getattr(threading, name)()
    with lock:
        pass
    assert lock.acquire()
    lock.release()
    assert lock.acquire(False)
    lock.release()
    assert lock.acquire(timeout=PATIENCE)
    lock.release()
    assert told(recording, lock) == ["got", "released"] * 4
    assert [str(each.actor) for each in recording.events] == ["thread 'MainThread'"] * 8


@pytest.mark.parametrize("name", ["BoundedSemaphore", "Lock", "RLock", "Semaphore"])
def test_waits(name: str, recording: Recording) -> None:
    lock: Any = getattr(threading, name)()
    lock.acquire()

    def wait() -> None:
        assert not lock.acquire(False)
        assert not lock.acquire(timeout=0.001)
        with lock:
            pass

    thread = threading.Thread(target=wait, name="waiting")
    thread.start()
    until(lambda: len(recording.events) == 4)
    until(lambda: bool(record_of(lock).waits))
    lock.release()
    thread.join(PATIENCE)
    assert told(recording, lock) == [
        *("got", "waits", "timed out", "waits"),
        *("released", "got", "released"),
    ]
    assert recording.events[1].actor.name == "waiting"


def test_old_names() -> None:
    lock: Any = stdlib.Lock()
    assert lock.acquire_lock()
    assert lock.locked_lock()
    lock.release_lock()
    assert not lock.locked()


def test_errors_of_release(recording: Recording) -> None:
    for made in (stdlib.Lock(), stdlib.RLock(), stdlib.BoundedSemaphore()):
        with pytest.raises((RuntimeError, ValueError)):
            made.release()
        with pytest.raises((RuntimeError, ValueError)):
            made.__exit__(None, None, None)
        assert not told(recording, made)
    rlock: Any = stdlib.RLock()
    with pytest.raises(RuntimeError):
        rlock._release_save()


def test_a_number_of_permits_that_is_none(recording: Recording) -> None:
    permits = stdlib.Semaphore()
    with pytest.raises(TypeError):
        permits.release("2")
    assert not recording.events


def test_somebody_else_s() -> None:
    rlock = stdlib.RLock()
    errors: list[Any] = []
    with rlock:
        thread = threading.Thread(target=lambda: errors.append(error_of(rlock.release)))
        thread.start()
        thread.join(PATIENCE)
        assert type(errors[0]) is RuntimeError
        assert record_of(rlock).owner
    assert not record_of(rlock).owner


def error_of(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except RuntimeError as error:
        return error
    return None


@pytest.mark.parametrize("of", ["nothing", "Lock", "RLock"])
def test_conditions(of: str, recording: Recording) -> None:
    make: Any = getattr(threading, of, lambda: None)
    condition = stdlib.Condition(make())
    lock: Any = condition._lock
    ready: list[int] = []

    def wait() -> None:
        with condition:
            assert condition.wait_for(lambda: bool(ready), PATIENCE)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(record_of(condition).waits))
    with condition:
        ready.append(1)
        condition.notify_all()
    thread.join(PATIENCE)
    assert told(recording, condition) == ["waits", "got"]
    if hasattr(lock, "_anylock"):
        assert told(recording, lock).count("got") == 3
    with condition:
        assert not condition.wait(0.001)
    assert told(recording, condition)[2:] == ["waits", "timed out"]


def test_a_condition_and_its_lock_are_made_at_one_place() -> None:
    condition = stdlib.Condition()
    of_lock = record_of(condition._lock)
    assert of_lock.site == record_of(condition).site
    assert of_lock.family == "RLock"


def test_a_condition_gives_up_all_that_it_has_entered() -> None:
    condition = stdlib.Condition()
    lock: Any = condition._lock
    with condition, condition:
        assert not condition.wait(0.001)
        owner = record_of(lock).owner
        assert owner is not None
        assert owner.depth == 2
        assert lock._is_owned()
    assert not record_of(lock).holds


# What they leave behind.


@pytest.mark.parametrize("name", NAMES)
def test_they_go_when_they_would_have_gone(name: str) -> None:
    gc.disable()
    try:
        made = getattr(threading, name)()
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore"])
def test_one_that_is_gone_while_it_is_held(name: str) -> None:
    me = here()
    before = me.holds | me.permits
    made = getattr(threading, name)()
    made.acquire()
    assert me.holds | me.permits != before
    del made
    assert me.holds | me.permits == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
@pytest.mark.parametrize("name", LOCKS)
def test_after_fork(name: str) -> None:
    lock: Any = getattr(threading, name)()
    lock.acquire()

    def child() -> None:
        lock._at_fork_reinit()
        assert not record_of(lock).holds
        assert lock.acquire(False)

    in_child(child)


def test_locks_of_anylock_are_debug_ones() -> None:
    assert isinstance(make_lock("thread"), Debug)
