"""Settings that many read at the same time, and that are now and then read anew.

Requests take several settings, which must belong together: those from before a reload,
or those from after it. They do not wait for one another, but only for a reload; and
however many requests there are, a reload gets its turn.

Run it as `python examples/reload_settings.py [thread] [asyncio] [trio]`.
"""

from __future__ import annotations

import sys
import threading
import time

import anyio

from anylock import make_rwlock

READERS = 5
RELOADS = 3


class Settings:
    """The address of a server, and its name: two settings that belong together."""

    def __init__(self, kind: str = "thread") -> None:
        """Make settings that are shared by threads, or by tasks of one event loop."""
        self.lock = make_rwlock(kind, name="settings")
        self.version = 0
        self.torn: list[str] = []
        """What requests found that did not belong together."""
        self._address = self._name = "server 0"

    def request(self) -> int:
        """Use the settings, in a thread; return which version that was."""
        with self.lock.read:
            address = self._address
            time.sleep(0.001)
            return self._use(address, self._name)

    async def request_in_task(self) -> int:
        """Use the settings, in a task; return which version that was."""
        async with self.lock.read:
            address = self._address
            await anyio.sleep(0.001)
            return self._use(address, self._name)

    def _use(self, address: str, name: str) -> int:
        if address != name:
            self.torn.append(f"{address}, {name}")
        return self.version

    def reload(self) -> None:
        """Read the settings anew, in a thread."""
        with self.lock.write:
            self._address = f"server {self.version + 1}"
            time.sleep(0.001)
            self._name = f"server {self.version + 1}"
            self.version += 1

    async def reload_in_task(self) -> None:
        """Read the settings anew, in a task."""
        async with self.lock.write:
            self._address = f"server {self.version + 1}"
            await anyio.sleep(0.001)
            self._name = f"server {self.version + 1}"
            self.version += 1


def serve(settings: Settings) -> None:
    """Have threads make requests until the last reload is over, and reload."""

    def client() -> None:
        while settings.request() < RELOADS:
            pass

    clients = [threading.Thread(target=client) for _ in range(READERS)]
    for each in clients:
        each.start()
    for _ in range(RELOADS):
        settings.reload()
    for each in clients:
        each.join()


async def serve_in_tasks(settings: Settings) -> None:
    """Have tasks make requests until the last reload is over, and reload."""

    async def client() -> None:
        while await settings.request_in_task() < RELOADS:
            pass

    async with anyio.create_task_group() as clients:
        for _ in range(READERS):
            clients.start_soon(client)
        for _ in range(RELOADS):
            await settings.reload_in_task()


def main() -> None:
    """Serve under all that the command line names."""
    for concurrency in sys.argv[1:] or ["thread", "asyncio"]:
        settings = Settings("thread" if concurrency == "thread" else "async")
        if concurrency == "thread":
            serve(settings)
        else:
            anyio.run(serve_in_tasks, settings, backend=concurrency)
        torn = len(settings.torn)
        print(f"{concurrency}: {settings.version} reloads, torn settings: {torn}")


if __name__ == "__main__":
    main()
