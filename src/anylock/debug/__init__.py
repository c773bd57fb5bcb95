"""Locks that tell who holds them, who waits, and what is wrong.

Made by `make_lock(kind, debug=True)` and its siblings, or by all of them where
`ANYLOCK_DEBUG=1` is set.
"""

from __future__ import annotations

from anylock.debug._actors import Actor, label
from anylock.debug._dump import dump, dump_on_signal
from anylock.debug._events import Event, listen
from anylock.debug._findings import (
    Finding,
    LockOrderInverted,
    LockOrderWarning,
    LockWarning,
    LongHoldWarning,
    LoopBlockedWarning,
    NearDeadlockWarning,
    findings,
)
from anylock.debug._order import edges, forget
from anylock.debug._records import Record, known
from anylock.debug._settings import Settings, enable, settings
from anylock.debug._stacks import RawStack, Site, Stack
from anylock.debug._stats import Stats, Who

__all__ = [
    "Actor",
    "Event",
    "Finding",
    "LockOrderInverted",
    "LockOrderWarning",
    "LockWarning",
    "LongHoldWarning",
    "LoopBlockedWarning",
    "NearDeadlockWarning",
    "RawStack",
    "Record",
    "Settings",
    "Site",
    "Stack",
    "Stats",
    "Who",
    "dump",
    "dump_on_signal",
    "edges",
    "enable",
    "findings",
    "forget",
    "known",
    "label",
    "listen",
    "settings",
]
