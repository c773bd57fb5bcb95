"""Debug locks of the kind "machine"."""

from __future__ import annotations

import weakref
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from anylock._machine.lock import MachineLock
from anylock._machine.rwlock import MachineReadLock, MachineRWLock, MachineWriteLock
from anylock.debug._around import Around, sides
from anylock.debug._stacks import Stack
from anylock.debug._stats import Who
from anylock.debug._thread import AcquiredByThreads

if TYPE_CHECKING:
    from os import PathLike

    from typing_extensions import Self

    from anylock.debug._records import Record
    from anylock.debug._stacks import Site

_records: weakref.WeakKeyDictionary[Any, Record] = weakref.WeakKeyDictionary()
"""By mutex: all locks of one path are one lock."""


class DebugOnFile(AcquiredByThreads):
    """What debug locks on files share."""

    __slots__ = ()

    def _wrap(self, plain: Any, site: Site | None = None) -> None:
        super()._wrap(plain, site)
        mutex = plain._mutex  # noqa: SLF001 - ours
        # Not its own method: that would keep the mutex alive, and with it the record.
        self._record.busy = _Busy(self._writer_of(plain))
        slots: Any = self
        slots._record = _records.setdefault(mutex, self._record)  # noqa: SLF001

    def __enter__(self) -> Self:
        self._enter(None, scoped=True)
        return self

    async def __aenter__(self) -> Any:
        await super().__aenter__()
        return self

    def _writer_of(self, plain: Any) -> Any:
        """Return the mutex that keeps others from this lock."""
        return plain._mutex  # noqa: SLF001 - ours

    def _elsewhere(self) -> Who | None:
        holder = self._plain.holder()
        if holder is None:
            return None
        seconds = max(0.0, time() - holder.since)
        name = f"{holder.by} of process {holder.pid} on {holder.host}"
        since = monotonic() - seconds
        return Who("process", name, None, since, seconds, Stack(()))


class _Busy:
    """Says whether anybody holds the mutex."""

    def __init__(self, mutex: Any) -> None:
        self._mutex = weakref.ref(mutex)

    def __call__(self) -> bool:
        mutex = self._mutex()
        return mutex is not None and bool(mutex.locked())


class DebugMachineLock(DebugOnFile, MachineLock, metaclass=Around):
    """A `MachineLock` that knows who of this process holds it and waits for it."""


class DebugMachineReadLock(DebugOnFile, MachineReadLock, metaclass=Around):
    """A side of a `MachineRWLock` that knows who of this process reads or waits."""

    family = "RWLock.read"
    shared = True

    def _writer_of(self, plain: Any) -> Any:
        return plain._writer  # noqa: SLF001 - ours

    def _elsewhere(self) -> None:
        """Do not know: who reads is not recorded."""


class DebugMachineWriteLock(DebugOnFile, MachineWriteLock, metaclass=Around):
    """A side of a `MachineRWLock` that knows who writes, and who waits to."""

    family = "RWLock.write"


class DebugMachineRWLock(MachineRWLock):
    """A `MachineRWLock` that knows who is inside and who waits, and tells."""

    __slots__ = ()

    def __init__(
        self, name: str | None = None, *, path: str | PathLike[str] | None = None
    ) -> None:
        super().__init__(name, path=path)
        self._read, self._write = sides(
            DebugMachineReadLock, DebugMachineWriteLock, super()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by path, as the others."""
        arrived, (_, name, path) = super().__reduce__()
        return arrived, (DebugMachineRWLock, name, path)

    if TYPE_CHECKING:

        @property
        def read(self) -> DebugMachineReadLock: ...
        @property
        def write(self) -> DebugMachineWriteLock: ...
