"""Who is inside of one side of a read-write lock, without a lock around the list.

Every change is one call into C on a dict, so that threads, tasks and signal handlers
may come and go at any moment. Nobody needs to be the owner of what they give up: what
counts is how many are inside, and who they are is for refusing deadlocks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anylock import _parking
from anylock._parking import ACTORS_ARE_SNAPSHOTS, this_thread

if TYPE_CHECKING:
    from collections.abc import Hashable

    from anylock._parking import ThreadMarker

V = TypeVar("V")

_modules = sys.modules

_NOBODY = (None,)


class NobodyInside(KeyError):  # noqa: N818 - says what is so
    """Somebody leaves, but nobody is inside.

    It has a class of its own because a signal handler may raise a `KeyError`.
    """


def _has_ended(actor: Any) -> bool:
    """Say whether it is a task of asyncio that has ended, as those of `wait_for`."""
    return bool(getattr(actor, "done", bool)())


def here() -> Hashable:
    """Return a key for the task that runs here, or for this thread."""
    # What `in_trio` and `current_actor` do, in a third of the time: each call here is a
    # tenth of what it takes to enter.
    if _parking.trio_lowlevel is None:
        maybe = "trio.lowlevel" in _modules
    else:
        maybe = _parking.sniffed.name == "trio"
    if maybe and _parking.in_trio():
        return key_of(_parking.current_actor())
    loop = _parking.asyncio_loop()
    if loop is None:
        return this_thread.marker
    actor = _parking.asyncio_actor()
    task = actor.get(loop) if ACTORS_ARE_SNAPSHOTS else actor
    return task or this_thread.marker


def key_of(actor: Any) -> Hashable:
    """Return a key for an actor of `_parking`."""
    if isinstance(actor, dict):  # as asyncio knows it before Python 3.12
        tasks: dict[Any, Any] = actor  # pyright: ignore[reportUnknownVariableType]
        (actor,) = tasks.values()
    key: Hashable = actor
    return key


class Inside(Generic[V]):
    """The threads and tasks that are inside, with something for each of them.

    Who comes again is there with the number of times. Who only looks whether it may
    come in is there as an object of its own: who leaves for others would take any other
    key, and a signal handler would take its own thread for one that is inside.
    """

    __slots__ = ("__weakref__", "keys")

    def __init__(self) -> None:
        self.keys: dict[Hashable, tuple[ThreadMarker, V]] = {}
        """Who is inside, with its thread; for those that are in a hurry."""

    def __bool__(self) -> bool:
        # A copy is made under the lock that the dict has where there is no GIL. So who
        # has noted something and looks here comes before who is noted here and looks
        # there, or after it.
        return bool(self.keys.copy())

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, actor: Hashable) -> bool:
        return actor in self.keys

    def add(self, actor: Hashable, value: V) -> None:
        """Note that the actor, which runs here, is inside (once more)."""
        self.put(self.next_key(actor), value)

    def next_key(self, actor: Hashable) -> Hashable:
        """Return what the actor, which runs here, would be put under by `add`."""
        key, times = actor, 0
        while key in self.keys:
            times += 1
            key = actor, times
        return key

    def put(self, key: Hashable, value: V) -> None:
        """Note somebody under its next key."""
        self.keys[key] = this_thread.marker, value

    def drop(self, key: Hashable) -> None:
        """Forget what was put under that key, if it is there."""
        self.keys.pop(key, None)

    def pop(self, actor: Hashable) -> V:
        """Forget one time that the actor came in, or else one of somebody else's.

        Raises:
            NobodyInside: Nobody is.
        """
        popped: list[tuple[ThreadMarker, V]] = []
        self.pop_into(popped, actor)
        return popped[0][1]

    def pop_into(self, popped: list[tuple[ThreadMarker, V]], actor: Hashable) -> None:
        """Do what `pop` does, and add the thread and the value to the list.

        The list tells the truth even if a signal handler raises.

        Raises:
            NobodyInside: Nobody is.
        """
        key, times = actor, 1
        while (again := (actor, times)) in self.keys:
            key = again
            times += 1
        try:
            found = self.keys[key]
            # From here until it is in the list there is no point at which a signal
            # handler could run.
            del self.keys[key]
            popped.append(found)
        except KeyError:  # another thread or task leaves for who came in
            if popped:
                raise
        while not popped:
            others = [key for key in list(self.keys) if type(key) is not object]
            others.sort(key=_has_ended)  # the last of those, if there are any
            if not others:
                raise NobodyInside
            popped.extend(filter(None, map(self.keys.pop, others[-1:], _NOBODY)))

    def witness(self) -> Hashable:
        """Return a key of this thread, or of a task of its event loop; else None."""
        marker = this_thread.marker
        for key, (thread, _) in list(self.keys.items()):
            if thread is marker and type(key) is not object:
                return key
        return None

    def actors(self) -> list[Hashable]:
        """Return those that are inside, each of them once."""
        return [key for key in list(self.keys) if type(key) not in {tuple, object}]

    def of_this_thread(self) -> bool:
        """Say whether this thread is inside, or looks, or a task of its event loop."""
        marker = this_thread.marker
        return any(thread is marker for thread, _ in list(self.keys.values()))

    def forget_who_looks(self) -> None:
        """Forget those that were about to come in, in a forked child."""
        for key in [key for key in self.keys if type(key) is object]:
            del self.keys[key]

    def clear(self) -> list[V]:
        """Forget all, in a forked child; return what was noted for them."""
        values = [value for _, value in self.keys.values()]
        self.keys.clear()
        return values
