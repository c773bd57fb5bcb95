"""What took too long: waits that stopped an event loop, and holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock.debug._findings import find
from anylock.debug._graph import find_amid
from anylock.debug._settings import settings
from anylock.debug._stacks import Stack

if TYPE_CHECKING:
    from anylock.debug._records import Hold, Wait


def look_at_loop(wait: Wait, now: float) -> None:
    """Look whether a wait has stopped an event loop for too long."""
    waited = now - wait.since
    limit = settings.blocked_loop
    if not wait.loops or not wait.contended or limit is None or waited <= limit:
        return
    holders = "\n".join(
        f"held when it began by {hold.actor}, which took it at\n{Stack(hold.stack)}"
        for hold in wait.behind
    )
    how = (
        f"to be notified of {wait.record}; do that in a task or a thread of its own"
        if wait.for_notice
        else f"for {wait.record} with 'with'; use 'async with'"
    )
    message = (
        f"{wait.actor} stopped an event loop for {waited:.3f} s, by waiting {how}\n"
        f"{Stack(wait.stack)}\n{holders}"
    )
    find_amid(wait, "blocked loop", (str(wait.record),), message.rstrip())


def look_at_hold(hold: Hold, held: float) -> None:
    """Look whether somebody has held a lock for too long."""
    limit = settings.long_hold
    if limit is None or held <= limit:
        return
    message = (
        f"{hold.actor} held {hold.record} for {held:.3f} s, which it took at\n"
        f"{Stack(hold.stack)}"
    )
    find("long hold", hold.actor, (str(hold.record),), message)
