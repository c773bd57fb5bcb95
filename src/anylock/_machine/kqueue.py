"""Waits for a change of a lock file by kqueue, on macOS.

Never run there so far. Who leaves writes into the file, which is told; that a process
died is not, so who waits for one looks again from time to time.
"""

from __future__ import annotations

import select
import sys

assert sys.platform == "darwin"  # noqa: S101 - type checkers understand it


class KqueueWatch:
    """Watches one file, with a queue of its own."""

    longest = 0.1

    def __init__(self, descriptor: int) -> None:
        self._queue = select.kqueue()
        changes = select.KQ_NOTE_WRITE | select.KQ_NOTE_DELETE | select.KQ_NOTE_RENAME
        event = select.kevent(
            descriptor,
            select.KQ_FILTER_VNODE,
            select.KQ_EV_ADD | select.KQ_EV_CLEAR,
            changes,
        )
        self._queue.control([event], 0)

    def wait(self, timeout: float) -> bool:
        """Wait until the file changes; False when so many seconds are over."""
        return bool(self._queue.control(None, 1, timeout))

    def close(self) -> None:
        """Give the queue back to the system."""
        self._queue.close()
