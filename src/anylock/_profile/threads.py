"""Stand-ins for the locks of `threading`: they do the same, and tell of it."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from anylock._profile.leaving import leave
from anylock._profile.ledger import record_at
from anylock._profile.origin import origin
from anylock._profile.standin import Derived, StandIn, is_busy
from anylock.debug._notices import await_notice
from anylock.debug._stacks import get_frame
from anylock.debug._ways import (
    REFUSED,
    enter,
    let_go,
    let_go_wholly,
    put_back,
    released,
)

if TYPE_CHECKING:
    from typing_extensions import Self

    from anylock.debug import Record, Site

_lock: Any = threading.Lock
_rlock: Any = threading.RLock
_lock_type: Any = _lock().__class__
_rlock_type: Any = _rlock().__class__

_threading: Any = threading
_c_rlock = _threading._CRLock  # noqa: SLF001 - gevent takes it away, for one in Python

_FOREVER = (True, -1)


class _Around(StandIn):
    """A stand-in for what cannot be the base of a class."""

    __slots__ = ("__weakref__", "_anylock", "_plain")

    if TYPE_CHECKING:
        _plain: Any
        _anylock: Record

    kind = "thread"

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        """Make one, or the real thing for the standard library."""
        derived = "real" not in vars(cls)
        site = origin(get_frame(0).f_back, always=derived)
        replaced = cls.family == "RLock" and _threading._CRLock is not _c_rlock  # noqa: SLF001
        if site is None or replaced or ((arguments or options) and not derived):
            return cls.real(*arguments, **options)  # which may be an error of its own
        return cls.at(site)

    if not TYPE_CHECKING:  # to them, the class is that which it is

        @property
        def __class__(self) -> type:
            """That of the real one, to which `isinstance` looks as well."""
            cls = type(self)
            return cls.real_type if "real" in vars(cls) else cls

    @classmethod
    def at(cls, site: Site) -> Self:
        """Make one that counts as made there."""
        made = super().__new__(cls)
        made._plain = cls.real()
        made._anylock = record_at(
            site,
            "thread",
            cls.family,
            partial(is_busy, weakref.ref(made), cls.busy),
            reentrant=cls.family == "RLock",
        )
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain.__reduce_ex__(protocol)  # an error: no lock can be sent

    def __repr__(self) -> str:
        return repr(self._plain)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        plain = self._plain
        if blocking is True and timeout == -1:
            return enter(
                self._anylock,
                plain.acquire,
                _FOREVER,
                plain.release,
                attempt=plain.acquire,
            )
        # Whatever is odd about the arguments, the real one shall say so.
        return enter(
            self._anylock,
            plain.acquire,
            (blocking, timeout),
            plain.release,
            waits=bool(blocking),
            limited=timeout != -1,
        )

    def __enter__(self) -> bool:
        plain = self._plain
        return enter(
            self._anylock,
            plain.acquire,
            _FOREVER,
            plain.release,
            attempt=plain.acquire,
            scoped=True,
        )

    # Written out: see `leave`.

    def release(self) -> None:
        hold = None
        try:
            hold = let_go(self._anylock)
        finally:
            try:
                self._plain.release()
            except REFUSED:
                put_back(self._anylock, hold)
                raise
        released(self._anylock, hold)

    def __exit__(self, *exc_info: object) -> None:
        hold = None
        try:
            hold = let_go(self._anylock)
        finally:
            try:
                self._plain.release()
            except REFUSED:
                put_back(self._anylock, hold)
                raise
        released(self._anylock, hold)

    def _at_fork_reinit(self) -> None:
        self._plain._at_fork_reinit()  # noqa: SLF001 - as the standard library calls it
        self._anylock.forget_holds()


class Lock(_Around):
    """A stand-in for `threading.Lock`."""

    __slots__ = ()
    __module__ = "threading"

    real = _lock
    real_type = _lock_type
    family = "Lock"

    def __init_subclass__(cls) -> None:
        """Refuse to be a base, as the real one does."""
        message = "type 'threading.Lock' is not an acceptable base type"
        raise TypeError(message)

    def busy(self) -> object:
        return self._plain.locked()

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        return self.acquire(blocking, timeout)

    def release_lock(self) -> None:
        self.release()


class RLock(_Around):
    """A stand-in for `threading.RLock`, and its type, from which one may derive."""

    __slots__ = ()
    __module__ = "threading"

    real = _rlock
    real_type = _rlock_type
    family = "RLock"

    def busy(self) -> object:
        # Before Python 3.14 it does not say itself whether it is locked.
        return self._anylock.holder is not None

    # What a condition asks for.

    def _release_save(self) -> Any:
        hold = let_go_wholly(self._anylock)
        try:
            return self._plain._release_save()  # noqa: SLF001 - as above
        except RuntimeError:
            put_back(self._anylock, hold)
            raise

    def _acquire_restore(self, state: Any) -> None:
        plain = self._plain
        restore = plain._acquire_restore  # noqa: SLF001 - as above
        enter(
            self._anylock,
            restore,
            (state,),
            plain.release,
            scoped=True,
            again=True,
            depth=state[0],
        )


class Condition(Derived, threading.Condition):
    """A stand-in for `threading.Condition`."""

    __module__ = "threading"

    real = threading.Condition
    real_type = threading.Condition
    kind = "thread"
    family = "Condition"
    shared = True
    owned = False

    def __init__(self, lock: Any = None) -> None:
        if lock is None and _threading.RLock is RLock:  # else that of eventlet
            lock = RLock.at(self._anylock.site)
        inside: Any = super()
        inside.__init__(lock)

    def wait(self, timeout: float | None = None) -> bool:
        wait = partial(super().wait, timeout)
        return await_notice(self._anylock, wait, limited=timeout is not None)


class _Permits(Derived):
    """What both sorts of semaphores do."""

    kind = "thread"
    shared = True
    owned = False

    if TYPE_CHECKING:
        _value: int

    def busy(self) -> object:
        return not self._value

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - threading's signature
        inside: Any = super()
        acquire, release = inside.acquire, inside.release
        if blocking and timeout is None:
            return enter(self._anylock, acquire, (True, None), release, attempt=acquire)
        return enter(
            self._anylock,
            acquire,
            (blocking, timeout),
            release,
            waits=bool(blocking),
            limited=True,
        )

    # As the real one has it: what a derived class makes of acquire is not asked.
    __enter__ = acquire

    def release(self, n: int = 1) -> None:
        inside: Any = super()
        leave(self._anylock, inside.release, n, permits=n)

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class Semaphore(_Permits, threading.Semaphore):
    """A stand-in for `threading.Semaphore`."""

    __module__ = "threading"

    real = threading.Semaphore
    real_type = threading.Semaphore
    family = "Semaphore"


class BoundedSemaphore(_Permits, threading.BoundedSemaphore):
    """A stand-in for `threading.BoundedSemaphore`."""

    __module__ = "threading"

    real = threading.BoundedSemaphore
    real_type = threading.BoundedSemaphore
    family = "BoundedSemaphore"
