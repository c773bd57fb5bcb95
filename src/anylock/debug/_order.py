"""In which order locks are taken, learnt by where they were made.

If two threads take two locks in opposite orders, they hang on a bad day only. The order
tells on any day: each lock that is waited for while others are held comes after them,
whoever did it, whether or not it was free.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from anylock.debug import _graph, _records
from anylock.debug._findings import LockOrderInverted, LockOrderWarning, find
from anylock.debug._settings import settings
from anylock.debug._stacks import Stack

if TYPE_CHECKING:
    from anylock.debug._actors import Actor
    from anylock.debug._records import Record
    from anylock.debug._stacks import RawStack, Site


class Edge(NamedTuple):
    """That a lock was taken while another one was held."""

    first: Record
    then: Record
    actor: Actor
    who: str
    held: RawStack
    taken: RawStack
    shared: bool
    """Whether both were for many to hold: such do not keep each other waiting."""

    def __str__(self) -> str:
        return (
            f"{self.who} took {self.first}, made at {self.first.site}\n"
            f"{_indented(self.held)}\n"
            f"and then {self.then}, made at {self.then.site}\n"
            f"{_indented(self.taken)}"
        )


class Node:
    """A site, and what was taken while a lock that was made there was held."""

    __slots__ = ("after", "site")

    def __init__(self, site: Site) -> None:
        self.site: Site = site
        self.after: dict[Node, Edge] = {}


nodes: dict[Site, Node] = {}
"""The order that was learnt so far."""

_told: set[frozenset[Site]] = set()


def forget() -> None:
    """Forget the order that was learnt, and what was told of it and of cycles."""
    with _records.mutex:
        for record in _records.known():
            record.node = None
        nodes.clear()
        _told.clear()
    _graph.forget()


def edges() -> list[Edge]:
    """Return what was learnt."""
    return [
        edge for node in nodes.copy().values() for edge in node.after.copy().values()
    ]


def node_of(record: Record) -> Node:
    """Return the node of the site of a lock."""
    node = record.node
    if node is None:
        node = record.node = nodes.setdefault(record.site, Node(record.site))
    return node


def learn(record: Record, actor: Actor, stack: RawStack, *, again: bool) -> None:
    """Note that somebody takes a lock beside those that it holds.

    Args:
        record: Of the lock.
        actor: Who takes it.
        stack: Where.
        again: Whether that is after it was notified: then it gets it in any order.

    Raises:
        LockOrderInverted: In an order opposite to an earlier one, if that is an error.
    """
    if settings.order == "off":
        return
    node = node_of(record)
    for hold in actor.holds.copy():
        before = hold.record
        if not before.owned or before.handed or before is record:
            continue
        first = node_of(before)
        known = first.after.get(node)
        shared = before.shared and record.shared
        if first is not node and (known is None or (known.shared and not shared)):
            held = hold.stack
            edge = Edge(before, record, actor, str(actor), held, stack, shared)
            _add(first, node, edge, may_raise=not again and not is_notified(actor))


def is_notified(actor: Actor) -> bool:
    """Say whether it is about to take the lock of a condition again."""
    return actor.wait is not None and actor.wait.for_notice


def _add(first: Node, then: Node, edge: Edge, *, may_raise: bool) -> None:
    with _records.mutex:
        back = _path(then, first)
        cycle = [edge, *back] if back else []
        inverted = bool(cycle) and not all(each.shared for each in cycle)
        refuses = may_raise and settings.order == "raise"
        if not inverted or not refuses:
            first.after[then] = edge
        sites = frozenset(each.first.site for each in cycle)
        news = inverted and sites not in _told
        if news and not refuses:
            _told.add(sites)
    if not news:
        return
    message = "locks are taken in opposite orders, which may end in a deadlock\n" + (
        "\nbut\n".join(str(each) for each in cycle)
    )
    locks = tuple(str(each.first) for each in cycle)
    with suppress(*() if may_raise else (LockOrderWarning,)):  # if that is an error
        find("order", edge.actor, locks, message, warn=not refuses)
    if refuses:
        raise LockOrderInverted(message)


def _path(start: Node, end: Node) -> list[Edge]:
    """Return how one site leads to another by what was learnt; empty if it does not."""
    came: dict[Node, tuple[Node, Edge]] = {}
    front = [start]
    while front:
        node = front.pop(0)
        for after, edge in node.after.items():
            if after is start or after in came:
                continue
            came[after] = node, edge
            if after is end:
                return _back(came, start, end)
            front.append(after)
    return []


def _back(came: dict[Node, tuple[Node, Edge]], start: Node, end: Node) -> list[Edge]:
    path: list[Edge] = []
    while end is not start:
        end, edge = came[end]
        path.insert(0, edge)
    return path


def _indented(stack: RawStack) -> str:
    return "\n".join(f"  {line}" for line in str(Stack(stack)).splitlines())
