"""Timeouts: the one rule of the portable surface."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import example, given
from hypothesis import strategies as st

import staging
from anylock import Lock, LockTimeout, ProcessLock, ThreadLock, make_lock, synchronized
from anylock._hold import seconds
from backends import Backend, run

if TYPE_CHECKING:
    from collections.abc import Generator

inf = math.inf
nan = math.nan


class Seconds:
    """A number of some library: it converts itself to float."""

    def __init__(self, value: float) -> None:
        self._value = float(value)

    def __float__(self) -> float:
        return self._value

    def __repr__(self) -> str:
        return f"Seconds({self._value})"


TOO_LARGE: tuple[Any, ...] = (1e12, 1e300, 2**63, 10**400, Decimal("1e400"))
GOOD: tuple[Any, ...] = (
    *(None, 0, 0.0, -0.0, 1e-300, 5e-324, 1, 0.5, 2**31),
    *(Decimal("0.5"), Fraction(1, 3), Seconds(2), inf, Decimal("Infinity"), *TOO_LARGE),
)
WRONG_VALUES: tuple[Any, ...] = (
    *(-1, -1.0, -0.5, -5e-324, -inf, nan, -(10**400)),
    *(Decimal(-1), Decimal("NaN"), Fraction(-1, 3), Seconds(-1), Seconds(nan)),
)
WRONG_TYPES: tuple[Any, ...] = (
    *("1", "", b"1", True, False, 1j, [], [1], (1,), {}, object(), ThreadLock, ...),
)


def short(value: object) -> str:
    """Name a test by its argument, which may be a number of 400 digits."""
    return getattr(value, "__name__", repr(value))[:20]


any_good = pytest.mark.parametrize("timeout", GOOD, ids=short)
any_wrong = pytest.mark.parametrize(
    ("timeout", "error"),
    [
        *((wrong, ValueError) for wrong in WRONG_VALUES),
        *((wrong, TypeError) for wrong in WRONG_TYPES),
    ],
    ids=short,
)


@given(st.floats())
@example(0.0)
@example(-0.0)
@example(threading.TIMEOUT_MAX)
@example(math.nextafter(threading.TIMEOUT_MAX, inf))
def test_every_float(timeout: float) -> None:
    if math.isnan(timeout) or timeout < 0:
        with pytest.raises(ValueError, match="negative or NaN"):
            seconds(timeout)
    elif timeout == inf:
        assert seconds(timeout) is None
    else:
        assert seconds(timeout) == min(timeout, threading.TIMEOUT_MAX)


@given(st.integers())
@example(2**63)
@example(2**1024)
@example(10**400)
@example(-(10**400))
def test_every_integer(timeout: int) -> None:
    if timeout < 0:
        with pytest.raises(ValueError, match="negative or NaN"):
            seconds(timeout)
    else:
        wait = seconds(timeout)
        assert type(wait) is float
        assert wait == min(timeout, threading.TIMEOUT_MAX)


numbers: Any = (
    st.floats(min_value=0)
    | st.integers(min_value=0)
    | st.decimals(min_value=0, allow_nan=False)
    | st.fractions(min_value=0)
)


@given(numbers)
def test_the_platform_can_wait_for_every_result(timeout: Any) -> None:
    wait = seconds(timeout)
    assert threading.Lock().acquire(timeout=-1 if wait is None else wait)
    assert wait is None or type(wait) is float


@given(numbers)
def test_the_rule_is_idempotent_and_keeps_the_order(timeout: Any) -> None:
    wait = seconds(timeout)
    assert seconds(wait) == wait
    more: Any = inf if wait is None else Fraction(timeout) + 1
    longer = seconds(more)
    assert longer is None or wait is None or longer >= wait


@given(
    st.text()
    | st.binary()
    | st.booleans()
    | st.complex_numbers()
    | st.lists(st.floats())
    | st.dates()
    | st.timedeltas()
)
@example("1.5")
@example(True)
def test_whatever_is_no_number(timeout: Any) -> None:
    with pytest.raises(TypeError, match="must be a number of seconds") as info:
        seconds(timeout)
    assert repr(timeout) in str(info.value)
    assert "None to wait for ever" in str(info.value)


@given(st.sampled_from(WRONG_VALUES))
def test_the_message_says_what_to_pass(timeout: Any) -> None:
    with pytest.raises(ValueError, match="None to wait for ever, 0 to try once"):
        seconds(timeout)


# hold(), of each kind


@any_wrong
def test_hold_refuses_at_once(lock: Lock, timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout must"):
        lock.hold(timeout)
    with pytest.raises(error, match="timeout must"):
        lock.hold(timeout=timeout)
    assert not lock.locked()


@any_wrong
def test_synchronized_refuses_at_once(
    lock: Lock, timeout: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="timeout must"):
        synchronized(lock, timeout=timeout)


@any_good
def test_hold_of_a_free_lock(kind: str, timeout: Any) -> None:
    lock = make_lock(kind)

    async def in_task() -> None:
        async with lock.hold(timeout):
            assert lock.locked()

    asyncio.run(in_task())
    assert not lock.locked()
    if kind != "async":
        with lock.hold(timeout):
            assert lock.locked()
    assert not lock.locked()


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, 1e-300, 5e-324, Decimal(0)])
def test_next_to_no_time_in_tasks(kind: str, timeout: Any, backend: Backend) -> None:
    lock = make_lock(kind, name="inventory")

    async def main() -> None:
        async with lock:
            with pytest.raises(LockTimeout) as info:
                async with lock.hold(timeout):
                    pytest.fail("two tasks in the lock")
            assert info.value.timeout == float(timeout)
        async with lock.hold(timeout):
            pass

    run(backend, main)
    assert not lock.locked()


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, 1e-300, 5e-324, Decimal(0)])
@pytest.mark.parametrize("kind", ["process", "thread"])
def test_next_to_no_time_in_threads(kind: str, timeout: Any) -> None:
    lock = make_lock(kind, name="inventory")
    with lock:
        with pytest.raises(LockTimeout) as info, lock.hold(timeout):
            pytest.fail("two threads in the lock")
        assert info.value.timeout == float(timeout)
        assert lock.locked()
    with lock.hold(timeout):
        pass


@pytest.mark.parametrize("timeout", [inf, *TOO_LARGE], ids=short)
def test_a_long_time_in_tasks(kind: str, timeout: Any, backend: Backend) -> None:
    lock = make_lock(kind)

    async def wait() -> None:
        async with lock.hold(timeout):
            assert lock.locked()

    async def main() -> None:
        async with anyio.create_task_group() as tasks, lock:
            tasks.start_soon(wait)
            for _ in range(5):  # more than enough for it to queue
                await anyio.lowlevel.checkpoint()

    run(backend, main)
    assert not lock.locked()


@pytest.mark.parametrize("timeout", [inf, *TOO_LARGE], ids=short)
@pytest.mark.parametrize("kind", ["process", "thread"])
@pytest.mark.parametrize("by_task", [False, True], ids=["native", "careful"])
def test_a_long_time_in_threads(kind: str, timeout: Any, *, by_task: bool) -> None:
    lock: Any = make_lock(kind)
    errors: list[BaseException] = []
    entered = threading.Event()

    def wait() -> None:
        try:
            with lock.hold(timeout):
                entered.set()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    thread = threading.Thread(target=wait)
    with held_by_task(lock) if by_task else lock:
        thread.start()
        # In the semaphore a time that is too large fails only when it has to wait.
        staging.until(lambda: waits(thread) or not thread.is_alive())
        assert not entered.is_set()
    thread.join()
    assert errors == []
    assert entered.is_set()


def waits(thread: threading.Thread) -> bool:
    """Say whether a thread has arrived in code of ours, from where it waits."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and "anylock" in Path(frame.f_code.co_filename).parts


