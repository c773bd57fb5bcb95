"""Stand-ins for the locks of `multiprocessing`, and what becomes of them elsewhere."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any

import pytest

from children import in_child
from profiled import locks_of, plain, profiled, told, write
from staging import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

    from anylock import debug
    from anylock._profile.recording import Recording

pytest_plugins = ["profile_fixtures"]

NAMES = ("BoundedSemaphore", "Condition", "Lock", "RLock", "Semaphore")

# To type checkers: they do not know what is tried here.
stdlib: Any = multiprocessing


def record_of(lock: Any) -> debug.Record:
    record: debug.Record = lock._anylock
    return record


def events_of(recording: Recording, lock: Any) -> list[str]:
    number = record_of(lock).number
    return [each.what for each in recording.events if each.lock.number == number]


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("name", NAMES)
def test_what_they_are(name: str, start_method: str) -> None:
    from anylock._profile import processes

    context = multiprocessing.get_context(start_method)
    for made in (getattr(context, name)(), getattr(multiprocessing, name)()):
        assert type(made) is getattr(processes, name)
        assert isinstance(made, getattr(synchronize, name))
        assert record_of(made).family == name
        assert record_of(made).name == "test_profile_processes:48"


@pytest.mark.usefixtures("recording")
def test_the_standard_library_has_real_ones() -> None:
    for made in (
        stdlib.Queue()._rlock,
        stdlib.SimpleQueue()._rlock,
        stdlib.Value("i").get_lock(),
        stdlib.Event()._cond,
        stdlib.Condition()._sleeping_count,
    ):
        assert not hasattr(made, "_anylock")


@pytest.mark.parametrize("name", ["BoundedSemaphore", "Lock", "RLock", "Semaphore"])
def test_what_they_tell(name: str, recording: Recording) -> None:
    lock = getattr(multiprocessing, name)()
    with lock:
        pass
    assert lock.acquire()

    def wait() -> None:
        assert not lock.acquire(False)
        assert not lock.acquire(timeout=0.001)
        with lock:
            pass

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: len(recording.events) == 6)
    until(lambda: bool(record_of(lock).waits))
    lock.release()
    thread.join(PATIENCE)
    assert events_of(recording, lock) == [
        *("got", "released", "got", "waits", "timed out", "waits"),
        *("released", "got", "released"),
    ]


def test_errors_of_release(recording: Recording) -> None:
    for name in ("BoundedSemaphore", "Lock", "RLock"):
        made = getattr(multiprocessing, name)()
        with pytest.raises((AssertionError, ValueError)):
            made.release()
        with pytest.raises((AssertionError, ValueError)):
            made.__exit__(None, None, None)
    assert not recording.events


def test_conditions(recording: Recording) -> None:
    condition = stdlib.Condition()
    lock: Any = condition._lock
    assert record_of(lock).site == record_of(condition).site

    def wait() -> None:
        with condition, condition:
            assert condition.wait(PATIENCE)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(record_of(condition).waits))
    with condition:
        condition.notify()
    thread.join(PATIENCE)
    with condition:
        assert not condition.wait(0.001)
    assert events_of(recording, condition) == ["waits", "got", "waits", "timed out"]
    own = multiprocessing.Condition(multiprocessing.Lock())
    with own:
        assert not own.wait(0.001)


@pytest.mark.usefixtures("recording")
def test_they_are_sent_to_children_only() -> None:
    for name in NAMES:
        with pytest.raises(RuntimeError, match="inheritance"):
            pickle.dumps(getattr(multiprocessing, name)())


CHILDREN = """
    import multiprocessing, os, sys

    def work(lock, condition, queue):
        assert type(lock).__module__ == "multiprocessing.synchronize" or forked, lock
        with lock:
            queue.put("work")
        with condition:
            condition.notify()

    forked = sys.argv[1] == "fork"

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        lock, condition = context.Lock(), context.Condition()
        queue = context.Queue()
        child = context.Process(target=work, args=(lock, condition, queue))
        with condition:
            child.start()
            assert queue.get() == "work"
            assert condition.wait(30)
        child.join()
        assert child.exitcode == 0
        pool = context.Pool(2)
        print(pool.map(abs, [-1, 2]))
        pool.close()
        pool.join()
        with context.Manager() as manager:
            shared = manager.Lock()
            with shared:
                print(type(shared).__name__)
        print("end")
    """


def test_children(start_method: str, tmp_path: Path) -> None:
    write(tmp_path, app=CHILDREN)
    done = profiled(tmp_path, "app.py", start_method)
    assert done[:3] == plain(tmp_path, "app.py", start_method)[:3]
    assert done.report.count("locks from") == 1
    assert "app:15 lock, condition" in done.report


OWN_CLASS = """
    import multiprocessing, sys
    from dataclasses import dataclass

    @dataclass
    class Thing:
        number: int

    def begin(given):
        global lock
        lock = given

    def twice(thing):
        with lock:
            return Thing(2 * thing.number)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        pool = context.Pool(2, begin, [context.Lock()])
        print(pool.map(twice, [Thing(1), Thing(2)]))
        pool.close()
        pool.join()
    """


def test_classes_of_the_program_come_back(start_method: str, tmp_path: Path) -> None:
    write(tmp_path, app=OWN_CLASS)
    done = profiled(tmp_path, "app.py", start_method)
    assert done[:3] == plain(tmp_path, "app.py", start_method)[:3]
    assert done.out == "[Thing(number=2), Thing(number=4)]\n"


def test_pools_of_concurrent_futures(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
        from concurrent.futures import ProcessPoolExecutor
        if __name__ == "__main__":
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(abs, [-1, 2])))
        """,
    )
    assert profiled(tmp_path, "app.py")[:3] == plain(tmp_path, "app.py")[:3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
def test_a_forked_child_that_goes_on_as_the_program_does(tmp_path: Path) -> None:
    report = told(
        tmp_path,
        """
        import os, threading
        lock = threading.Lock()
        child = os.fork()
        with lock:
            pass
        other = threading.Lock()
        if child == 0:
            assert type(other).__module__ == "_thread"
            with lock, other:
                pass
        else:
            assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert locks_of(report)["app:3 lock Lock"]["acquisitions"] == 1
    assert "app:7 other Lock" in locks_of(report)


@pytest.mark.usefixtures("recording")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
def test_a_lock_that_a_forked_child_shares() -> None:
    lock = multiprocessing.get_context("fork").Lock()
    with lock:
        in_child(lambda: refused(lock))


def refused(lock: Any) -> None:
    assert not record_of(lock).holds
    assert not lock.acquire(False)
