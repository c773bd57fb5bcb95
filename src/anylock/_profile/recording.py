"""The last events, and how many there were."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from anylock import debug

if TYPE_CHECKING:
    from anylock.debug import Event, Finding

_MOST_FINDINGS = 1000


class Recording:
    """What debug locks tell from now on: the last events, and findings.

    Args:
        most: How many events are kept.
    """

    def __init__(self, most: int) -> None:
        self.events: deque[Event] = deque(maxlen=most)
        self.findings: deque[Finding] = deque(maxlen=_MOST_FINDINGS)
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

    def stop(self) -> None:
        """Record no more."""
        self._stop()
        self.seen = next(self._seen)
