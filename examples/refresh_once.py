"""A cache that refreshes its value once, however many wait for it.

Whoever finds the value too old takes the lock and looks again: most of those who
waited find that somebody else has refreshed it meanwhile. Who cannot wait any longer
takes the old value.

Run it as `python examples/refresh_once.py [thread] [asyncio] [trio]`.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from anylock import LockKind, LockTimeout, make_lock

if TYPE_CHECKING:
    from collections.abc import Callable

CALLERS = 20


class Cache:
    """A value that is good for some time."""

    def __init__(
        self,
        fetch: Callable[[], str],
        *,
        kind: LockKind = "thread",
        time_to_live: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a cache without a value.

        Args:
            fetch: Gets a new value.
            kind: Who shares it: "thread", or "async" for tasks of one event loop.
            time_to_live: Seconds for which a value is good.
            clock: Says what time it is, in seconds.
        """
        self.refreshing = make_lock(kind, name="cache")
        self._fetch = fetch
        self._time_to_live = time_to_live
        self._clock = clock
        self._value = ""
        self._expires = clock()

    def get(self, patience: float | None = None) -> str:
        """Return the value, in a thread.

        Args:
            patience: Seconds to wait while somebody else refreshes it; after that, an
                old value is better than none.

        Raises:
            LockTimeout: Patience is over, and there is no old value.
        """
        if self._is_fresh():
            return self._value
        try:
            with self.refreshing.hold(patience):
                if not self._is_fresh():  # nobody was faster
                    self._keep(self._fetch())
        except LockTimeout:
            if not self._value:
                raise
        return self._value

    async def get_in_task(self, patience: float | None = None) -> str:
        """Return the value, in a task; otherwise as `get`."""
        if self._is_fresh():
            return self._value
        try:
            async with self.refreshing.hold(patience):
                if not self._is_fresh():  # nobody was faster
                    self._keep(await to_thread.run_sync(self._fetch))
        except LockTimeout:
            if not self._value:
                raise
        return self._value

    def _is_fresh(self) -> bool:
        return self._clock() < self._expires

    def _keep(self, value: str) -> None:
        self._value = value
        self._expires = self._clock() + self._time_to_live


class Service:
    """Somewhere slow, where values come from."""

    requests = 0

    def fetch(self) -> str:
        """Answer a request."""
        self.requests += 1
        time.sleep(0.01)
        return f"value {self.requests}"


def serve_threads() -> None:
    """Let threads ask for the value."""
    service = Service()
    cache = Cache(service.fetch)
    callers = [threading.Thread(target=cache.get) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    print(f"thread: {CALLERS} callers, requests: {service.requests}")


async def serve_tasks(library: str) -> None:
    """Let tasks ask for the value."""
    service = Service()
    cache = Cache(service.fetch, kind="async")
    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(cache.get_in_task)
    print(f"{library}: {CALLERS} callers, requests: {service.requests}")


def main(*kinds: str) -> None:
    """Ask from each kind of caller; threads and asyncio by default."""
    for kind in kinds or ("thread", "asyncio"):
        if kind == "thread":
            serve_threads()
        else:
            anyio.run(serve_tasks, kind, backend=kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
