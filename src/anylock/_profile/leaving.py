"""The way out of stand-ins for what is written in Python itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anylock.debug._ways import REFUSED, note_release, put_back, released

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug import Record
    from anylock.debug._records import Hold


def leave(
    record: Record, release: Callable[..., object], *arguments: Any, permits: Any = 1
) -> None:
    """Release something, once or so many permits, and note that.

    The C methods of locks have their stand-ins written out: none of these may lose the
    lock if a signal handler raises, which the C method does not either.

    Args:
        record: Of the lock.
        release: Of the real one.
        *arguments: Of that.
        permits: How many.
    """
    holds: list[Hold] = []
    try:
        note_release(record, holds, permits)
    finally:
        try:
            release(*arguments)
        except REFUSED:
            put_back(record, holds)
            raise
    released(record, holds)
