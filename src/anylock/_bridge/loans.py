"""Whose inner lock a task has that holds a re-entrant lock; see `rlock`."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING

from anylock._parking import this_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._parking import ThreadMarker

_PATIENCE = 1.0
"""Seconds to wait for the helper to release; it needs none, unless Python ends."""

ABANDONED = "the thread that held it has ended"
"""What is in the place of whoever has the inner lock when nobody ever will."""


class Loan:
    """The inner lock, as long as a helper thread keeps it for others."""

    __slots__ = ("due", "helper", "returned")

    def __init__(self) -> None:
        self.helper = this_thread.marker
        self.due = _thread.allocate_lock()
        self.due.acquire()
        self.returned = _thread.allocate_lock()
        self.returned.acquire()


class Lent:
    """The inner lock, as tasks have it.

    Args:
        release: Releases the inner lock in the thread that has it.
        release_elsewhere: Releases it in any thread, as far as Python can.
    """

    __slots__ = ("by", "release_elsewhere", "release_here")

    def __init__(
        self, release: Callable[[], None], release_elsewhere: Callable[[], object]
    ) -> None:
        self.release_here = release
        self.release_elsewhere = release_elsewhere
        self.by: ThreadMarker | Loan | str | None = None
        """Whose inner lock a task has; None if it is a thread that has it."""

    def release(self) -> None:
        """Release the inner lock, in the thread that has it."""
        by, self.by = self.by, None
        if by is None or by is this_thread.marker:
            self.release_here()
        elif not isinstance(by, Loan):
            # The event loop goes on in another thread than the task entered in.
            self.release_elsewhere()
        else:
            by.due.release()
            if by.helper is not this_thread.marker:
                by.returned.acquire(True, _PATIENCE)
