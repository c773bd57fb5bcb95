"""The last events, and how many there were."""

from __future__ import annotations

import _thread
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from anylock import debug
from anylock._profile.ledger import key_of

if TYPE_CHECKING:
    from anylock._profile.ledger import Key
    from anylock.debug import Event, Finding

_MOST_FINDINGS = 1000

_IN_VAIN = {"cancelled", "refused", "timed out"}


@dataclass
class InVain:
    """How long was waited in vain."""

    total: float = 0.0
    longest: float = 0.0


class Recording:
    """What debug locks tell from now on: the last events, and findings.

    Args:
        most: How many events are kept.
    """

    def __init__(self, most: int) -> None:
        self.events: deque[Event] = deque(maxlen=most)
        self.findings: deque[Finding] = deque(maxlen=_MOST_FINDINGS)
        self.in_vain: dict[Key, InVain] = {}
        """How long those waited who did not get it, which records do not tell."""
        self._summing = _thread.RLock()  # a signal handler gets in
        self.seen = 0
        """How many events there were, once it was stopped."""
        self._seen = count()
        self._stop = debug.listen(self._note, self.findings.append)

    def _note(self, event: Event) -> None:
        # Others may come in between these calls into C. None is lost, and that is all
        # that the count is for.
        next(self._seen)
        self.events.append(event)
        actor = event.actor
        if actor._name is None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
            _ = actor.name  # while its thread is there to be asked
        if event.what in _IN_VAIN:
            with self._summing:
                sums = self.in_vain.setdefault(key_of(event.lock), InVain())
                sums.total += event.seconds
                sums.longest = max(sums.longest, event.seconds)

    def stop(self) -> None:
        """Record no more."""
        self._stop()
        self.seen = next(self._seen)
