"""make_lock: from the name of a kind to its adapter, imported on first use."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from typing import Any, Literal, overload

    from anylock._async.lock import AsyncLock
    from anylock._process.lock import ProcessLock
    from anylock._protocol import Lock
    from anylock._thread.lock import ThreadLock
else:

    def overload(function):  # noqa: ANN001, ANN202 - what remains of it at run time
        return function


_ADAPTERS: dict[str, tuple[str, str, frozenset[str]]] = {
    "async": ("anylock._async.lock", "AsyncLock", frozenset({"fast_acquire"})),
    "process": ("anylock._process.lock", "ProcessLock", frozenset({"context"})),
    "thread": ("anylock._thread.lock", "ThreadLock", frozenset({"reset_after_fork"})),
}
"""Kind -> module, class, the options it takes beside the name."""

_loaded: dict[str, Any] = {}
"""Kind -> class, once it has been used."""


@overload
def make_lock(
    kind: Literal["thread"], *, name: str | None = None, reset_after_fork: bool = False
) -> ThreadLock: ...
@overload
def make_lock(
    kind: Literal["process"],
    *,
    name: str | None = None,
    context: BaseContext | None = None,
) -> ProcessLock: ...
@overload
def make_lock(
    kind: Literal["async"], *, name: str | None = None, fast_acquire: bool = False
) -> AsyncLock: ...
@overload
def make_lock(kind: str | None = None, *, name: str | None = None) -> Lock: ...
def make_lock(
    kind: str | None = None, *, name: str | None = None, **options: Any
) -> Lock:
    """Make a lock of the kind that covers everybody who may contend.

    Take the lowest rung that is high enough: "async" for tasks of one event loop,
    "thread" for threads and tasks of one process, "process" for a process and the
    processes it starts. All are used alike; see `Lock`.

    Args:
        kind: "thread", "process" or "async". None takes the value of the environment
            variable `ANYLOCK_KIND`; if that is not set, "async" where an event loop
            of asyncio or trio runs in this thread, else "thread".
        name: A label for reprs and errors.
        **options: `reset_after_fork` for "thread", `context` for "process",
            `fast_acquire` for "async"; see the classes.

    Raises:
        TypeError: The kind does not take such an option, or `name` is not a string.
        ValueError: There is no such kind.
    """
    source = "kind"
    if kind is None:
        kind = os.environ.get("ANYLOCK_KIND")
        source = "the environment variable ANYLOCK_KIND"
    if kind is None:
        kind = "async" if _in_event_loop() else "thread"
    if not isinstance(kind, str) or kind not in _ADAPTERS:  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = ", ".join(repr(known) for known in _ADAPTERS)
        message = f"{source} must be one of {kinds}, not {kind!r}"
        raise ValueError(message)
    if options:
        _refuse_foreign_options(kind, options)
    lock: Lock = (_loaded.get(kind) or _load(kind))(name, **options)
    return lock


def _refuse_foreign_options(kind: str, options: dict[str, Any]) -> None:
    known = _ADAPTERS[kind][2]
    for option in options.keys() - known:
        takers = [k for k, (_, _, taken) in _ADAPTERS.items() if option in taken]
        where = f"; {option!r} belongs to {takers[0]!r}" if takers else ""
        takes = ", ".join(["name", *sorted(known)])
        message = f"kind {kind!r} does not take {option!r}: it takes {takes}{where}"
        raise TypeError(message)


def _load(kind: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 - once per kind

    module, adapter, _ = _ADAPTERS[kind]
    _loaded[kind] = getattr(import_module(module), adapter)
    return _loaded[kind]


def _in_event_loop() -> bool:
    # Whoever runs a loop has imported its library; nothing else needs to be.
    if "asyncio" not in sys.modules and "trio" not in sys.modules:
        return False
    from anylock._parking import running_library  # noqa: PLC0415 - as said above

    return running_library() is not None
