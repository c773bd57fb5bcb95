"""What blocks a thread, in the forms that tell the scheduler instead of blocking.

They do as the C classes of the same names, for as much as the locks use of them. What
they change they change without a switch in between, as C code does.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scheduler import Scheduler


class Primitive:
    """Something that threads wait for."""

    scheduler: Scheduler
    """Of the run that is under way."""

    @property
    def free(self) -> bool:
        """Whether it is to be had at once."""
        raise NotImplementedError

    def _wait(self, blocking: object, timeout: float | None) -> bool:
        self.scheduler.pause("a primitive")
        if self.free:
            return True
        if not blocking or (timeout is not None and timeout <= 0):
            return False
        return self.scheduler.wait(lambda: self.free, timeout)


class Lock(Primitive):
    """As `_thread.lock`."""

    def __init__(self) -> None:
        self._locked = False

    @property
    def free(self) -> bool:
        """Whether it is to be had at once."""
        return not self._locked

    def acquire(self, blocking: object = True, timeout: float = -1) -> bool:  # noqa: FBT002 - as there
        """Take it."""
        if not blocking and timeout != -1:
            message = "can't specify a timeout for a non-blocking call"
            raise ValueError(message)
        if not self._wait(blocking, None if timeout == -1 else timeout):
            return False
        self._locked = True
        return True

    def release(self) -> None:
        """Give it back."""
        self.scheduler.pause("a primitive")
        if not self._locked:
            message = "release unlocked lock"
            raise RuntimeError(message)
        self._locked = False

    def locked(self) -> bool:
        """Say whether anybody has it."""
        return self._locked

    def _at_fork_reinit(self) -> None:
        self._locked = False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc_info: object) -> None:
        self.release()


class RLock(Primitive):
    """As `_thread.RLock`."""

    def __init__(self) -> None:
        self._owner = 0
        self._count = 0

    @property
    def free(self) -> bool:
        """Whether it is to be had at once."""
        return self._count == 0

    def acquire(self, blocking: object = True, timeout: float = -1) -> bool:  # noqa: FBT002 - as there
        """Take it, or enter it again."""
        if self._is_owned():
            self._count += 1
            return True
        if not self._wait(blocking, None if timeout == -1 else timeout):
            return False
        self._owner = get_ident()
        self._count = 1
        return True

    def release(self) -> None:
        """Leave it once."""
        self.scheduler.pause("a primitive")
        if not self._is_owned():
            message = "cannot release un-acquired lock"
            raise RuntimeError(message)
        self._count -= 1

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc_info: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return self._count > 0 and self._owner == get_ident()

    def _recursion_count(self) -> int:
        return self._count if self._is_owned() else 0

    def _release_save(self) -> tuple[int, int]:
        kept = self._count, self._owner
        if not self._count:
            message = "cannot release un-acquired lock"
            raise RuntimeError(message)
        self._count = 0
        return kept

    def _acquire_restore(self, state: tuple[int, int]) -> None:
        self._wait(blocking=True, timeout=None)
        self._count, self._owner = state

    def _at_fork_reinit(self) -> None:
        self._count = 0

    def __repr__(self) -> str:
        state = "locked" if self._count else "unlocked"
        owner = self._owner if self._count else 0
        return f"<{state} RLock object owner={owner} count={self._count} at 0x0>"


class Permits(Primitive):
    """As `queue.SimpleQueue`."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    @property
    def free(self) -> bool:
        """Whether it is to be had at once."""
        return bool(self._items)

    def get(self, block: object = True, timeout: float | None = None) -> Any:  # noqa: FBT002 - as there
        """Take the first item."""
        if not self._wait(block, timeout):
            raise Empty
        return self._items.popleft()

    def put(self, item: Any, *_ignored: object) -> None:
        """Add an item; what `__exit__` is given beside the first is ignored."""
        self.scheduler.pause("a primitive")
        self._items.append(item)

    def qsize(self) -> int:
        """Count the items."""
        return len(self._items)

    def empty(self) -> bool:
        """Say whether there is none."""
        return not self._items


class SemLock(Primitive):
    """As `_multiprocessing.SemLock`, of the kinds that are not recursive."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._most = value

    @property
    def free(self) -> bool:
        """Whether it is to be had at once."""
        return self._value > 0

    def acquire(self, block: object = True, timeout: float | None = None) -> bool:  # noqa: FBT002 - as there
        """Take one."""
        if not self._wait(block, timeout):
            return False
        self._value -= 1
        return True

    def release(self) -> None:
        """Give one back."""
        self.scheduler.pause("a primitive")
        if self._value >= self._most:
            message = "semaphore or lock released too many times"
            raise ValueError(message)
        self._value += 1

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc_info: object) -> None:
        self.release()

    def _is_zero(self) -> bool:
        return self._value == 0

    def _get_value(self) -> int:
        return self._value
