"""Waits for a change of a lock file where nobody tells of one: the last resort."""

from __future__ import annotations

from time import sleep

LONGEST = 0.05
"""Seconds between two looks at most."""


class Polling:
    """Looks again after a while."""

    longest = LONGEST

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds; False, as nothing was told."""
        sleep(timeout)
        return False

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""
