"""Who holds what and who waits for what, at this moment, on paper."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from anylock.debug._records import known
from anylock.debug._stacks import Stack, capture

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import TextIO

    from anylock.debug._actors import Actor
    from anylock.debug._records import Hold, Record, Wait
    from anylock.debug._stacks import RawStack


_sys: Any = sys


def dump(file: TextIO | None = None) -> None:
    """Print every debug lock that is held or awaited, with who, since when, and where.

    It waits for nobody and takes no lock of ours, so it may be called while everything
    is stuck, and from a signal handler.

    Args:
        file: Where to; None is the standard error stream.
    """
    text = describe_all()
    if file is None:
        _print(text)
    else:
        file.write(text)


def dump_on_signal(number: int) -> Any:
    """Let a signal dump, as `signal.SIGUSR1`.

    It does so in the main thread, as soon as that runs Python: a main thread that waits
    for a lock does. What happens to be the handler is called afterwards.

    Args:
        number: Of the signal.

    Returns:
        The handler before, for `signal.signal`.
    """
    before = signal.getsignal(number)

    def handle(signal_number: int, frame: FrameType | None) -> None:
        dump()
        if callable(before):
            before(signal_number, frame)

    return signal.signal(number, handle)


def describe_all() -> str:
    """Return what `dump` prints."""
    now = monotonic()
    parts = [
        _describe(record, now) for record in known() if record.holds or record.waits
    ]
    if not parts:
        return f"anylock: no debug lock is held or awaited (process {os.getpid()})\n"
    head = f"anylock: debug locks that are held or awaited (process {os.getpid()}):"
    return "\n".join([head, *parts, "anylock: end"]) + "\n"


def _describe(record: Record, now: float) -> str:
    name = "" if record.name is None else f" {record.name!r}"
    lines = [f"{record.kind} {record.family}{name}, made at {record.site}"]
    for hold in record.holds:
        lines += _party("held by", hold, now)
        lines += _whereabouts(hold.actor)
    for wait in record.waits:
        what = "notification awaited by" if wait.for_notice else "awaited by"
        lines += _party(what, wait, now)
    return "\n".join(lines)


def _party(what: str, of: Hold | Wait, now: float) -> list[str]:
    label = f" [{of.label}]" if of.label else ""
    return [
        f"  {what} {of.actor}{label} for {now - of.since:.3f} s, at",
        *_indented(Stack(of.stack)),
    ]


def _whereabouts(actor: Actor) -> list[str]:
    """Tell where somebody is now who holds a lock."""
    stack: RawStack = ()
    if actor.ended:
        return []
    if actor.kind == "thread":
        frame = _sys._current_frames().get(actor.ident)  # noqa: SLF001 - documented
        stack = capture(32, frame)
    else:
        task = actor.subject
        get_coro = getattr(task, "get_coro", None)  # of asyncio
        stack = _awaits(task.coro if get_coro is None else get_coro())
    return ["    which is now at", *_indented(Stack(stack))] if stack else []


def _awaits(coroutine: Any) -> RawStack:
    """Return where a coroutine is, and what it awaits, and so on."""
    chain: list[tuple[CodeType, int]] = []
    while True:
        frame: FrameType | None = getattr(coroutine, "cr_frame", None)
        if frame is None:  # it is a future, or of another language
            frame = getattr(coroutine, "gi_frame", None)
        if frame is None:
            return tuple(reversed(chain))
        chain.append((frame.f_code, frame.f_lasti))
        awaited = getattr(coroutine, "cr_await", None)
        coroutine = awaited or getattr(coroutine, "gi_yieldfrom", None)


def _indented(stack: Stack) -> list[str]:
    return [f"    {line}" for line in str(stack).splitlines()]


def _print(text: str) -> None:
    stream = sys.stderr
    if stream is None:
        return
    # Not the stream's own way where there is another one: a handler may interrupt it,
    # and it may belong to somebody who is stuck.
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        stream.write(text)
        return
    data = text.encode("utf-8", "backslashreplace")
    # An error must not hit what a handler interrupted: nobody may read any more.
    with suppress(OSError, ValueError):
        while data:
            data = data[_write(number, data) :]


def _write(number: int, data: bytes) -> int:
    try:
        return os.write(number, data)
    except BlockingIOError:  # somebody's event loop writes there too
        select.select((), (number,), ())
        return 0
