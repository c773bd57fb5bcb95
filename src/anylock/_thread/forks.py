"""What is to be as new in every forked child."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    class Resettable(Hashable, Protocol):
        """What knows how to begin anew, by the name that the standard library has."""

        def _at_fork_reinit(self) -> None: ...


_resettable: weakref.WeakSet[Resettable] = weakref.WeakSet()


def reset_in_children(lock: Resettable) -> None:
    """Reset it in every forked child, for as long as it lives."""
    _resettable.add(lock)


def _reset_all() -> None:
    for lock in _resettable:
        lock._at_fork_reinit()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
