"""Fixtures that all tests share.

`backend`: every event loop; run a coroutine function on it by `backends.run`.
`trio`: trio itself, for tests that are about trio only.
`kind`: every kind of lock.
`start_method`: every way to start a process.
`lock`: a fresh lock of each `kind`.
"""

from __future__ import annotations

import _thread
import gc
import importlib
import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock import Lock, make_lock
from anylock._parking import ThreadMarker, this_thread
from backends import BACKENDS, TRIO, Backend, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock import LockKind

KINDS: tuple[LockKind, ...] = ("async", "process", "thread")


@pytest.fixture(autouse=True, scope="session")
def _helpers_are_measured() -> Iterator[None]:
    """Let coverage see the helper threads, which `threading` does not start."""
    trace: Any = threading.gettrace()
    if trace is None:
        yield
        return
    start = _thread.start_new_thread

    def start_traced(function: Callable[..., object], args: tuple[Any, ...]) -> int:
        def run() -> None:
            sys.settrace(trace)
            function(*args)

        return start(run, ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", start_traced)
        yield


@pytest.fixture(autouse=True, scope="session")
def _threads_switch_often() -> None:
    """Switch threads after so many seconds, if that was asked for.

    The default of 5 ms lets most of what takes microseconds happen undisturbed.
    """
    interval = os.environ.get("ANYLOCK_SWITCH_INTERVAL")
    if interval:
        sys.setswitchinterval(float(interval))


@pytest.fixture(params=[None, 1e-6], ids=["usual switches", "many switches"])
def _switches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let threads switch as often as usual, and after every microsecond."""
    usual = sys.getswitchinterval()
    if request.param is not None:
        sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    """Keep handlers from raising in what the collector calls, where that is lost."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def _no_event_loop_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the event loops that earlier tests ran in this thread.

    In a thread that runs some, `with` takes steps of the bridge, in which a handler
    that raises can lose a lock. docs/locks.md says so.
    """
    monkeypatch.setattr(this_thread, "marker", ThreadMarker())


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every event loop: asyncio, with eager tasks too, uvloop and trio."""
    chosen: Backend = request.param
    require(chosen)
    return chosen


@pytest.fixture
def trio() -> Any:
    """The module trio; skips the test, or fails it, where that is missing."""
    require(TRIO)
    return importlib.import_module("trio")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> LockKind:
    """Every kind of lock."""
    chosen: LockKind = request.param
    return chosen


@pytest.fixture(params=multiprocessing.get_all_start_methods())
def start_method(request: pytest.FixtureRequest) -> str:
    """Every way to start a process: fork, spawn and forkserver on Linux."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def lock(kind: LockKind) -> Lock:
    """A fresh lock of each kind, called "the-lock"."""
    return make_lock(kind, name="the-lock")
