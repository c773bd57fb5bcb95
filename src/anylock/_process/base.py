"""What the adapters over a semaphore of the operating system share."""

from __future__ import annotations

import multiprocessing
import sys
import weakref
from multiprocessing import util
from threading import TIMEOUT_MAX
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from anylock._blocking import acquired
from anylock._bridged import Bridged

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from anylock._bridge.base import Bridge

B = TypeVar("B", bound="Bridge")


class BridgedSemLock(Bridged[B]):
    """The async colour of a lock of `multiprocessing`, and what else it lacks.

    To be put before the class of `multiprocessing` that it is about.
    """

    _copied_by_fork = False

    if TYPE_CHECKING:
        _semlock: Any
        _name: str | None

    def acquire(
        self,
        block: bool = True,  # noqa: FBT001, FBT002 - multiprocessing's signature
        timeout: float | None = None,
        *,
        blocking: bool | None = None,
    ) -> bool:
        """Acquire the lock as `multiprocessing.Lock.acquire` does.

        Args:
            block: False tries once, and ignores `timeout`.
            timeout: Seconds to wait at most; None waits for ever, negative is 0.
            blocking: The name that `threading` has for `block`.

        Returns:
            Whether the lock was acquired.

        Raises:
            WouldDeadlock: It would wait for ever for a task of this very thread.
        """
        if blocking is not None:
            block = blocking
        if self._bridge is not None:
            if sys.version_info >= (3, 12):
                block = bool(block)  # as the C method does, since then
            # Whatever is odd about the arguments, the C method shall say so.
            bridge = self._careful_bridge() if isinstance(block, int) else None  # pyright: ignore[reportUnnecessaryIsInstance]
            if bridge is not None:
                wait = None if timeout is None else max(0.0, min(timeout, TIMEOUT_MAX))
                return bridge.block(wait, self.name) if block else bridge.try_block()
        got: bool = self._semlock.acquire(block, timeout)
        return got

    def __enter__(self) -> bool:
        """Acquire the lock, blocking this thread; True, as from `multiprocessing`.

        Raises:
            WouldDeadlock: A task of this very thread's event loop holds the lock.
        """
        bridge = self._careful_bridge()
        if bridge is None:  # the tasks have left since `with` looked this method up
            return acquired(self._semlock.acquire, self._semlock.release)
        return bridge.block(None, self.name)

    def locked(self) -> bool:
        """Say whether who wants it at this moment would have to wait."""
        taken: bool = self._semlock._is_zero()  # noqa: SLF001
        return taken

    def try_acquire(self) -> bool:
        """Take the lock if that needs no waiting; say whether it was taken."""
        return self.acquire(block=False)

    def _enter_within(self, timeout: float | None) -> bool:
        if timeout is None:
            return self.acquire()
        # The semaphore waits by the wall clock where POSIX has no other: if somebody
        # sets that forward, the wait ends too early and is taken up again.
        deadline = monotonic() + timeout
        while not self.acquire(True, timeout):
            timeout = deadline - monotonic()
            if timeout <= 0:
                return False
        return True

    def _make_bridge(self) -> B:
        bridge = super()._make_bridge()
        # Not atexit, which does not run in the children of multiprocessing.
        util.Finalize(bridge, _retire, (weakref.ref(bridge),), exitpriority=100)
        return bridge

    @property
    def kind(self) -> Literal["process"]:
        """The kind of lock, "process"."""
        return "process"

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._name

    def __getstate__(self) -> tuple[Any, ...]:
        base: Any = super()
        try:
            state = base.__getstate__()
        except RuntimeError as error:
            raise _not_to_be_sent(f"{error}.") from None
        if self._is_fork_ctx and sys.platform != "win32":
            raise _not_to_be_sent("A lock of a fork context was sent to another one.")
        return (state, self._name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._bridge = None
        self._is_fork_ctx = False
        inner, self._name = state
        base: Any = super()
        base.__setstate__(inner)

    def __repr__(self) -> str:
        if self._name is None:
            return super().__repr__()
        return f"{super().__repr__()[:-1]} name={self._name!r}>"


def _retire(bridge: weakref.ref[Any]) -> None:
    found = bridge()
    if found is not None:
        found.retire()


def _not_to_be_sent(reason: str) -> RuntimeError:
    return RuntimeError(
        f"{reason} Pass the lock when the process is started: Process(args=(lock,)), "
        f"or Pool(initializer=..., initargs=(lock,)), of the context that the lock was "
        f"made for"
    )


def start_method(context: BaseContext | None) -> tuple[BaseContext, bool]:
    """Return the context to make a lock for, and whether it starts by fork.

    Raises:
        TypeError: It is not such a context.
    """
    if context is not None and not hasattr(context, "get_start_method"):
        message = (
            f"context must be one of multiprocessing.get_context(...), not {context!r}"
        )
        raise TypeError(message)
    chosen = context or multiprocessing.get_context()
    return chosen, chosen.get_start_method() == "fork"
