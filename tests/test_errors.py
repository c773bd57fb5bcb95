"""The errors: what catches them, what they carry, and what they say."""

from __future__ import annotations

import asyncio
import copy
import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from anylock import (
    LockError,
    LockNotHeldError,
    LockTimeout,
    SemaphoreOverReleased,
    WouldDeadlock,
    WrongEventLoop,
    make_lock,
)

ERRORS: list[LockError] = [
    LockError("something is wrong"),
    LockTimeout(2.5),
    LockTimeout(0.0, "inventory"),
    LockNotHeldError(),
    LockNotHeldError("inventory"),
    SemaphoreOverReleased(3),
    SemaphoreOverReleased(3, "inventory"),
    WouldDeadlock("this task holds it", "release it first"),
    WouldDeadlock("this task holds it", "release it first", "inventory"),
    WrongEventLoop("is used elsewhere", "share a thread lock"),
    WrongEventLoop("is used elsewhere", "share a thread lock", "inventory"),
]

each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)


def data(error: LockError) -> dict[str, object]:
    return {k: v for k, v in vars(error).items() if not k.startswith("_")}


class Own(LockTimeout):
    """What a user may derive."""


@pytest.mark.parametrize(
    ("error", "builtins"),
    [
        (LockError, {Exception}),
        (LockTimeout, {TimeoutError, OSError}),
        (LockNotHeldError, {RuntimeError, ValueError}),
        (SemaphoreOverReleased, {ValueError}),
        (WouldDeadlock, {RuntimeError}),
        (WrongEventLoop, {RuntimeError}),
    ],
)
def test_what_catches_them(error: type[LockError], builtins: set[type]) -> None:
    caught_by = set(error.__mro__) - {error, LockError, Exception, BaseException}
    assert issubclass(error, LockError)
    assert caught_by - {object} == builtins - {Exception}


def test_code_for_any_standard_lock_catches_them() -> None:
    lock = make_lock("async", name="inventory")
    for caught in RuntimeError, ValueError, LockNotHeldError, LockError:
        with pytest.raises(caught, match="'inventory' is not held"):
            lock.release()


@each_error
def test_the_family_is_one(error: LockError) -> None:
    assert isinstance(error, LockError)


def test_data_of_a_timeout() -> None:
    assert data(LockTimeout(2.5)) == {"timeout": 2.5, "lock_name": None}
    error = LockTimeout(timeout=0.0, lock_name="inventory")
    assert data(error) == {"timeout": 0.0, "lock_name": "inventory"}
    # It is an OSError by way of TimeoutError, but none of the operating system.
    assert error.errno is None
    assert error.strerror is None
    assert error.filename is None


def test_data_of_a_release() -> None:
    assert data(LockNotHeldError()) == {"lock_name": None}
    assert data(LockNotHeldError(lock_name="inventory")) == {"lock_name": "inventory"}


def test_data_of_a_release_too_many() -> None:
    error = SemaphoreOverReleased(3, lock_name="inventory")
    assert data(error) == {"bound": 3, "lock_name": "inventory"}


@pytest.mark.parametrize("error", [WouldDeadlock, WrongEventLoop])
def test_data_of_the_wrong_place(
    error: type[WouldDeadlock | WrongEventLoop],
) -> None:
    assert data(error("why", "what", "inventory")) == {
        "reason": "why",
        "advice": "what",
        "lock_name": "inventory",
    }
    assert error("why", "what").lock_name is None


