"""Notices a thread that ends while it holds a re-entrant lock.

The C locks know their owner by its thread ident, and a later thread may have the same
one: to it such a lock would open. So every thread that uses the lock leaves a guard,
which dies with the thread and looks whether it holds the lock still.
"""

from __future__ import annotations

import sys
import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

    class Owned(Protocol):
        """The lock."""

        def _abandoned(self) -> None: ...


class Ways(threading.local):
    """The C methods that lead into a lock, as each thread sees them.

    The constructor runs once in every thread that looks for them. That is how a thread
    leaves its guard without running any Python on its later ways in.

    Args:
        enter: The lock's `__enter__`.
        acquire: The lock's `acquire`; to be looked up by the thread that calls it.
        owned_by: Says whether the lock belongs to the thread of an ident.
        lock: Whom to tell.
    """

    def __init__(
        self,
        enter: Callable[[], Any],
        acquire: Callable[..., Any],
        owned_by: Callable[[int], bool],
        lock: weakref.ref[Owned],
    ) -> None:
        self.enter = enter
        self.acquire = acquire
        self._guard = Guard(owned_by, lock)


class Guard:
    """Dies with its thread: at the thread's end, or after a fork in the child."""

    __slots__ = ("_ident", "_lock", "_owned_by")

    def __init__(
        self, owned_by: Callable[[int], bool], lock: weakref.ref[Owned]
    ) -> None:
        self._ident = threading.get_ident()
        self._owned_by = owned_by
        self._lock = lock

    def __del__(self) -> None:
        if not sys.is_finalizing() and self._owned_by(self._ident):
            lock = self._lock()
            if lock is not None:
                lock._abandoned()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours


# What `with` finds on the type of a lock: C code that asks the lock for its `_ways`.
way_to_enter: Any = property(attrgetter("_ways.enter"))
