"""Where the rules are checked: other threads, event loops, and a deadline for all.

Nothing here waits without a limit, and everything that may be stopped by a broken
lock runs in daemon threads, which are left behind if need be.
"""

from __future__ import annotations

import sys
import threading
import traceback
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from multiprocessing.context import BaseContext

    from anylock import Lock

T = TypeVar("T")

GRACE = 0.01
"""Seconds for which somebody who must wait is watched.

That a thread has blocked cannot be seen from outside: the lock tells nobody, and the
rules must hold for any lock. So it is given a moment in which to get in wrongly. A
moment too short lets a broken lock pass, but never fails a right one.
"""

SHORT = 0.03
"""Seconds of those time-outs that the rules let pass."""

TURNS = 10
"""Turns of an event loop in which its tasks get as far as they can."""


class Broken(Exception):  # noqa: N818 - what was found, becomes a BrokenRule
    """What a rule found."""


class Backend(NamedTuple):
    """An event loop: what `anyio.run` takes as `backend` and `backend_options`."""

    library: str
    options: Mapping[str, Any]

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run a coroutine function in a new event loop in this thread."""
        return anyio.run(
            function, *args, backend=self.library, backend_options=dict(self.options)
        )


class LoopThread:
    """An event loop in a daemon thread, whose tasks are started from outside."""

    def __init__(self, backend: Backend) -> None:
        self._ready: Future[anyio.from_thread.BlockingPortal] = Future()
        self._thread = threading.Thread(
            target=self._run,
            args=(backend,),
            name=f"check_lock: {backend.library} loop",
            daemon=True,
        )
        self._thread.start()
        self._portal = self._ready.result()

    def _run(self, backend: Backend) -> None:
        try:
            backend.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - for who waits for us
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with anyio.from_thread.BlockingPortal() as portal:
            self._ready.set_result(portal)
            await portal.sleep_until_stopped()

    def start(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start a task of that (coroutine) function."""
        # Not start_task_soon(): it blocks this thread until the event loop has taken
        # notice, which a broken lock may have stopped.
        return in_daemon_thread(self._portal.call, function, *args)

    def stop(self, seconds: float) -> None:
        """Cancel all tasks and end; leave it behind if that takes too long."""
        self.start(self._portal.stop, True)
        self._thread.join(seconds)


