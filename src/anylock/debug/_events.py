"""What happens to debug locks, told at once to those who listen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.debug._actors import Actor
    from anylock.debug._findings import Finding
    from anylock.debug._records import Record
    from anylock.debug._stacks import RawStack

T = TypeVar("T")

What = Literal["waits", "got", "timed out", "cancelled", "refused", "released"]
"""What happens: "waits" is followed by one of the next four."""


class Event(NamedTuple):
    """Something that happened to a debug lock, told by the thread that did it."""

    when: float
    """By `time.monotonic`."""
    what: What
    lock: Record
    """The record of the lock: its `number`, `kind`, `family`, `name`, `site`."""
    actor: Actor
    """Who waits, holds, or gave up; of "released", who held it."""
    seconds: float
    """How long it waited, or of "released", held; 0 of "waits"."""
    stack: RawStack
    """Where it waits, or took it: `Stack(event.stack)`. Of "released", where it was
    taken."""
    label: str | None
    """What `label` said there."""


listeners: tuple[Callable[[Event], object], ...] = ()
finders: tuple[Callable[[Finding], object], ...] = ()


def listen(
    events: Callable[[Event], object] | None = None,
    findings: Callable[[Finding], object] | None = None,
) -> Callable[[], None]:
    """Call something for each event, or for each finding, of all debug locks.

    It is called amid the acquire or release, by whoever does that: it must be quick,
    must not wait, and must not use debug locks. `collections.deque().append` is best.
    What it raises is told by `sys.unraisablehook`, and has no other effect.

    Args:
        events: Called with each `Event`.
        findings: Called with each `Finding`.

    Returns:
        What ends it.
    """
    global finders, listeners  # noqa: PLW0603 - those who tell look at one tuple
    if events is not None:
        listeners = (*listeners, events)
    if findings is not None:
        finders = (*finders, findings)

    def stop() -> None:
        global finders, listeners  # noqa: PLW0603 - as above
        listeners = tuple(each for each in listeners if each is not events)
        finders = tuple(each for each in finders if each is not findings)

    return stop


class _Unraisable(NamedTuple):
    exc_type: type[BaseException]
    exc_value: BaseException
    exc_traceback: object
    err_msg: str
    object: object


def tell(event: Event) -> None:
    """Tell those who listen to events."""
    for listener in listeners:
        call(listener, event)


def call(listener: Callable[[T], object], told: T) -> None:
    """Tell one of them; an error of a listener must not lose a lock."""
    try:
        listener(told)
    except Exception as error:  # noqa: BLE001 - as said
        message = "Exception ignored in a listener of anylock.debug"
        hook: Any = sys.unraisablehook
        hook(_Unraisable(type(error), error, error.__traceback__, message, listener))
