"""Who holds and who waits: threads, and tasks, also those that share a thread.

The numbers by which the system and the interpreter know them are used again after
their death. These objects are not.
"""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal

from anylock import _parking
from anylock._inside import here as key_here
from anylock._parking import ThreadMarker

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from anylock.debug._records import Hold, Wait

_numbers = count(1)
_threading: Any = threading
_threads: dict[int, threading.Thread] = _threading._active  # noqa: SLF001 - see ThisThread

_label: ContextVar[str | None] = ContextVar("anylock.debug.label", default=None)


class Actor:
    """A thread, or a task of asyncio or trio."""

    __slots__ = (
        "__weakref__",
        "_name",
        "_subject",
        "holds",
        "ident",
        "kind",
        "number",
        "permits",
        "signature",
        "wait",
    )

    def __init__(self, kind: Literal["task", "thread"], subject: Any) -> None:
        self.kind: Literal["task", "thread"] = kind
        """What it is."""
        self.number: int = next(_numbers)
        """Nobody else's, ever."""
        self.ident: int = get_ident()
        """The ident of the thread, or of that in which the task was first met."""
        self.holds: dict[Hold, None] = {}
        """What it holds at this moment, in the order in which it came."""
        self.permits: dict[Hold, None] = {}
        """The same of semaphores, of which it may have very many."""
        self.wait: Wait | None = None
        """What it waits for. If it is a thread: what keeps it from running, be it that
        a task of its event loop blocks it."""
        self._subject = subject
        self._name: str | None = None
        self.signature: bytes = str(self).encode()
        """What it is called at first, for other processes."""

    @property
    def subject(self) -> Any:
        """The task or `threading.Thread`; None if it is gone, or not known."""
        subject = self._subject
        if subject is not None:
            return subject()
        if self.kind == "thread" and self.ident in _threads:
            # It was met before `threading` knew it.
            self._subject = weakref.ref(_threads[self.ident])
            return self._subject()
        return None

    @property
    def name(self) -> str:
        """The name of the thread or task, or the last one that was known."""
        subject = self.subject
        if subject is not None:
            get_name = getattr(subject, "get_name", None)
            self._name = subject.name if get_name is None else get_name()
        return self._name or f"{self.kind} {self.ident}"

    @property
    def ended(self) -> bool:
        """Whether it is known to have ended."""
        subject = self.subject
        if subject is None:
            return self._subject is not None
        if self.kind == "thread":
            # Not is_alive(): that may take a lock of `threading`, which this thread may
            # have if a signal handler asks.
            return _threads.get(self.ident) is not subject
        done = getattr(subject, "done", None)
        return done() if done else getattr(subject.coro, "cr_frame", True) is None

    def __str__(self) -> str:
        ended = ", which has ended" if self.ended else ""
        return f"{self.kind} {self.name!r}{ended}"

    def __repr__(self) -> str:
        return f"<{self} #{self.number}>"


class ThisThread(threading.local):
    """The actor of the thread that reads it."""

    def __init__(self) -> None:
        # Not current_thread(): a thread that just begins is not there yet, and would
        # be given a second object.
        thread = _threads.get(get_ident())
        self.actor = Actor("thread", None if thread is None else weakref.ref(thread))


this_thread = ThisThread()

_tasks: dict[weakref.ref[Any], Actor] = {}


def here() -> Actor:
    """Return who runs here: the running task, or else this thread."""
    key = key_here()
    if type(key) is ThreadMarker:
        return this_thread.actor
    return _tasks.get(weakref.ref(key)) or _meet(key)


def _meet(task: Any) -> Actor:
    actor = Actor("task", weakref.ref(task))
    _tasks[weakref.ref(task, _forget)] = actor
    return actor


def _forget(task: weakref.ref[Any], tasks: dict[Any, Actor] = _tasks) -> None:
    tasks.pop(task, None)


def loops_here() -> tuple[Any, ...]:
    """Return the event loops that stop while this thread is blocked.

    There may be two: trio can be the guest of asyncio. A run of trio is known by its
    root task.
    """
    loops = [_parking.asyncio_loop()]
    if _parking.in_trio():
        loops.append(_parking.trio_lowlevel.current_root_task())
    return tuple(loop for loop in loops if loop is not None)


label_here = _label.get
"""Returns the label that is set here."""


class label:  # noqa: N801 - used like a function
    """Label what is acquired and awaited inside of this `with`.

    Tasks that are started inside inherit it; threads do not.

    Args:
        text: What is being done here, for whom.
    """

    __slots__ = ("_before", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self._before: list[str | None] = []

    def __enter__(self) -> Self:
        self._before.append(_label.get())
        _label.set(self.text)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        _label.set(self._before.pop())
