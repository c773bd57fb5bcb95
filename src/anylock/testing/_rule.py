"""What a rule of the contract is, and what is raised when a lock breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock.testing._stage import Stage

Feature = Literal[
    "deadlocks",
    "processes",
    "one loop",
    "threads",
    "bounded",
    "unbounded",
    "tasks",
    "thread waits",
]
"""What a lock must be for some rules to apply: it tells deadlocks; it excludes
processes; it is for tasks of one event loop, or for threads as well, or only for
threads, not for tasks. A semaphore is bounded or not. Threads can wait for a condition
to be notified."""

Setting = Literal["anywhere", "task", "thread", "loops"]
"""Where a rule is checked.

- "anywhere": in a task of each backend, and in a thread if the lock is for threads.
- "task": a coroutine function, in a task of each backend.
- "thread": in a thread, beside an event loop of each backend in another thread.
- "loops": once, in a thread; it starts event loops of all backends itself.
"""


@dataclass(frozen=True)
class Rule:
    """One rule of the contract, and the function that checks it."""

    name: str
    text: str
    setting: Setting
    needs: frozenset[Feature]
    check: Callable[[Stage], Any]


def rule(
    setting: Setting, text: str, *needs: Feature
) -> Callable[[Callable[[Stage], Any]], Rule]:
    """Make a rule of the function that checks it, and of its name."""

    def decorate(check: Callable[[Stage], Any]) -> Rule:
        return Rule(check.__name__, text, setting, frozenset(needs), check)

    return decorate


class BrokenRule(AssertionError):  # noqa: N818 - says what the lock is accused of
    """A lock does not keep a rule of the contract.

    Attributes:
        rule: The name of the rule, a key of `anylock.testing.RULES`, or of the table
            for what was checked.
        found: What was seen instead.
        backend: The event loop it was seen on; None if none had a part in it.
    """

    def __init__(self, rule: str, text: str, found: str, backend: str | None) -> None:
        where = "" if backend is None else f" (on {backend})"
        super().__init__(f"it breaks the rule {rule!r}{where}: {text}\n{found}")
        self._data = rule, text, found, backend
        self.rule = rule
        self.found = found
        self.backend = backend

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the data, not from the message."""
        return type(self), self._data
