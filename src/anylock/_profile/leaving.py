"""The way out of stand-ins for what is written in Python itself."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

from anylock.debug._ways import REFUSED, let_go, put_back, released

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug import Record
    from anylock.debug._records import Hold


def leave(
    record: Record, release: Callable[..., object], *arguments: Any, permits: Any = 1
) -> None:
    """Release something, once or so many permits, and note that.

    Stand-ins for C methods have it written out: those lose no lock if a signal handler
    raises, and so they must not either.

    Args:
        record: Of the lock.
        release: Of the real one.
        *arguments: Of that.
        permits: How many.
    """
    holds: list[Hold | None] = []
    try:
        # Whatever is odd about the number, the real one shall say so.
        if isinstance(permits, int):
            holds.extend(map(let_go, repeat(record, permits)))
    finally:
        try:
            release(*arguments)
        except REFUSED:
            for hold in holds:
                put_back(record, hold)
            raise
    for hold in holds:
        released(record, hold)