@contextmanager
def held_by_task(lock: ProcessLock | ThreadLock) -> Generator[None]:
    """Hold the lock in a task of another thread's event loop."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(lock):
        yield


# AsyncLock.acquire, whose timeout is its own


@any_wrong
def test_acquire_of_the_async_kind_refuses(
    timeout: Any, error: type[Exception]
) -> None:
    lock = make_lock("async")

    async def main() -> None:
        with pytest.raises(error, match="timeout must"):
            await lock.acquire(True, timeout)
        with pytest.raises(error, match="timeout must"):
            await lock.acquire(timeout=timeout)
        assert not lock.locked()

    asyncio.run(main())


@any_good
def test_acquire_of_the_async_kind(timeout: Any) -> None:
    lock = make_lock("async")

    async def main() -> None:
        assert await lock.acquire(timeout=timeout) is True
        assert await lock.acquire(timeout=0) is False
        assert await lock.acquire(blocking=False) is False
        assert await lock.acquire(False) is False
        lock.release()
        assert await lock.acquire(blocking=False) is True

    asyncio.run(main())


@pytest.mark.parametrize("timeout", [0, 1.0, -1, inf])
def test_a_timeout_for_who_does_not_wait(timeout: float) -> None:
    lock = make_lock("async")

    async def main() -> None:
        with pytest.raises(ValueError, match="leave out the timeout"):
            await lock.acquire(blocking=False, timeout=timeout)
        assert not lock.locked()

    asyncio.run(main())
