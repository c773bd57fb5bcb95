"""What all debug locks share: a lock inside, and the record of it.

A debug lock is of a subclass of the class of the lock inside, so that it goes wherever
that goes. But it has nothing of its own from it: every way in and out is around that of
the lock inside, and everything else is that lock's.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from operator import attrgetter
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from anylock._bridged import NativeSlots
from anylock._hold import TimedHold
from anylock.debug._records import Record
from anylock.debug._settings import settings
from anylock.debug._stats import Stats, Who, stats_of
from anylock.debug._ways import (
    REFUSED,
    enter,
    enter_in_task,
    let_go,
    put_back,
    released,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from anylock.debug._records import Hold
    from anylock.debug._stacks import Site

_NOBODYS: tuple[Any, ...] = (object, Generic, Protocol)


class Around(NativeSlots):
    """The metaclass of debug locks: what they do not do, the lock inside does."""

    def __new__(  # noqa: PYI034 - a metaclass has no Self
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> Around:
        """Make a class; the last base is that of the lock inside."""
        own = dict(namespace)
        if not any(isinstance(base, Around) for base in bases):
            *mixins, inside = bases
            own["_class"] = inside
            own["__slots__"] = ("_plain", "_record")
            done = {*own, *(n for mixin in mixins for n in dir(mixin))}
            for base in inside.__mro__:
                for attribute in vars(base) if base not in _NOBODYS else ():
                    if attribute not in done and not attribute.startswith("__"):
                        own[attribute] = property(attrgetter(f"_plain.{attribute}"))
        # Not that of NativeSlots: there are no slots here that hold methods.
        return type.__new__(cls, name, bases, own)


class Debug:
    """What debug locks of all kinds share."""

    __slots__ = ()

    family: ClassVar[str] = "Lock"
    shared: ClassVar[bool] = False
    reentrant: ClassVar[bool] = False
    owned: ClassVar[bool] = True

    if TYPE_CHECKING:
        _class: ClassVar[Any]
        _plain: Any
        _record: Record

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._wrap(self._class(*arguments, **options))
        self._record.reset_after_fork = bool(options.get("reset_after_fork"))

    def _wrap(self, plain: Any, site: Site | None = None) -> None:
        slots: Any = self  # the metaclass declares them: the layouts differ
        slots._plain = plain  # noqa: SLF001
        slots._record = Record(  # noqa: SLF001
            plain.kind,
            self.family,
            plain.name,
            plain.locked,
            shared=self.shared,
            reentrant=self.reentrant,
            owned=self.owned,
        )
        if site is not None:
            self._record.site = site

    @property
    def record(self) -> Record:
        """What is known of it, as events have it."""
        return self._record

    def stats(self) -> Stats:
        """Return who holds it, who waits for it, and what was counted so far."""
        return stats_of(self._record, self._elsewhere())

    def _elsewhere(self) -> Who | None:
        return None

    def __repr__(self) -> str:
        return f"<debug {self._plain!r}>"

    def __reduce__(self) -> Any:
        self._plain.__reduce_ex__(2)  # if that is not to be sent, neither is this
        return around, (type(self), self._plain, self._record.site)

    def _at_fork_reinit(self) -> None:
        self._plain._at_fork_reinit()  # noqa: SLF001
        self._record.forget_holds()

    def try_acquire(self) -> bool:
        """Take it if that needs no waiting; say whether it was taken."""
        plain = self._plain
        return enter(self._record, plain.try_acquire, (), plain.release, waits=False)

    def hold(self, timeout: float | None = None) -> TimedHold[Self]:
        """Give a context manager that waits at most `timeout` seconds."""
        return TimedHold(self, timeout, self._enter_within, self._enter_task_within)

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        return self._record.name

    def __enter__(self) -> Any:
        self._enter(None, scoped=True)
        return True

    def _enter_within(self, timeout: float | None) -> bool:
        return self._enter(timeout, scoped=True)

    def _enter(self, timeout: float | None, *, scoped: bool) -> bool:
        raise NotImplementedError

    async def __aenter__(self) -> Any:
        plain = self._plain
        await enter_in_task(self._record, plain.__aenter__, plain.release, scoped=True)

    # The ways out are written out: wherever a signal handler raises, once they have
    # begun, the lock inside is released.

    def release(self) -> None:
        """Release it."""
        hold = None
        try:
            hold = let_go(self._record)
        finally:
            try:
                self._plain.release()
            except REFUSED:
                put_back(self._record, hold)
                raise
        if hold is None or settings.long_hold is not None:
            released(self._record, hold)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        hold = None
        try:
            hold = let_go(self._record)
        finally:
            try:
                self._plain.__exit__(exc_type, exc_value, traceback)
            except REFUSED:
                put_back(self._record, hold)
                raise
        if hold is None or settings.long_hold is not None:
            released(self._record, hold)

    async def __aexit__(self, *exc_info: object) -> None:
        hold = None
        try:
            hold = let_go(self._record)
        finally:
            try:
                await self._plain.__aexit__(*exc_info)
            except REFUSED:
                put_back(self._record, hold)
                raise
        if hold is None or settings.long_hold is not None:
            released(self._record, hold)

    async def _enter_task_within(self, timeout: float | None) -> bool:
        plain = self._plain
        return await enter_in_task(
            self._record,
            partial(plain._enter_task_within, timeout),  # noqa: SLF001 - ours
            plain.release,
            waits=timeout != 0,
            limited=is_limited(timeout),
            scoped=True,
        )


class DebugBlocking(Debug):
    """What those share that block a thread, and know whether they have to."""

    __slots__ = ()

    def _enter(self, timeout: float | None, *, scoped: bool) -> bool:
        plain = self._plain
        if timeout is None:
            return enter(
                self._record,
                # Not acquire: that may be Python, which a signal handler can interrupt.
                plain.__enter__,
                (),
                plain.release,
                attempt=self._attempt(),
                scoped=scoped,
            )
        return enter(
            self._record,
            plain._enter_within,  # noqa: SLF001 - ours
            (timeout,),
            plain.release,
            attempt=self._attempt(),
            waits=timeout != 0,
            limited=is_limited(timeout),
            scoped=scoped,
        )

    def _attempt(self) -> Callable[[bool], Any] | None:
        """Return what tries once, and loses nothing if a signal handler raises."""
        attempt: Callable[[bool], Any] = self._plain.acquire
        return attempt


class DebugPermits(Debug):
    """What semaphores have beyond that."""

    __slots__ = ()

    family = "Semaphore"
    shared = True
    owned = False

    def release(self, n: int = 1) -> None:
        """Give `n` permits back."""
        holds: list[Hold | None] = []
        try:
            # Whatever is odd about the number, the semaphore inside shall say so.
            if isinstance(n, int):  # pyright: ignore[reportUnnecessaryIsInstance]
                holds.extend(map(let_go, repeat(self._record, n)))
        finally:
            try:
                self._plain.release(n)
            except REFUSED:
                for hold in holds:
                    put_back(self._record, hold)
                raise
        for hold in holds:
            released(self._record, hold)


def is_limited(timeout: float | None) -> bool:
    """Say whether a wait for so many seconds ends by itself."""
    return timeout is not None and timeout < TIMEOUT_MAX


L = TypeVar("L", bound=Debug)


def around(cls: type[L], plain: Any, site: Site | None = None) -> L:
    """Make a debug lock around one that there is.

    Args:
        cls: Of what class.
        plain: The lock inside.
        site: Where it was made; None if that is here.
    """
    lock = cls.__new__(cls)
    lock._wrap(plain, site)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    return lock


S = TypeVar("S", bound=Debug)


def sides(
    read: type[L], write: type[S], plain: Any, *, reset_after_fork: bool = False
) -> tuple[L, S]:
    """Make debug locks around both sides of a read-write lock.

    Args:
        read: The class of the one.
        write: The class of the other.
        plain: The read-write lock.
        reset_after_fork: Whether nobody is inside in a forked child.
    """
    reads, writes = around(read, plain.read), around(write, plain.write)
    one, other = reads.record, writes.record
    one.beside, other.beside = (other,), (other, one)
    one.reset_after_fork = other.reset_after_fork = reset_after_fork
    return reads, writes
