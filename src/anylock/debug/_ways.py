"""The ways into debug locks and out of them: around those of the lock inside.

What the lock inside does is left to it: to wait, to be cancelled, to hand over. Whoever
got it notes that itself, and takes the note back before it releases. So what is noted
as held is held, and an interruption may lose a note but no lock.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import starmap
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock._errors import LockError
from anylock.debug import _events, _records
from anylock.debug._actors import here, label_here, loops_here, this_thread
from anylock.debug._events import Event
from anylock.debug._graph import announce, retract
from anylock.debug._lengths import look_at_hold, look_at_loop
from anylock.debug._limits import has_deadline
from anylock.debug._order import is_notified, learn
from anylock.debug._records import Hold, Wait
from anylock.debug._settings import settings
from anylock.debug._stacks import capture, get_frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anylock.debug._actors import Actor
    from anylock.debug._events import What
    from anylock.debug._records import Record
    from anylock.debug._stacks import RawStack

_ONCE = ((False,),)

REFUSED = (RuntimeError, ValueError, AssertionError)
"""What is raised if a lock is released that is not the caller's."""


def enter(  # noqa: C901, PLR0912, PLR0913, PLR0915 - a call more is a tenth of its time
    record: Record,
    acquire: Callable[..., Any],
    arguments: tuple[Any, ...],
    undo: Callable[[], object],
    *,
    attempt: Callable[[bool], Any] | None = None,
    waits: bool = True,
    limited: bool = False,
    scoped: bool = False,
    again: bool = False,
    depth: int = 1,
) -> bool:
    """Acquire a lock in this thread.

    Args:
        record: Of the lock.
        acquire: Acquires the lock inside; returns False if it did not.
        arguments: Of `acquire`.
        undo: Releases the lock inside.
        attempt: Called with False before: tries once. None if that is not to be told
            apart.
        waits: Whether `acquire` may wait.
        limited: Whether it waits for a limited time only.
        scoped: Whether the same actor is to release it.
        again: Whether it takes it back after it was notified, whatever the order is.
        depth: How often it is entered at once.

    Returns:
        Whether it was acquired.
    """
    me = here()
    if record.reentrant:
        hold = record.holder
        if hold is not None and hold.actor is me:
            return _enter_again(hold, acquire, arguments, undo)
    frame = get_frame(1).f_back  # None, in a thread that begins with that in C
    if waits and me.holds and record.owned and not limited:
        learn(record, me, capture(settings.depth, frame), again=again)
    # What a signal handler may interrupt is noted from C code, as everywhere here.
    got: list[Any] = []
    wait: Wait | None = None
    hold = None
    try:
        if attempt is not None and waits:
            got.extend(starmap(attempt, _ONCE))
        if not waits:
            got.extend(starmap(acquire, (arguments,)))
        elif not got or got[0] is False:
            got.clear()
            stack = capture(settings.wait_depth, frame)
            wait = new_wait(record, me, stack, limited=limited)
            wait.blocks = thread = this_thread.actor
            wait.blocked_before = thread.wait
            wait.loops = loops_here()
            wait.must_get = again or is_notified(me)
            try:
                if attempt is not None or record.busy():
                    begin(wait)
                announce(wait)
                got.extend(starmap(acquire, (arguments,)))
            finally:
                # First of all, and without a call: nothing interrupts it.
                wait.live = False
                me.wait = wait.before
                thread.wait = wait.blocked_before
                retract(wait)
        if got[0] is False:
            if wait is not None:
                look_at_loop(wait, monotonic())
                end(wait, "timed out")
            return False
        stack = capture(settings.depth, frame) if wait is None else wait.stack
        hold = Hold(record, me, monotonic(), stack, label_here(), scoped=scoped)
        hold.depth = depth
        _note(hold, wait)
        if wait is not None:
            look_at_loop(wait, hold.since)
    except BaseException as error:
        if got and got[0] is not False:
            if hold is not None:
                drop(hold)
            if not again:  # else it is to end with the lock, whatever ends it
                undo()
        elif wait is not None:
            end_by(wait, error)
        raise
    return True


def _enter_again(
    hold: Hold,
    acquire: Callable[..., Any],
    arguments: tuple[Any, ...],
    undo: Callable[[], object],
) -> bool:
    got: list[Any] = []
    try:
        got.extend(starmap(acquire, (arguments,)))
        hold.depth += got[0] is not False
    except BaseException:
        if got and got[0] is not False:
            undo()
        raise
    return got[0] is not False


async def enter_in_task(  # noqa: C901, PLR0912, PLR0913 - as above
    record: Record,
    acquire: Callable[[], Awaitable[Any]],
    undo: Callable[[], object],
    *,
    waits: bool = True,
    limited: bool = False,
    scoped: bool = False,
    again: bool = False,
    depth: int = 1,
) -> bool:
    """Acquire a lock in a task; the arguments are as above."""
    me = here()
    if record.reentrant:
        hold = record.holder
        if hold is not None and hold.actor is me:
            again = await acquire() is not False
            hold.depth += again  # not, if it holds it as a thread
            return again
    stack = capture(settings.depth, get_frame(2))
    if waits and me.holds and record.owned and not limited:
        learn(record, me, stack, again=again)
    wait = new_wait(record, me, stack, limited=limited)
    wait.must_get = again or is_notified(me)
    hold = None
    got: Any = False
    try:
        try:
            if waits:
                if me.holds:  # else it is in no cycle
                    wait.limited = limited or has_deadline()
                if record.busy():
                    wait.stack = capture(settings.wait_depth, get_frame(2))
                    begin(wait)
                # Announced even if the lock seems to be free: by the time that it is
                # tried, it may not be, and then this would be missing in a cycle.
                announce(wait)
            got = await acquire()
        finally:
            wait.live = False
            me.wait = wait.before
            record.announced.pop(wait, None)
        if got is False:
            if waits:
                end(wait, "timed out")
            return False
        now = monotonic()
        hold = Hold(record, me, now, wait.stack, wait.label, scoped=scoped)
        hold.depth = depth
        _note(hold, wait)
    except BaseException as error:
        if got is not False:
            if hold is not None:
                drop(hold)
            if not again:
                undo()
        elif waits:
            end_by(wait, error)
        raise
    return True


