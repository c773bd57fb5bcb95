"""What stand-ins have in common: they are there for the program only.

A stand-in is a class of its own, derived from the real one where that can be. So the
program may derive from it in turn, reach into its attributes, and ask what it is.
"""

from __future__ import annotations

import weakref
from abc import ABCMeta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from anylock._profile.ledger import record_at
from anylock._profile.origin import origin
from anylock.debug._stacks import get_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from anylock.debug import Record, Site


class StandIn(metaclass=ABCMeta):
    """Base of the stand-ins, before the class that they stand in for."""

    __slots__ = ()

    real: ClassVar[Any]
    """What makes the real one; each stand-in has its own, what derives from it none."""
    real_type: ClassVar[Any]
    """Of what type that is."""
    kind: ClassVar[str]
    """Of lock, as anylock has it."""
    family: ClassVar[str]
    """Likewise."""

    if TYPE_CHECKING:
        _anylock: Record  # a name that no class of the program is likely to have

    def __del__(self) -> None:
        # Somebody may have held it, and would seem to hold it for ever.
        self._anylock.forget_holds()

    def busy(self) -> object:
        """Say whether who comes has to wait."""
        raise NotImplementedError

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        # The real ones are of this class as well, for isinstance. Without a class for
        # classes there is no other way, and with this one the program can have its own
        # abstract classes derived from both.
        if "real" in vars(cls) and issubclass(other, cls.real_type):
            return True
        return NotImplemented


class Derived(StandIn):
    """A stand-in that is derived from the real class."""

    shared: ClassVar[bool] = False
    reentrant: ClassVar[bool] = False
    owned: ClassVar[bool] = True

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        """Make one, or the real thing for the standard library."""
        site = origin(get_frame(0).f_back, always="real" not in vars(cls))
        if site is None:
            return cls.real(*arguments, **options)
        return cls.at(site)

    @classmethod
    def at(cls, site: Site) -> Self:
        """Make one that counts as made there; its `__init__` is yet to be called."""
        made = super().__new__(cls)
        made._anylock = record_at(
            site,
            cls.kind,
            cls.family,
            partial(is_busy, weakref.ref(made), cls.busy),
            shared=cls.shared,
            reentrant=cls.reentrant,
            owned=cls.owned,
        )
        return made


def is_busy(made: weakref.ref[Any], busy: Callable[[Any], object]) -> object:
    """Say whether a lock is busy, if it is still there."""
    # By a weak reference: the program's locks are to go when they would have gone.
    lock = made()
    return lock is not None and busy(lock)