@dataclass
class Stage:
    """What a rule has to work with."""

    factory: Callable[..., Any]
    """Makes a fresh one of what is checked; of semaphores, with so many permits."""
    backends: tuple[Backend, ...]
    """All event loops that the lock is checked on."""
    backend: Backend
    """The event loop that this run of the rule is about."""
    threads: bool
    """Whether the lock is for plain threads. If not, "thread" means worker threads of
    the event loop."""
    context: BaseContext | None
    """How to start processes."""
    patience: float
    """Seconds until the rule must have come to its end."""
    tasks: bool = True
    """Whether the lock is for tasks, too."""
    reentrant: bool = False
    """Whether who holds the lock may perhaps enter it again."""
    found: Broken | None = None
    """The first thing found to be wrong."""
    at_end: list[Callable[[], None]] = field(default_factory=list["Callable[[], None]"])
    """What is to be called in the end, so that threads may end."""

    def __post_init__(self) -> None:
        self._deadline = monotonic() + self.patience
        self._loops: dict[int, LoopThread] = {}
        self._began = threading.enumerate()

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._deadline - monotonic())

    def make(self) -> Lock:
        """Make a fresh lock, or what can be used as one."""
        lock: Lock = self.factory()
        return lock

    # Findings.

    def fail(self, found: str, cause: BaseException | None = None) -> NoReturn:
        """Say what is wrong, and end the rule."""
        broken = Broken(found)
        self.found = self.found or broken
        raise broken from cause

    def expect(self, right: bool, otherwise: str) -> None:  # noqa: FBT001 - an assert
        """Fail with `otherwise` unless it is `right`."""
        if not right:
            self.fail(otherwise)

    def expect_error(
        self,
        errors: type[Exception] | tuple[type[Exception], ...],
        what: str,
        call: Callable[..., object],
        *args: Any,
    ) -> None:
        """Fail unless `call(*args)` raises one of the `errors`."""
        family = errors if isinstance(errors, tuple) else (errors,)
        names = " or ".join(error.__name__ for error in family)
        try:
            call(*args)
        except errors:
            return
        except Broken:
            raise
        except Exception as error:  # noqa: BLE001 - the wrong one is the finding
            self.fail(f"{what} raised {error!r}, not {names}", error)
        self.fail(f"{what} raised nothing, not {names}")

    def expect_taken(self, lock: Lock) -> None:
        """Fail if who holds the lock can take it as well, unless it is re-entrant."""
        if not self.reentrant:
            taken: Any = lock.try_acquire()
            self.expect(taken is False, f"try_acquire() of a held lock gave {taken!r}")

    # Waiting, in tasks of the rule's own event loop.

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Let other tasks run until it is so; `what` says what should have happened."""
        turns = 0
        while not condition():
            if not self.left:
                self.fail(f"{what}, but did not within {self.patience:g} s")
            turns += 1
            if turns <= TURNS:
                await anyio.lowlevel.checkpoint()
            else:  # it depends on another thread
                await anyio.sleep(0.001)

    async def until_free(self, lock: Lock) -> None:
        """Fail if nobody holds the lock and it stays locked."""
        # Not at once: who was cancelled may have to pass it on by way of a thread.
        await self.until(
            lambda: not lock.locked(), "the lock should be free when all have left it"
        )
        async with lock.hold(self.left):
            self.expect(lock.locked(), "locked() was False inside of `async with`")

    # Waiting, in threads.

    def result(self, future: Future[T], what: str) -> T:
        """Wait for a thread or task; `what` says what should have happened."""
        self.until_done(future, what)
        return future.result()

    def until_done(self, future: Future[Any], what: str) -> None:
        """Wait for a thread or task, whatever it ends with."""
        wait([future], self.left)
        if not future.done():
            self.fail(f"{what}, but did not within {self.patience:g} s")

    def until_set(self, event: threading.Event, what: str) -> None:
        """Wait for an event; `what` says what should have happened."""
        if not event.wait(self.left):
            self.fail(f"{what}, but did not within {self.patience:g} s")

    def wait_until_free(self, lock: Lock, when: str) -> None:
        """Fail if it stays locked."""
        # Not at once: see until_free().
        while lock.locked():
            self.expect(self.left > 0, f"it was still locked {when}")
            sleep(GRACE / 10)

    # Others.

    @property
    def loop(self) -> LoopThread:
        """The event loop, in another thread, started on first use."""
        return self.another_loop(0, self.backend)

    def another_loop(self, number: int, backend: Backend) -> LoopThread:
        """Return the event loop of that number in a thread of its own."""
        if number not in self._loops:
            self._loops[number] = LoopThread(backend)
        return self._loops[number]

    def start(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Call the function in another thread, of the sort that the lock is for."""
        if not self.threads:
            return self.loop.start(
                partial(anyio.to_thread.run_sync, abandon_on_cancel=True),
                partial(function, *args),
            )
        return in_daemon_thread(function, *args)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function in another thread and return its result."""
        name = getattr(function, "__name__", "the call")
        return self.result(
            self.start(function, *args), f"{name}() in a thread should have ended"
        )

    def stop(self) -> None:
        """End threads and event loops; wait for them only if nothing went wrong."""
        for call in self.at_end:
            call()
        for loop in self._loops.values():
            loop.stop(self.patience if self.found is None else 0.0)

    def stacks(self) -> str:
        """Format the stacks of all threads that the rule has started."""
        # What faulthandler prints, as a string; it is documented in spite of its name.
        frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        text = ""
        for thread in threading.enumerate():
            if thread not in self._began and thread.ident in frames:
                stack = traceback.format_stack(frames[thread.ident])
                text += f"\n{thread.name}:\n{''.join(stack)}"
        return text


def in_daemon_thread(function: Callable[..., T], *args: Any) -> Future[T]:
    """Call the function in a new daemon thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = function(*args)
        except BaseException as error:  # noqa: BLE001 - for who waits for us
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="check_lock: a thread", daemon=True).start()
    return future