def let_go(record: Record) -> Hold | None:
    """Note that a lock is about to be released once; return whose it was."""
    me = here()
    hold = _one_of(record, me) if record.shared else record.holder
    if hold is None:
        return None
    if hold.depth > 1:
        hold.depth -= 1
        return hold
    now = monotonic()
    held = now - hold.since
    drop(hold)
    if record.shared:
        with _records.mutex:
            record.count_hold(held)
    else:
        record.count_hold(held)
        if hold.actor is not me and not record.reentrant:
            record.handed = True
    if _events.listeners:
        _events.tell(
            Event(now, "released", record, hold.actor, held, hold.stack, hold.label)
        )
    return hold


def let_go_wholly(record: Record) -> Hold | None:
    """Note that it is about to be given up, however often it was entered."""
    hold = record.holder
    if hold is not None:
        depth, hold.depth = hold.depth, 1
        let_go(record)
        hold.depth = depth
    return hold


def _one_of(record: Record, me: Actor) -> Hold | None:
    # Its own, the last one first; else somebody's who has it no more, as it seems.
    # Not a copy of permits, of which there may be very many.
    mine = list(me.holds) if record.owned else me.permits
    with suppress(RuntimeError):  # others come and go: then one is as good as another
        for hold in reversed(mine):
            if hold.record is record:
                return hold
    return record.owner


def drop(hold: Hold) -> None:
    """Note that somebody holds it no more."""
    record = hold.record
    if record.shared:
        record.among.pop(hold, None)
    elif record.holder is hold:
        record.holder = None
        if record.board is not None:
            record.board.wipe()
    record.held_by(hold.actor).pop(hold, None)


def put_back(record: Record, hold: Hold | None) -> None:
    """Note that nothing was released: it is not the caller's, or too much."""
    # One that is not re-entrant says so only if nobody holds it.
    if hold is None or not (record.reentrant or record.shared):
        return
    if hold is record.holder:
        hold.depth += 1
    else:
        _hold(hold)


def released(record: Record, hold: Hold | None) -> None:
    """Look at what was released."""
    if hold is None:
        if not record.shared:
            record.handed = True  # nobody who is known here had acquired it
    elif settings.long_hold is not None:
        look_at_hold(hold, monotonic() - hold.since)


def _hold(hold: Hold) -> None:
    record = hold.record
    record.held_by(hold.actor)[hold] = None
    if record.shared:
        record.among[hold] = None
    else:
        record.holder = hold
        if record.board is not None:
            record.board.write(hold)


def _note(hold: Hold, wait: Wait | None) -> None:
    record = hold.record
    before = record.holder
    if before is not None:
        if record.reentrant and before.actor.ident == hold.actor.ident:
            before.depth += 1  # that of a task of the same thread, which owns it
            return
        drop(before)  # who released it was interrupted, or was another process
    _hold(hold)
    waited = hold.since - wait.since if wait is not None and wait.contended else 0.0
    if record.shared:
        with _records.mutex:
            record.count(waited)
    elif waited:
        record.count(waited)
    else:
        record.acquisitions += 1
    if _events.listeners:
        _events.tell(
            Event(hold.since, "got", record, hold.actor, waited, hold.stack, hold.label)
        )


def new_wait(
    record: Record, me: Actor, stack: RawStack | None = None, *, limited: bool
) -> Wait:
    """Note that somebody is about to wait."""
    if stack is None:
        stack = capture(settings.wait_depth, get_frame(2))
    return Wait(record, me, monotonic(), stack, label_here(), limited=limited)


def begin(wait: Wait) -> None:
    """Tell that it really waits."""
    wait.contended = True
    with _records.mutex:
        wait.record.contended += 1
    if _events.listeners:
        _events.tell(
            Event(
                wait.since, "waits", wait.record, wait.actor, 0, wait.stack, wait.label
            )
        )


def end_by(wait: Wait, error: BaseException) -> None:
    """Tell that an error ended a wait."""
    end(wait, "refused" if isinstance(error, LockError) else "cancelled")


def notified(wait: Wait) -> None:
    """Tell that somebody was notified."""
    now = monotonic()
    waited = now - wait.since
    record = wait.record
    with _records.mutex:
        record.count(waited)
    if _events.listeners:
        _events.tell(
            Event(now, "got", record, wait.actor, waited, wait.stack, wait.label)
        )


def end(wait: Wait, what: What) -> None:
    """Tell that a wait ended without success."""
    if not wait.contended:
        begin(wait)
    record, now = wait.record, monotonic()
    waited = now - wait.since
    with _records.mutex:
        if what == "timed out":
            record.timeouts += 1
        elif what == "cancelled":
            record.cancellations += 1
    if _events.listeners:
        _events.tell(
            Event(now, what, record, wait.actor, waited, wait.stack, wait.label)
        )