@each_error
def test_the_message_is_one_sentence_that_names_the_lock(error: LockError) -> None:
    message = str(error)
    assert error.args == (message,)
    assert "\n" not in message
    assert not message.endswith(".")
    if "lock_name" in data(error):
        name = data(error)["lock_name"]
        assert (" 'inventory' " in message) == (name == "inventory")
        assert "None" not in message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LockTimeout(2.5), "within 2.5 s"),
        (LockTimeout(0.0), "within 0 s"),
        (LockTimeout(1e-6), "within 1e-06 s"),
        (LockTimeout(2.5), "allow more time, or shorten the critical section"),
        (LockNotHeldError(), "release it once, after an acquire that succeeded"),
        (LockNotHeldError(), "'with' and 'async with' do so by themselves"),
        (SemaphoreOverReleased(1), "cannot have more than its 1 permit:"),
        (SemaphoreOverReleased(3), "cannot have more than its 3 permits:"),
        (SemaphoreOverReleased(3), "release it once for each acquire"),
        (WouldDeadlock("WHY", "WHAT"), "would never end: WHY; WHAT"),
        (WrongEventLoop("WHY", "WHAT"), "the lock WHY; WHAT"),
    ],
)
def test_the_message_says_what_to_do(error: LockError, said: str) -> None:
    assert said in str(error)


def assert_alike(copied: LockError, error: LockError) -> None:
    assert copied is not error
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert copied.args == error.args
    assert data(copied) == data(error)


@each_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(error: LockError, protocol: int) -> None:
    copied = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
    assert_alike(copied, error)
    again = pickle.loads(pickle.dumps(copied, protocol))  # noqa: S301 - our own bytes
    assert_alike(again, error)


@each_error
def test_copying(error: LockError) -> None:
    assert_alike(copy.copy(error), error)
    assert_alike(copy.deepcopy(error), error)


def test_pickling_a_class_of_ones_own() -> None:
    error = Own(1.0, "mine")
    assert_alike(pickle.loads(pickle.dumps(error)), error)  # noqa: S301 - our own bytes


@each_error
def test_a_copy_keeps_what_was_added(error: LockError) -> None:
    # As every builtin error does: notes (Python 3.11) are kept in such an attribute.
    added = copy.copy(error)
    added.__dict__["__notes__"] = ["while counting words"]
    copied = pickle.loads(pickle.dumps(added))  # noqa: S301 - our own bytes
    assert_alike(copied, added)
    assert vars(copied)["__notes__"] == ["while counting words"]


def fail_in_child() -> None:
    """Raise from below a `with`, as a worker would."""
    lock = make_lock("thread", name="inventory")
    with lock, lock.hold(timeout=0):
        pass


def test_errors_come_home_from_other_processes() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(LockTimeout, match="'inventory' was not free") as info,
    ):
        pool.submit(fail_in_child).result()
    assert data(info.value) == {"timeout": 0.0, "lock_name": "inventory"}
    # And the executor's own addition, the traceback in the child, is still there.
    shown = "".join(traceback.format_exception(info.value))
    assert "in fail_in_child" in shown


# What each lock really raises


def test_a_timeout_carries_what_was_asked_for(kind: str) -> None:
    lock = make_lock(kind, name="inventory")

    async def in_task() -> None:
        async with lock, lock.hold(timeout=0):
            pass

    with pytest.raises(LockTimeout) as info:
        asyncio.run(in_task())
    assert data(info.value) == {"timeout": 0.0, "lock_name": "inventory"}
    assert not lock.locked()


def test_release_of_a_free_lock(kind: str) -> None:
    lock = make_lock(kind)
    # Where no Python code of ours runs, the standard lock's own error stays.
    own = {"async": LockNotHeldError, "process": ValueError, "thread": RuntimeError}
    with pytest.raises(own[kind]):
        lock.release()
    assert lock.try_acquire()
    lock.release()


def test_leaving_a_lock_that_no_task_entered(kind: str) -> None:
    lock = make_lock(kind, name="inventory")

    async def leave() -> None:
        await lock.__aexit__(None, None, None)

    with pytest.raises(LockNotHeldError, match="'inventory' is not held"):
        asyncio.run(leave())


def test_release_twice_after_a_task_came_in(kind: str) -> None:
    lock = make_lock(kind)

    async def use() -> None:
        async with lock:
            lock.release()
            with pytest.raises((RuntimeError, ValueError)):
                lock.release()
            assert lock.try_acquire()
            assert lock.locked()
            lock.release()
            await lock.__aenter__()

    asyncio.run(use())
    assert not lock.locked()
