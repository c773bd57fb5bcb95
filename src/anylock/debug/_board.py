"""Who of which process holds a lock: a few bytes of memory that the processes share."""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock.debug._stacks import Stack
from anylock.debug._stats import Who

if TYPE_CHECKING:
    from anylock.debug._records import Hold

_LAYOUT = struct.Struct("=qd96s")
"""The number of the process, or 0; since when; who that is."""

_pack, _unpack = _LAYOUT.pack_into, _LAYOUT.unpack_from
_NOBODY = 0, 0.0, b""


class Board:
    """Tells the other processes who holds a lock. Whoever holds it writes.

    It can be pickled when the lock can: while a process is started.
    """

    __slots__ = ("_memory",)

    def __init__(self, memory: Any = None) -> None:
        self._memory = RawArray("c", _LAYOUT.size) if memory is None else memory

    def write(self, hold: Hold) -> None:
        """Write down who holds it."""
        _pack(self._memory, 0, os.getpid(), hold.since, hold.actor.signature)

    def wipe(self) -> None:
        """Write down that nobody does."""
        _pack(self._memory, 0, *_NOBODY)

    def read(self) -> Who:
        """Return who holds it, a moment ago; or that this is not known."""
        pid, since, name = _unpack(self._memory)
        now = monotonic()
        if not pid:
            return Who("process", "another process", None, now, 0.0, Stack(()))
        who = name.rstrip(b"\0").decode("utf-8", "ignore")
        who = f"{who} of process {pid}{'' if _lives(pid) else ', which has ended'}"
        return Who("process", who, None, since, now - since, Stack(()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Board, (self._memory,)


def _lives(pid: int) -> bool:
    if sys.platform == "win32":  # where this would end it
        return True
    with suppress(PermissionError):  # of another user
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
