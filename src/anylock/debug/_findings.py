"""What debug locks find: kept, told to who listens, and warned of."""

from __future__ import annotations

import warnings
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple

from anylock._errors import LockError
from anylock.debug import _events
from anylock.debug._settings import settings
from anylock.debug._stacks import get_frame, is_hidden

if TYPE_CHECKING:
    from types import FrameType

    from anylock.debug._actors import Actor

Kind = Literal["deadlock", "near deadlock", "order", "blocked loop", "long hold"]


class LockWarning(UserWarning):
    """Base of the warnings of debug locks."""


class NearDeadlockWarning(LockWarning):
    """A wait closes a cycle that ends only because some wait in it has a limit."""


class LockOrderWarning(LockWarning):
    """Locks were taken in both orders: some day that may be a deadlock."""


class LoopBlockedWarning(LockWarning):
    """A sync wait stopped an event loop for too long."""


class LongHoldWarning(LockWarning):
    """A lock was held for too long."""


class LockOrderInverted(LockError, RuntimeError):  # noqa: N818 - says what is so
    """Locks are about to be taken in an order opposite to an earlier one."""


class Finding(NamedTuple):
    """Something that debug locks found."""

    when: float
    """By `time.monotonic`."""
    kind: Kind
    actor: Actor
    """Who did it, or was refused."""
    locks: tuple[str, ...]
    """The locks that it is about, as `str` of their records."""
    message: str
    """All of it, with stacks."""


findings: deque[Finding] = deque(maxlen=1000)
"""What was found so far, the last of it; for anybody to read and clear."""

_WARNINGS: dict[Kind, type[LockWarning]] = {
    "deadlock": NearDeadlockWarning,
    "near deadlock": NearDeadlockWarning,
    "order": LockOrderWarning,
    "blocked loop": LoopBlockedWarning,
    "long hold": LongHoldWarning,
}


def find(
    kind: Kind, actor: Actor, locks: tuple[str, ...], message: str, *, warn: bool = True
) -> None:
    """Note something, and tell of it.

    Called without any lock of ours: a warning may be an error, or be written by
    somebody who uses debug locks.

    Args:
        kind: Of the finding.
        actor: Who did it.
        locks: Which it is about.
        message: All of it.
        warn: Whether it is to be warned of; not if it is raised anyway.
    """
    finding = Finding(monotonic(), kind, actor, locks, message)
    findings.append(finding)
    for finder in _events.finders:
        _events.call(finder, finding)
    if warn and settings.warn:
        frame = _outside()
        # Not warn(): that keeps the text of each warning for ever, to tell it once, and
        # these are all different.
        warnings.warn_explicit(
            message,
            _WARNINGS[kind],
            frame.f_code.co_filename,
            frame.f_lineno,
            frame.f_globals.get("__name__"),
        )


def _outside() -> FrameType:
    """Return the innermost frame that is not ours."""
    frame: FrameType = get_frame(1)
    while frame.f_back is not None and is_hidden(frame.f_code.co_filename):
        frame = frame.f_back
    return frame
