"""What debug locks look at, and what they do when they find something."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from anylock import _adapters

Answer = Literal["raise", "warn", "off"]
"""What to do about something: raise it, warn of it, or not look for it at all."""


@dataclass
class Settings:
    """What debug locks look at; to be changed at any time.

    Attributes:
        depth: How many frames of a stack are kept with each lock that is held.
        wait_depth: The same for each wait, which costs more anyway.
        deadlocks: What to do about a wait that would close a cycle. "warn" lets it
            wait.
        order: What to do about locks that are taken in both orders.
        blocked_loop: Seconds that a sync wait may stop an event loop for; None for
            any.
        long_hold: Seconds that a lock may be held; None for any.
        warn: Whether what is found is told by `warnings` as well.
        hidden: Folders and files, the code of which is not shown in stacks, and is not
            where a lock was made.
    """

    depth: int = 8
    wait_depth: int = 32
    deadlocks: Answer = "raise"
    order: Answer = "raise" if os.environ.get("ANYLOCK_DEBUG") == "strict" else "warn"
    blocked_loop: float | None = 0.05
    long_hold: float | None = None
    warn: bool = True
    hidden: tuple[str, ...] = ()


settings: Settings = Settings()
"""Those in use."""


def enable(on: bool = True) -> bool:  # noqa: FBT001, FBT002 - on or off
    """Let all factories make debug locks from now on, or normal ones again.

    Like `ANYLOCK_DEBUG` it is for calls that do not say `debug` themselves. Locks that
    were made before stay as they are.

    Returns:
        What it was before.
    """
    before, _adapters.debugging = _adapters.debugging, on
    return before
