"""Changes that are made one at a time, and nobody ever waits for.

A step that arrives while another one runs goes into a mailbox, and whoever runs the
first runs it as well. A finalizer or a signal handler that wants a change in the
middle of a step therefore leaves its own behind instead of deadlocking with the frame
that it interrupted, and no step sees another half done.
"""

from __future__ import annotations

import _thread
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps:
    """What has a mailbox of steps, and runs them where it finds nobody at it."""

    __slots__ = ("_mail", "_running", "_steps")

    def __init__(self) -> None:
        self._mail: deque[Callable[[], None]] = deque()
        """The steps; the first of them may be running."""
        self._steps = 0
        """How many have been carried out."""
        self._running: Any = _thread.RLock()
        """Held by whoever runs the steps. It is asked who owns it, not re-entered."""

    def _do(self, step: Callable[[], None]) -> None:
        self._mail.append(step)
        try:
            self._run_steps()
        except BaseException:
            # Raised by a signal handler in this thread. What others have left here
            # must not stay behind.
            self._run_steps()
            raise

    def _run_steps(self) -> None:
        # The test is repeated after the release: who left a step while we were
        # about to stop saw `_running` taken and relies on us.
        while self._mail and not self._amid_steps() and self._running.acquire(False):
            try:
                while self._mail:
                    try:
                        self._mail[0]()
                    finally:
                        self._steps += 1
                        self._mail.popleft()
            finally:
                self._running.release()

    def _amid_steps(self) -> bool:
        """Say whether a frame of this thread, below us, runs the steps."""
        amid: bool = self._running._is_owned()  # noqa: SLF001 - as in threading
        return amid
