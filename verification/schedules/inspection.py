"""What is so when all actors have gone: nobody is left, and nothing is lost."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anylock._blocking import BlockedThread
from anylock._parking import this_thread

from .patches import is_free, is_native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .actors import Section
    from .loops import Flavour
    from .scenarios import Kind

PATIENCE = 5.0
"""Seconds for which the lock may be taken by a helper that has yet to see the end."""


def granted_here(lock: Any) -> bool:
    """Say whether a task of this thread was granted the lock and has not run since."""
    bridge = lock._bridge
    if bridge is None:
        return False
    return any(
        waiter.thread is this_thread.marker and not waiter.resumed and waiter.granted
        for waiter in granted(bridge)
    )


def granted(bridge: Any) -> list[Any]:
    """Give the tasks that have the lock or were granted it, as far as it knows."""
    holder = getattr(bridge, "holder", None)
    return [*([] if holder is None else [holder]), *getattr(bridge, "_granted", ())]


def lock_of(lock: Any) -> Any:
    """Give the lock of a condition; others are given back."""
    return getattr(lock, "_lock", lock)


def while_all_wait(lock: Any, section: Section) -> str | None:
    """Tell what is wrong with a lock that nobody does anything about just now."""
    inner = lock_of(lock)
    if inner is not lock:
        waiting = [it for it in lock._notices._waiters if not it.granted]
        # If it is not free, whoever was notified may be on the way to it.
        if waiting and section.has_goods() and is_free(inner):
            return f"{len(waiting)} wait for {section.goods}, and nobody takes them"
    return None if inner._bridge is None else _at_rest(inner, inner._bridge)


def _at_rest(lock: Any, bridge: Any) -> str | None:
    if bridge._mail:
        return "steps are left in the mailbox"
    if bridge._queue and is_free(lock):
        return f"it is free, and {len(bridge._queue)} are queued"
    # Who was granted it before, has given it back: it is garbage.
    if any(getattr(it, "lost_its_loop", bool)() for it in granted(bridge)):
        return "it was granted to a loop that is closed"
    # Threads that are queued are not cared for: they come in as they can.
    tasks = [w for w in bridge._queue if not isinstance(w, BlockedThread)]
    held = granted(bridge) or (getattr(bridge, "_held", None) and bridge.permits)
    if (tasks or held) and is_native(lock):
        return "its methods are native, but tasks have it or wait for it"
    return None


def complaints(lock: Any, permits: int) -> Iterator[str]:
    """Tell what is wrong with a lock of kind "thread" or "process" that is left."""
    inner = lock_of(lock)
    if inner is not lock and len(lock._notices):
        yield f"{len(lock._notices)} wait to be notified"
    if inner._bridge is not None:
        yield from _left_behind(inner._bridge)
    if inner.locked():
        yield "it is locked"
    elif getattr(inner, "value", permits) != permits:
        yield f"{inner.value} permits are left of {permits}"


def _left_behind(bridge: Any) -> Iterator[str]:
    for name in ("_queue", "_cohorts", "_mail", "_helping", "_granted", "_moving"):
        if getattr(bridge, name, None):
            yield f"{name} is {getattr(bridge, name)!r}"
    if getattr(bridge, "_held", None) and bridge.permits:
        yield f"_held is {bridge._held!r}"
    for name in ("holder", "_elected"):
        if getattr(bridge, name, None) is not None:
            yield f"{name} is {getattr(bridge, name)!r}"
    if hasattr(bridge, "_lent") and bridge._lent.by is not None:
        yield f"the inner lock is still that of {bridge._lent.by!r}"


def use(lock: Any) -> Iterator[str]:
    """Take it and give it back, in a thread; tell what is wrong."""
    try:
        with lock.hold(PATIENCE):
            pass
    except TimeoutError:
        yield "it cannot be had any more"
    with lock:
        pass
    if not is_native(lock):
        yield "its methods are not the native ones again"


def of_tasks(lock: Any, kind: Kind, permits: int, flavour: Flavour) -> Iterator[str]:
    """Tell what is wrong with a lock of kind "async" that is left."""
    wrong: list[str] = []

    async def main() -> None:
        with suppress(TimeoutError):
            async with lock.hold(PATIENCE):
                return
        wrong.append("it cannot be had any more")

    if lock._waiters:
        yield f"{len(lock._waiters)} are queued"
    flavour.run(main)
    yield from wrong
    if kind == "async-lock":
        if lock._owner is not None:
            yield f"it belongs to {lock._owner!r}"
    elif lock._granted or lock.value != permits:
        yield f"{lock.value} permits are left of {permits}"
