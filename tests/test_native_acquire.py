"""acquire() of the thread and process kinds: the standard library's own, to the letter.

Each way to call it is compared with the standard lock's, on a free lock, on a taken
one, and while a task holds it, when Python code of ours takes the arguments.
"""

from __future__ import annotations

import math
import multiprocessing
import threading
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal

from anylock import ProcessLock, ThreadLock, make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

inf = math.inf
nan = math.nan


@contextmanager
def held_by_task(lock: ProcessLock | ThreadLock) -> Generator[None]:
    """Hold the lock in a task of another thread's event loop."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(lock):
        yield


class Arguments:
    """What is passed to acquire()."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        shown = [repr(arg)[:20] for arg in self.args]
        return ", ".join(shown + [f"{k}={v!r}" for k, v in self.kwargs.items()])

    def passed_to(self, acquire: Callable[..., object]) -> object:
        """Return what comes of it, in a form that can be compared."""
        try:
            return acquire(*self.args, **self.kwargs)
        except TypeError:
            return TypeError  # each Python words that in its own way
        except (ValueError, OverflowError, OSError) as error:
            return repr(error)


_ = Arguments
FOR_EVER = (_(), _(True), _(1), _(2**70), _("yes"), _(1.5), _([0]))
THREADING = (
    *(_(False), _(0), _(None), _(True, 0), _(True, 0.0), _(True, -0.0), _(True, 1e-9)),
    *(_(True, False), _(True, -2), _(True, -0.5), _(True, -1e-12), _(True, nan)),
    *(_(True, inf), _(True, -inf), _(True, 1e12), _(True, 2**70), _(True, "x")),
    *(_(True, None), _(True, Decimal(0)), _(True, Fraction(0)), _(True, 0, 0)),
    *(_(False, -1), _(False, -1.0), _(False, 0), _(False, 1), _(False, -2)),
    *(_(False, nan), _(False, None), _(False, "x"), _(False, inf), _(0, 2**70)),
    *(_(blocking=False), _(blocking=True, timeout=0), _(timeout=0), _(timeout=-3)),
    *(_(block=False), _(wait=0), _(False, blocking=False)),
)
THREADING_FREE = (_(True, -1), _(True, -1.0), _(timeout=-1), _(True, 5), *FOR_EVER)
PROCESSING = (
    *(_(False), _(0), _(None), _(True, 0), _(True, 0.0), _(True, -0.0), _(True, 1e-9)),
    *(_(True, False), _(True, -1), _(True, -0.5), _(True, -inf), _(True, "x")),
    *(_(True, Decimal(0)), _(True, Fraction(-1)), _(True, []), _(True, 0, 0)),
    *(_(False, 1), _(False, None), _(False, -1), _(False, "x"), _(False, nan)),
    *(_(block=False), _(block=True, timeout=0), _(timeout=0), _(timeout=-3)),
    *(_(wait=0), _(False, block=False)),
)
PROCESSING_FREE = (_(True, None), _(True, 5), _(True, inf), _(True, 1e300), *FOR_EVER)

threads_arguments = pytest.mark.parametrize("passed", THREADING, ids=repr)
process_arguments = pytest.mark.parametrize("passed", PROCESSING, ids=repr)


@pytest.mark.parametrize("passed", THREADING + THREADING_FREE, ids=repr)
def test_thread_acquire_of_a_free_lock(passed: Arguments) -> None:
    lock, model = make_lock("thread"), threading.Lock()
    assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)
    assert lock.locked() == model.locked()


@threads_arguments
def test_thread_acquire_of_a_taken_lock(passed: Arguments) -> None:
    lock, model = make_lock("thread"), threading.Lock()
    with lock, model:
        assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)


@threads_arguments
def test_thread_acquire_while_a_task_holds_the_lock(passed: Arguments) -> None:
    lock, model = make_lock("thread"), threading.Lock()
    with held_by_task(lock), model:
        assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)
    assert not lock.locked()


@pytest.mark.parametrize("passed", PROCESSING + PROCESSING_FREE, ids=repr)
def test_process_acquire_of_a_free_lock(passed: Arguments) -> None:
    lock, model = make_lock("process"), multiprocessing.Lock()
    assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)
    assert lock.locked() == (not model.acquire(block=False))


@process_arguments
def test_process_acquire_of_a_taken_lock(passed: Arguments) -> None:
    lock, model = make_lock("process"), multiprocessing.Lock()
    with lock, model:
        assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)


@process_arguments
def test_process_acquire_while_a_task_holds_the_lock(passed: Arguments) -> None:
    lock, model = make_lock("process"), multiprocessing.Lock()
    with held_by_task(lock), model:
        assert passed.passed_to(lock.acquire) == passed.passed_to(model.acquire)
    assert not lock.locked()


def test_process_acquire_takes_the_name_that_threading_has() -> None:
    lock = make_lock("process")
    assert lock.acquire(blocking=False) is True
    for by_task in False, True:
        assert lock.acquire(blocking=False) is False
        assert lock.acquire(blocking=True, timeout=0) is False
        lock.release()
        if not by_task:
            with held_by_task(lock):
                assert lock.acquire(blocking=False) is False
            assert lock.acquire(blocking=True) is True
