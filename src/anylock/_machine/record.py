"""What a lock file says of who holds the lock: for people, never for deciding.

Its first byte alone is looked at by the lock itself. It is written only by who holds
the lock, so who finds "+" there when it gets the lock knows that the one before it
died inside.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any

from anylock import _parking
from anylock._parking import ThreadMarker

HELD = b"+"
ANONYMOUS = b"+\n"
FREE = b"-"
BEGINNINGS = frozenset(
    [b"", HELD, FREE, *(mark + then for mark in (HELD, FREE) for then in (b"{", b"\n"))]
)
"""What a lock file may begin with, in two bytes; any other belongs to somebody."""
LENGTH = 4096
"""Bytes that a record has at most."""

_LONGEST_NAME = 200
"""Of each name that is written; JSON may need six bytes for a character."""


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock, as it said itself when it took it.

    Attributes:
        pid: The number of its process.
        host: The name of its machine, or of its container.
        since: When it took the lock, in seconds since the epoch.
        by: The name of its thread, or of its task.
        lock_name: The name of the lock, or None.
    """

    pid: int
    host: str
    since: float
    by: str
    lock_name: str | None


def start_of(pid: int | str) -> int | None:
    """Return when a process began, in ticks since boot; None if nobody knows."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - once per process
            # The name of the program is in parentheses and may hold anything.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


class Signature:
    """What this process writes into the file of one lock."""

    __slots__ = ("_name", "_process", "_record", "_thread")

    def __init__(self, name: str | None) -> None:
        self._name = name
        self.renew()

    def renew(self) -> None:
        """Forget what was of the parent, in a forked child."""
        self._process: dict[str, Any] = {}
        self._thread: ThreadMarker | None = None
        self._record = b""

    def of_thread(self, marker: ThreadMarker) -> bytes:
        """Return the record of this thread."""
        # The same comes again and again, and to make JSON takes longer than the rest.
        if marker is not self._thread:
            self._record = self._said(threading.current_thread().name)
            self._thread = marker
        return self._record

    def of_actor(self) -> bytes:
        """Return the record of the task that runs here, or of this thread."""
        return self._said(_name_of(_parking.current_actor()))

    def _said(self, by: str) -> bytes:
        if not self._process:
            self._process = {
                "lock": self._name and self._name[:_LONGEST_NAME],
                "pid": os.getpid(),
                "started": start_of("self"),
                "host": _host(),
            }
        said = json.dumps(
            {**self._process, "by": by[:_LONGEST_NAME]}, ensure_ascii=False
        )
        return HELD + said.encode("utf-8", "surrogatepass") + b"\n"


def name_in(data: bytes) -> str | None:
    """Return the name of the lock that a record is of; None if it has none."""
    try:
        name = json.loads(data[1:].partition(b"\n")[0])["lock"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def read(data: bytes, since: float) -> LockHolder | None:
    """Return the holder that a record names; None if it names none that lives.

    Args:
        data: What the lock file begins with.
        since: When that was written, in seconds since the epoch.
    """
    if data[:1] != HELD:
        return None
    try:
        said: dict[str, Any] = json.loads(data[1:].partition(b"\n")[0])
        holder = LockHolder(said["pid"], said["host"], since, said["by"], said["lock"])
        started = said["started"]
    except (ValueError, KeyError, TypeError, RecursionError):  # it is being written
        return None
    if started is None or holder.host != _host() or start_of(holder.pid) == started:
        return holder
    return None  # it died inside


def _host() -> str:
    if sys.platform == "win32":
        return os.environ.get("COMPUTERNAME", "")
    return os.uname().nodename


def _name_of(actor: Any) -> str:
    if isinstance(actor, dict):
        tasks: dict[Any, Any] = actor  # pyright: ignore[reportUnknownVariableType]
        actor = next(iter(tasks.values()))
    if isinstance(actor, ThreadMarker):
        return threading.current_thread().name
    get_name = getattr(actor, "get_name", None)  # of asyncio
    return str(actor.name if get_name is None else get_name())
