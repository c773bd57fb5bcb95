"""Debug locks and `logging`: log records with fields."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from anylock.debug._events import listen
from anylock.debug._stacks import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug._events import Event
    from anylock.debug._findings import Finding

_TEXTS = {
    "got": "%s waited %.3f s for %s",
    "released": "%s held %.3f s long %s",
    "timed out": "%s gave up after %.3f s to wait for %s",
    "cancelled": "%s was cancelled after %.3f s of waiting for %s",
    "refused": "%s was refused after %.3f s of waiting for %s",
}
"""What happened -> the message of the log record. A wait that begins has none."""


class _Busy(threading.local):
    """Whether this thread is logging what a debug lock told."""

    now = False


def to_logging(
    logger: logging.Logger | str = "anylock.debug", *, slow: float | None = None
) -> Callable[[], None]:
    """Log what debug locks find, and what took long.

    Findings are warnings; a deadlock is an error. What took long is of the level INFO;
    to wait for a condition's notification is none of it, however long. All have fields
    of their own, by which formatters and filters tell them apart:

    - both: `lock_actor`, such as "thread 'MainThread'", and `lock_seconds` if it took
      long;
    - findings: `lock_finding`, which is "deadlock", "near deadlock", "order", "blocked
      loop" or "long hold", and `lock_names`, a tuple;
    - what took long: `lock_event`, such as "got" or "released", `lock_name`,
      `lock_kind`, `lock_family`, `lock_site`, `lock_number`, `lock_place`, where in the
      program it was taken, and `lock_label`.

    Log records are written by whoever did it, amid the acquire or release. What the
    debug locks of a handler tell meanwhile is not logged in turn.

    Args:
        logger: The logger, or its name.
        slow: Seconds after which waits and holds are logged; None for none of them.

    Returns:
        What ends it.
    """
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    busy = _Busy()

    def log(level: int, text: str, *args: object, **fields: object) -> None:
        busy.now = True
        try:
            logger.log(level, text, *args, extra=fields)
        finally:
            busy.now = False

    def log_finding(finding: Finding) -> None:
        if busy.now:
            return
        log(
            logging.ERROR if finding.kind == "deadlock" else logging.WARNING,
            "%s: %s",
            *(finding.kind, finding.message),
            lock_finding=finding.kind,
            lock_names=finding.locks,
            lock_actor=str(finding.actor),
        )

    def log_event(event: Event) -> None:
        lock = event.lock
        if slow is None or event.seconds < slow or event.what not in _TEXTS:
            return
        if lock.family == "Condition" or not logger.isEnabledFor(logging.INFO):
            return
        if busy.now:
            return
        actor = str(event.actor)
        log(
            logging.INFO,
            _TEXTS[event.what],
            *(actor, event.seconds, lock),
            lock_event=event.what,
            lock_seconds=event.seconds,
            lock_actor=actor,
            lock_name=lock.name,
            lock_kind=lock.kind,
            lock_family=lock.family,
            lock_site=str(lock.site),
            lock_number=lock.number,
            lock_place=Stack(event.stack).place,
            lock_label=event.label,
        )

    return listen(None if slow is None else log_event, log_finding)
