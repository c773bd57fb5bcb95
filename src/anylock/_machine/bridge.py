"""The bridge to what is behind a lock file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bridge.lock import LockBridge

if TYPE_CHECKING:
    from anylock._machine.mutex import Mutex


class MachineBridge(LockBridge):
    """A bridge whose helper thread keeps its place among the processes that wait."""

    __slots__ = ("_acquire_while",)

    def __init__(self, mutex: Mutex) -> None:
        super().__init__(mutex.acquire_for_tasks, mutex.release)
        self._acquire_while = mutex.acquire_while

    def _awaited(self) -> bool:
        return bool(self._queue) and not self._retired

    def _wait_for_the_queue(self) -> bool:
        with self._turnstile:
            return self._awaited() and self._acquire_while(self._awaited)
