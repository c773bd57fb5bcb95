"""The event loops that tests run on, and how to run a test on one of them.

A test takes the fixture `backend`, and runs once for each of them:

    def test_something(backend: Backend) -> None:
        async def main() -> None: ...
        run(backend, main)

It is skipped where the backend is not installed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import TypeVarTuple, Unpack

    PosArgsT = TypeVarTuple("PosArgsT")

T = TypeVar("T")

TRIO_IS_REQUIRED = os.environ.get("ANYLOCK_REQUIRE_TRIO") == "1"
"""Whether a missing trio fails the tests instead of skipping them."""


@dataclass(frozen=True)
class Backend:
    """An event loop, of asyncio or trio, set up in one of its ways."""

    label: str
    library: Literal["asyncio", "trio"]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Backend options of `anyio.run`."""
    needs: str | None = None
    """The module that it needs beside the standard library and anyio."""
    since: tuple[int, int] = (3, 10)
    """The first Python that can do it."""

    @property
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        """The pair by which anyio's pytest plugin, and `check_lock`, know it."""
        return self.library, self.options

    def __str__(self) -> str:
        return self.label


def _eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):  # else `since` has the test skipped
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


ASYNCIO = Backend("asyncio", "asyncio")
# For tasks that asyncio.create_task starts: those of anyio start lazily even here.
EAGER = Backend("eager", "asyncio", {"loop_factory": _eager_loop}, since=(3, 12))
UVLOOP = Backend("uvloop", "asyncio", {"use_uvloop": True}, needs="uvloop")
TRIO = Backend("trio", "trio", needs="trio")

BACKENDS = (ASYNCIO, EAGER, UVLOOP, TRIO)


def missing(backend: Backend) -> str | None:
    """Say why the backend is not to be had here; None if it is."""
    if sys.version_info < backend.since:
        return f"{backend} needs Python {'.'.join(map(str, backend.since))}"
    if backend.needs is None or importlib.util.find_spec(backend.needs) is not None:
        return None
    return f"{backend.needs} is not installed"


def require(backend: Backend) -> None:
    """Skip the running test, or fail it, if the backend is not to be had here."""
    reason = missing(backend)
    if reason is None:
        return
    if backend == TRIO and TRIO_IS_REQUIRED:
        pytest.fail(f"{reason}, and ANYLOCK_REQUIRE_TRIO=1 says it must be")
    pytest.skip(reason)


def run(
    backend: Backend,
    function: Callable[[Unpack[PosArgsT]], Awaitable[T]],
    *args: Unpack[PosArgsT],
) -> T:
    """Run `await function(*args)` in a new event loop of the backend.

    It is skipped or failed as by `require` if the backend is not to be had. A hang
    is ended by pytest-timeout, after faulthandler has printed every stack.
    """
    require(backend)
    return anyio.run(
        function,
        *args,
        backend=backend.library,
        backend_options=backend.options,
    )


def start_guest(
    trio: Any, main: Callable[[], Awaitable[object]]
) -> asyncio.Future[Any]:
    """Let trio run beside the tasks of this loop, of asyncio.

    Returns:
        A future that gives the outcome.
    """
    host = asyncio.get_running_loop()
    over: asyncio.Future[Any] = host.create_future()
    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=host.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=host.call_soon,
        done_callback=over.set_result,
    )
    return over
