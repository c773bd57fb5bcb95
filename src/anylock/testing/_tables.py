"""Which rules are for what: the tables of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from anylock.testing import (
    _cancellation,
    _deadlocks,
    _loops,
    _permits,
    _processes,
    _queueing,
    _reentrancy,
    _surface,
    _tasks,
    _threads,
    _waiting_tasks,
    _waiting_threads,
)
from anylock.testing._rule import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Table:
    """The rules for one member of the family."""

    rules: tuple[Rule, ...]
    reentrant: bool = False
    """Whether who holds it may perhaps enter it again."""

    @property
    def texts(self) -> Mapping[str, str]:
        """What each rule is called, and what it says."""
        return MappingProxyType({rule.name: rule.text for rule in self.rules})

    def without(self, *rules: Rule) -> tuple[Rule, ...]:
        """Return all rules but these."""
        return tuple(rule for rule in self.rules if rule not in rules)


def _rules_of(*modules: ModuleType) -> tuple[Rule, ...]:
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Rule)
    )


LOCKS = Table(
    _rules_of(_surface, _tasks, _cancellation, _deadlocks, _threads, _loops, _processes)
)

RLOCKS = Table(
    LOCKS.without(_deadlocks.own_lock_again) + _rules_of(_reentrancy), reentrant=True
)

SEMAPHORES = Table(
    # Nobody owns a semaphore: others may release it while its holder waits, and a
    # release that nobody expects is an error if it is bounded only.
    LOCKS.without(_deadlocks.own_lock_again, _surface.release_unheld)
    + _rules_of(_permits, _queueing)
)

CONDITIONS = Table(
    # Its lock may be re-entrant or not.
    LOCKS.without(_deadlocks.own_lock_again)
    + _rules_of(_waiting_tasks, _waiting_threads),
    reentrant=True,
)

RULES = LOCKS.texts
"""The rules for locks: what each is called, and what it says."""

RLOCK_RULES = RLOCKS.texts
"""The rules for re-entrant locks."""

SEMAPHORE_RULES = SEMAPHORES.texts
"""The rules for semaphores."""

CONDITION_RULES = CONDITIONS.texts
"""The rules for conditions."""
