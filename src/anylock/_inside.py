"""Who is inside of one side of a read-write lock, without a lock around the list.

Every change is one call into C on a dict, so that threads, tasks and signal handlers
may come and go at any moment. Nobody needs to be the owner of what they give up: what
counts is how many are inside, and who they are is for refusing deadlocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anylock._parking import current_actor, this_thread

if TYPE_CHECKING:
    from collections.abc import Hashable

    from anylock._parking import ThreadMarker

V = TypeVar("V")


def here() -> Hashable:
    """Return a key for the task that runs here, or for this thread."""
    actor: Any = current_actor()
    if isinstance(actor, dict):  # as asyncio knows it before Python 3.12
        tasks: dict[Any, Any] = actor  # pyright: ignore[reportUnknownVariableType]
        (actor,) = tasks.values()
    key: Hashable = actor
    return key


class Inside(Generic[V]):
    """The threads and tasks that are inside, with something for each of them.

    Who comes again has one more pair of parentheses around its key each time.
    """

    __slots__ = ("__weakref__", "_keys")

    def __init__(self) -> None:
        self._keys: dict[Hashable, tuple[ThreadMarker, V]] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __contains__(self, actor: Hashable) -> bool:
        return actor in self._keys

    def add(self, actor: Hashable, value: V) -> None:
        """Note that the actor, which runs here, is inside (once more)."""
        key = actor
        while key in self._keys:
            key = (key,)
        self._keys[key] = this_thread.marker, value

    def pop(self, actor: Hashable) -> V:
        """Forget one time that the actor came in, or else one of somebody else's.

        Raises:
            KeyError: Nobody is inside.
        """
        key = actor
        while (deeper := (key,)) in self._keys:
            key = deeper
        found = self._keys.pop(key, None)
        if found is None:  # another thread or task leaves for who came in
            _, found = self._keys.popitem()
        return found[1]

    def of_this_thread(self) -> bool:
        """Say whether this thread is inside, or a task of its event loop."""
        marker = this_thread.marker
        return any(thread is marker for thread, _ in list(self._keys.values()))

    def clear(self) -> list[V]:
        """Forget all, in a forked child; return what was noted for them."""
        values = [value for _, value in self._keys.values()]
        self._keys.clear()
        return values
