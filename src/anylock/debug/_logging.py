"""Debug locks told to `logging`: what is found, and what lasts long or fails."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from anylock.debug._events import Event, listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug._findings import Finding


class _Busy(threading.local):
    now = False


def log(
    logger: logging.Logger | None = None,
    *,
    level: int = logging.INFO,
    slow: float = 0.1,
) -> Callable[[], None]:
    """Log what is found, and waits and holds that are slow or end without the lock.

    The fields of each record are attributes of it: `lock` (its name or where it was
    made), `lock_kind`, `actor`, `what`, `seconds`, `label`; of what is found, `locks`.

    Args:
        logger: Where to; None is the logger "anylock.debug".
        level: Of what is slow, or timed out, cancelled or refused. What is found is a
            warning.
        slow: Seconds from which on a wait or a hold is logged; 0 for all.

    Returns:
        What ends it.
    """
    to = logger or logging.getLogger("anylock.debug")
    # A handler may use debug locks itself: what these tell is not logged in turn.
    busy = _Busy()

    def tell(level: int, message: str, *arguments: object, **fields: object) -> None:
        if not busy.now and to.isEnabledFor(level):
            busy.now = True
            try:
                to.log(level, message, *arguments, extra=fields)
            finally:
                busy.now = False

    def on_event(event: Event) -> None:
        ended = event.what in {"got", "released"}
        if event.what == "waits" or (ended and event.seconds < slow):
            return
        fields: dict[str, Any] = {
            "lock": str(event.lock),
            "lock_kind": event.lock.kind,
            "actor": str(event.actor),
            "what": event.what,
            "seconds": event.seconds,
            "label": event.label,
        }
        message = "%s: %s by %s after %.3f s"
        parts = fields["lock"], event.what, fields["actor"], event.seconds
        tell(level, message, *parts, **fields)

    def on_finding(finding: Finding) -> None:
        fields = {"what": finding.kind, "locks": finding.locks}
        actor = str(finding.actor)
        tell(logging.WARNING, "%s", finding.message, actor=actor, **fields)

    return listen(on_event, on_finding)
