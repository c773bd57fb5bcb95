"""What debug conditions share: who waits to be notified.

Their lock is a debug lock of its own. To wait for a notification is no wait for anybody
who is known, so that it is never part of a deadlock that is told.
"""

from __future__ import annotations

from itertools import starmap
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock.debug._actors import here, loops_here, this_thread
from anylock.debug._around import Debug
from anylock.debug._graph import announce, retract
from anylock.debug._lengths import look_at_loop
from anylock.debug._records import Record
from anylock.debug._stats import Stats, stats_of
from anylock.debug._ways import begin, end, end_by, new_wait, notified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ONCE = ((),)


class DebugNotices:
    """What debug conditions of all kinds share."""

    __slots__ = ()

    if TYPE_CHECKING:
        _lock: Any
        _record: Record

        @property
        def kind(self) -> Any: ...
        @property
        def name(self) -> str | None: ...

    def _new_record(self) -> Record:
        return Record(self.kind, "Condition", self.name, bool, shared=True, owned=False)

    @property
    def record(self) -> Record:
        """What is known of the waits to be notified, as events have it."""
        return self._record

    def stats(self) -> Stats:
        """Return who holds its lock, and so on; those who wait to be notified too."""
        if isinstance(self._lock, Debug):
            return stats_of(self._lock.record, beside=self._record)
        return stats_of(self._record)


def await_notice(
    record: Record,
    wait: Callable[[], bool],
    *,
    limited: bool,
    pass_on: Callable[[], object] | None = None,
) -> bool:
    """Wait in this thread to be notified.

    Args:
        record: Of the condition.
        wait: Waits; says whether it was notified. It ends with the lock.
        limited: Whether it waits for a limited time only.
        pass_on: Notifies somebody else: for a notification whose wait was interrupted
            afterwards. None if that is lost, as by the conditions of others.
    """
    me, thread = here(), this_thread.actor
    waiting = new_wait(record, me, limited=limited)
    waiting.for_notice = True
    waiting.blocks, waiting.blocked_before = thread, thread.wait
    waiting.loops = loops_here()
    got: list[bool] = []  # noted from C: a handler may raise before it is stored
    try:
        begin(waiting)
        try:
            announce(waiting)
            got.extend(starmap(wait, _ONCE))
        finally:
            waiting.live = False
            me.wait = waiting.before
            thread.wait = waiting.blocked_before
            retract(waiting)
        notified(waiting) if got[0] else end(waiting, "timed out")
        look_at_loop(waiting, monotonic())
    except BaseException as error:
        if not got:
            end_by(waiting, error)
        elif got[0] and pass_on is not None:
            pass_on()
        raise
    return got[0]


async def await_notice_in_task(
    record: Record,
    wait: Callable[[], Awaitable[bool]],
    *,
    limited: bool,
    pass_on: Callable[[], object] | None = None,
) -> bool:
    """Wait in a task to be notified; the arguments are as above."""
    me = here()
    waiting = new_wait(record, me, limited=limited)
    waiting.for_notice = True
    got = None
    try:
        begin(waiting)
        try:
            announce(waiting)
            got = await wait()
        finally:
            waiting.live = False
            me.wait = waiting.before
            retract(waiting)
        notified(waiting) if got else end(waiting, "timed out")
    except BaseException as error:
        if got is None:
            end_by(waiting, error)
        elif got and pass_on is not None:
            pass_on()
        raise
    return got
