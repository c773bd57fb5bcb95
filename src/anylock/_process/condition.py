"""`ProcessCondition`: a `multiprocessing.Condition` with the surface of the family."""

from __future__ import annotations

import multiprocessing
from itertools import repeat
from multiprocessing import synchronize
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from anylock._errors import WouldDeadlock
from anylock._hold import TimedHold, checked_name
from anylock._parking import this_thread
from anylock._process.base import start_method
from anylock._process.lock import ProcessLock
from anylock._process.rlock import ProcessRLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext

T = TypeVar("T")

_FOR_THREADS = (
    "a condition between processes is for threads: let a worker thread use it, by "
    "anyio.to_thread.run_sync; between tasks, use make_condition('thread')"
)


class ProcessCondition(synchronize.Condition):
    """A `multiprocessing.Condition` with the surface of the family.

    For the threads of a process and of the processes that it starts. A drop-in for
    `multiprocessing.Condition(lock)` and a subclass of its class: `wait`, `wait_for`,
    `notify` and `notify_all` are its own, with its errors. Beyond that, `wait` ends
    with the lock even if a signal handler raises while it takes that again.

    Tasks cannot use it: it looks for the thread that holds the lock. They can call, in
    a worker thread, a function that does.

    Safe to use from threads and forked children. Hand it to processes when they are
    started, as `ProcessLock`.

    Args:
        lock: The lock to use, of kind "process", from `make_lock` or `make_rlock`;
            None makes a re-entrant one, as `multiprocessing` does.
        name: A label for reprs and errors; None takes that of the lock.
        context: The start method it is for, from `multiprocessing.get_context`; None
            takes one that suits the `lock`, or else the default of this program.

    Raises:
        TypeError: `lock` is of another kind, or `name` is not a string.
        OSError: The system has no more semaphores.
    """

    if TYPE_CHECKING:
        _lock: ProcessLock | ProcessRLock

    def __init__(
        self,
        lock: ProcessLock | ProcessRLock | None = None,
        name: str | None = None,
        *,
        context: BaseContext | None = None,
    ) -> None:
        checked_name(name)
        chosen, by_fork = start_method(context)
        if lock is None:
            lock = ProcessRLock(name, context=chosen)
        if not isinstance(lock, ProcessLock | ProcessRLock):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = (
                f"lock must be one of make_lock('process') or make_rlock('process'), "
                f"not {lock!r}"
            )
            raise TypeError(message)
        self._name = lock.name if name is None else name
        forks: Any = lock._is_fork_ctx  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if context is None and forks != by_fork:
            chosen = multiprocessing.get_context("spawn" if by_fork else "fork")
        super().__init__(lock, ctx=chosen)

    def _make_methods(self) -> None:
        # The base class would keep those methods that its lock has at this moment.
        pass

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - multiprocessing's signature
        """Acquire the lock; see the class of that."""
        return self._lock.acquire(block, timeout)

    def release(self) -> None:
        """Release the lock; see the class of that."""
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, block this thread until notified, and take the lock again.

        Args:
            timeout: Seconds to wait at most for the notification; None waits for ever,
                0 and less do not wait.

        Returns:
            Whether it was notified before the time was over.

        Raises:
            AssertionError: This thread does not hold the lock, as from
                `multiprocessing`.
            WouldDeadlock: A task of this thread holds it.
        """
        if self._held_by_task():
            reason = "a task holds it, whose event loop would stop"
            advice = "let a worker thread take the lock and wait"
            raise WouldDeadlock(reason, advice, self._name)
        depth = self._depth()
        try:
            return super().wait(timeout)
        except BaseException:
            self._acquire_again(depth - self._depth())
            raise

    def _depth(self) -> int:
        """Tell how often this thread has entered the lock."""
        semaphore: Any = self._lock._semlock  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        mine: int = semaphore._count() if semaphore._is_mine() else 0  # noqa: SLF001
        return mine

    def _acquire_again(self, times: int) -> None:
        interruption = None
        taken: list[bool] = []  # noted from C: a handler may raise before it is stored
        while len(taken) < times:
            left = repeat(True, times - len(taken))
            try:
                taken.extend(map(self._lock.acquire, left))
            except WouldDeadlock:
                raise
            except BaseException as error:  # noqa: BLE001 - raised again below
                interruption = error
        if interruption is not None:
            raise interruption

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait, as by `wait`, until `predicate()` is true; see `multiprocessing`.

        Args:
            predicate: Called with the lock held, at first and after each notification.
            timeout: Seconds to wait at most, in all; None waits for ever.

        Returns:
            What the predicate returned last: false if the time was over before.
        """
        base: Any = super()
        result: T = base.wait_for(predicate, timeout)
        return result

    def notify(self, n: int = 1) -> None:
        """Let `n` that wait go on, once they have the lock again.

        Raises:
            AssertionError: This thread does not hold the lock, as from
                `multiprocessing`.
            TypeError: A task of this thread holds it.
        """
        if self._held_by_task():
            raise TypeError(_FOR_THREADS)
        super().notify(n)

    def _held_by_task(self) -> bool:
        # It could be in the hands of a thread that helps, if others want it as well:
        # what would work now and then is refused always.
        bridge = self._lock._careful_bridge()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        holder = None if bridge is None else bridge.holder
        return (
            holder is not None
            and holder.resumed
            and holder.thread is this_thread.marker
        )

    def __getstate__(self) -> tuple[Any, ...]:
        base: Any = super()
        return (base.__getstate__(), self._name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        inner, self._name = state
        base: Any = super()
        base.__setstate__(inner)

    @property
    def kind(self) -> Literal["process"]:
        """The kind of condition, "process"."""
        return "process"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, else that of the lock, or None."""
        return self._name

    def locked(self) -> bool:
        """Say whether anybody in any process holds the lock at this moment."""
        return self._lock.locked()

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self._lock.try_acquire()

    def hold(self, timeout: float | None = None) -> TimedHold[ProcessCondition]:
        """Give a context manager that waits at most `timeout` seconds for the lock.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        lock: Any = self._lock
        return TimedHold(self, timeout, lock._enter_within, self._refuse_task)  # noqa: SLF001

    async def __aenter__(self) -> NoReturn:
        """Raise TypeError: tasks cannot use a condition between processes."""
        await self._refuse_task(None)

    async def __aexit__(self, *exc_info: object) -> None:
        """Do nothing: nobody gets in."""

    async def _refuse_task(self, _timeout: float | None) -> NoReturn:
        raise TypeError(_FOR_THREADS)
