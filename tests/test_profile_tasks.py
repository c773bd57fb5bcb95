"""Stand-ins for the locks of asyncio: what they are, and what they tell."""

from __future__ import annotations

import asyncio
import asyncio.locks
import copy
import gc
import pickle
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from anylock._profile import tasks
from staging import until_in_task

if TYPE_CHECKING:
    from anylock import debug
    from anylock._profile.recording import Recording

pytest_plugins = ["profile_fixtures"]
pytestmark = pytest.mark.usefixtures("recording")

NAMES = ("BoundedSemaphore", "Condition", "Lock", "Semaphore")
REAL = {name: getattr(asyncio, name) for name in NAMES}

# To type checkers: they do not know what is tried here.
stdlib: Any = asyncio


def record_of(lock: Any) -> debug.Record:
    record: debug.Record = lock._anylock
    return record


def told(recording: Recording, lock: Any) -> list[str]:
    number = record_of(lock).number
    return [each.what for each in recording.events if each.lock.number == number]


@pytest.mark.parametrize("name", NAMES)
def test_what_they_are(name: str) -> None:
    replaced = getattr(asyncio, name)
    assert replaced is getattr(asyncio.locks, name) is getattr(tasks, name)
    made, real = replaced(), REAL[name]()
    assert isinstance(made, REAL[name])
    assert isinstance(real, replaced)
    assert record_of(made).family == name
    assert record_of(made).kind == "async"
    assert pickle.loads(pickle.dumps(replaced)) is replaced  # noqa: S301 - ours
    assert repr(made).split(" at ")[0] == repr(real).split(" at ")[0]


@pytest.mark.skipif(not hasattr(asyncio, "Barrier"), reason="it is new in 3.11")
def test_the_standard_library_has_real_ones() -> None:
    assert not hasattr(stdlib.Barrier(1)._cond, "_anylock")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["copy", "pickle"])
def test_copies(name: str, way: str) -> None:
    original = getattr(asyncio, name)()
    if way == "copy":
        made = copy.deepcopy(original)
    else:
        made = pickle.loads(pickle.dumps(original))  # noqa: S301 - ours
    assert record_of(made).number != record_of(original).number

    async def main() -> None:
        async with made:
            assert made.locked()
            assert not original.locked()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["BoundedSemaphore", "Lock", "Semaphore"])
def test_what_they_tell(name: str, recording: Recording) -> None:
    async def main() -> None:
        lock = getattr(asyncio, name)()
        assert await lock.acquire() is True

        async def wait() -> None:
            async with lock:
                assert lock.locked()

        waiting = asyncio.create_task(wait(), name="waiting")
        given_up = asyncio.create_task(wait())
        await until_in_task(lambda: len(record_of(lock).waits) == 2)
        given_up.cancel()
        await asyncio.wait([given_up])
        lock.release()
        await waiting
        assert told(recording, lock) == [
            *("got", "waits", "waits", "cancelled"),
            *("released", "got", "released"),
        ]
        assert str(recording.events[-1].actor).startswith("task 'waiting'")

    asyncio.run(main())


def test_release_of_what_nobody_holds(recording: Recording) -> None:
    lock = asyncio.Lock()
    with pytest.raises(RuntimeError):
        lock.release()
    bounded = asyncio.BoundedSemaphore()
    with pytest.raises(ValueError, match="released too many"):
        bounded.release()
    assert not recording.events


def test_wait_for(recording: Recording) -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await asyncio.wait_for(lock.acquire(), 10)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock.acquire(), 0.001)
        lock.release()
        assert told(recording, lock) == ["got", "waits", "cancelled", "released"]

    asyncio.run(main())


def test_conditions(recording: Recording) -> None:
    async def main() -> None:
        condition = stdlib.Condition()
        of_lock = record_of(condition._lock)
        assert of_lock.site == record_of(condition).site

        async def wait() -> None:
            async with condition:
                assert await condition.wait() is True

        waiting = asyncio.create_task(wait())
        await until_in_task(lambda: bool(record_of(condition).waits))
        async with condition:
            condition.notify()
        await waiting
        assert told(recording, condition) == ["waits", "got"]

    asyncio.run(main())


def test_the_lock_of_a_condition() -> None:
    lock = asyncio.Lock()
    assert stdlib.Condition(lock)._lock is lock


def test_what_is_derived_from_them(recording: Recording) -> None:
    class Own(stdlib.Lock):  # type: ignore[misc]
        async def acquire(self) -> Any:
            self.asked = True
            inside: Any = super()
            return await inside.acquire()

    async def main() -> None:
        own: Any = Own()
        async with own:
            assert own.asked
        assert told(recording, own) == ["got", "released"]

    asyncio.run(main())


@pytest.mark.parametrize("name", NAMES)
def test_they_go_when_they_would_have_gone(name: str) -> None:
    gc.disable()
    try:
        made = getattr(asyncio, name)()
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()
