"""From the name of a kind to its class, imported on first use."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see the package
if TYPE_CHECKING:
    from typing import Any

_OPTIONS: dict[str, frozenset[str]] = {
    "async": frozenset({"fast_acquire"}),
    "machine": frozenset({"fair", "path"}),
    "process": frozenset({"context"}),
    "thread": frozenset({"reset_after_fork"}),
}
"""Kind -> the options it takes beside those that all kinds take."""

_FAMILY = ("async", "process", "thread")
_KINDS: dict[str, tuple[str, ...]] = {
    "Lock": tuple(_OPTIONS),
    "RWLock": ("async", "machine", "thread"),
}
"""Member of the family -> the kinds that have it, if these are not the usual three."""

_FEWER_OPTIONS: dict[str, frozenset[str]] = {
    "Condition": frozenset({"context"}),  # the others are those of its lock
    "RWLock": frozenset({"fast_acquire", "path", "reset_after_fork"}),
}
"""Member of the family -> the options it takes, if these are not all of its kind."""

_loaded: dict[tuple[str, str, bool], Any] = {}
"""Kind, member of the family, whether it is a debug one -> class, once it was used."""

debugging = os.environ.get("ANYLOCK_DEBUG", "0") not in {"", "0"}
"""Whether all that is made is a debug one, unless `debug` says otherwise."""


def adapter(
    kind: str | None, member: str, options: dict[str, Any], *, debug: bool | None
) -> Any:
    """Return the class of that kind, which takes these options.

    Args:
        kind: As for `make_lock`.
        member: Of the family: "Lock", "RLock", and so on.
        options: What the class is to be called with.
        debug: Whether it is to be a debug one; None if the environment shall say.

    Raises:
        TypeError: The kind does not take such an option.
        ValueError: There is no such kind.
    """
    debug = debugging if debug is None else bool(debug)
    if isinstance(kind, str) and not options:
        found = _loaded.get((kind, member, debug))
        if found is not None:  # most often: nothing else is left to check then
            return found
    source = "kind"
    if kind is None:
        kind = os.environ.get("ANYLOCK_KIND")
        source = "the environment variable ANYLOCK_KIND"
    if kind is None:
        kind = "async" if _in_event_loop() else "thread"
    known = _KINDS.get(member, _FAMILY)
    if not isinstance(kind, str) or kind not in known:  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = ", ".join(map(repr, known))
        message = f"{source} must be one of {kinds}, not {kind!r}"
        raise ValueError(message)
    if options:
        _refuse_foreign_options(kind, member, options)
    return _loaded.get((kind, member, debug)) or _load(kind, member, debug=debug)


def _refuse_foreign_options(kind: str, member: str, options: dict[str, Any]) -> None:
    known = _taken_by(kind, member)
    for option in options.keys() - known:
        others = _KINDS.get(member, _FAMILY)
        takers = [each for each in others if option in _taken_by(each, member)]
        where = f"; {option!r} belongs to {takers[0]!r}" if takers else ""
        takes = ", ".join(["name", *sorted(known)])
        message = f"kind {kind!r} does not take {option!r}: it takes {takes}{where}"
        raise TypeError(message)


def _taken_by(kind: str, member: str) -> frozenset[str]:
    return _OPTIONS[kind] & _FEWER_OPTIONS.get(member, _OPTIONS[kind])


def _load(kind: str, member: str, *, debug: bool) -> Any:
    from importlib import import_module  # noqa: PLC0415 - once per class

    if debug:
        module = import_module(f"anylock.debug._{kind}")
        name = f"Debug{kind.capitalize()}{member}"
    else:
        file = member.removeprefix("Bounded").lower()
        module = import_module(f"anylock._{kind}.{file}")
        name = f"{kind.capitalize()}{member}"
    found = _loaded[kind, member, debug] = getattr(module, name)
    return found


def _in_event_loop() -> bool:
    # Whoever runs a loop has imported its library; nothing else needs to be.
    if "asyncio" not in sys.modules and "trio" not in sys.modules:
        return False
    from anylock._parking import running_library  # noqa: PLC0415 - as said above

    return running_library() is not None
