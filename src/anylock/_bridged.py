"""What the adapters over a blocking lock share: tasks, and the native slots.

While no task is involved, an adapter's slots hold the C methods of the inner lock
and sync callers run no Python. While a task holds the lock or waits for it, they
hold the *careful* methods: these tell a deadlock instead of suffering it, and let
nobody overtake the tasks that wait.
"""

from __future__ import annotations

import _thread
import os
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from anylock._errors import LockNotHeldError
from anylock._hold import TimedHold

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from anylock._bridge.base import Bridge

B = TypeVar("B", bound="Bridge")

_making = _thread.RLock()


def _renew_making() -> None:
    global _making  # noqa: PLW0603 - the parent's may be held by a missing thread
    _making = _thread.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_making)


_SHADOWING = ("__enter__", "__exit__", "acquire", "locked", "release")
"""The methods that slots may have the names of."""


class _Overriding:
    """A method of a user's subclass that has the name of a slot.

    As it is, what is put into the slot would get into the `__dict__` of the object, and
    shadow the method, and `super()` would find the slot empty.
    """

    def __init__(self, method: Any, slot: Any) -> None:
        self.method = method
        self._slot = slot

    def __get__(self, lock: object, owner: type | None = None) -> Any:
        return self.method.__get__(lock, owner)

    def __set__(self, lock: object, value: object) -> None:
        self._slot.__set__(lock, value)


class NativeSlots(type):
    """The metaclass of a class whose slots shadow methods of its bases.

    `with` finds the member descriptor of the slot on the type and asks it for the C
    method. But `contextlib.ExitStack` calls `type(lock).__enter__(lock)`, and a member
    descriptor cannot be called. So to who asks the class, the method is what a base
    defines; properties of a metaclass come first there, and `with` does not see them.
    """

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> NativeSlots:
        """Make a class; what it overrides, by a mixin as well, overrides the slots."""
        own = dict(namespace)
        known = [namespace, *(vars(each) for base in bases for each in base.__mro__)]
        for shadowing in _SHADOWING:
            found = [names[shadowing] for names in known if shadowing in names]
            slots = [each for each in found if isinstance(each, MemberDescriptorType)]
            if slots and not isinstance(found[0], MemberDescriptorType | _Overriding):
                own[shadowing] = _Overriding(found[0], slots[0])
        return super().__new__(cls, name, bases, own)


def _shadowed(name: str) -> property:
    def find(cls: NativeSlots) -> Any:
        definitions = (vars(base).get(name) for base in cls.__mro__)
        found = next(
            found
            for found in definitions
            if found is not None
            and not isinstance(found, MemberDescriptorType | property)
        )
        return found.method if isinstance(found, _Overriding) else found

    return property(find)


for _name in _SHADOWING:
    setattr(NativeSlots, _name, _shadowed(_name))


class Bridged(Generic[B]):
    """The async colour of what only knows how to block a thread."""

    __slots__ = ()

    _copied_by_fork: ClassVar[bool]
    """Whether a forked child gets a lock of its own, held as the parent's is."""

    if TYPE_CHECKING:
        # Each adapter declares them itself: their layouts in memory differ.
        _bridge: B | None

    @property
    def name(self) -> str | None:
        """The label given to the constructor, or None."""
        raise NotImplementedError

    def _new_bridge(self) -> B:
        """Make a bridge over the inner lock; it is imported on first use by a task."""
        raise NotImplementedError

    def _use_native(self) -> None:
        """Fill the slots with the inner lock's C methods."""
        raise NotImplementedError

    def _use_careful(self) -> None:
        """Fill the slots with the careful methods."""
        raise NotImplementedError

    def _enter_within(self, timeout: float | None) -> bool:
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Release the lock."""
        raise NotImplementedError

    def hold(self, timeout: float | None = None) -> TimedHold[Self]:
        """Give a context manager that waits at most `timeout` seconds.

        It works with `with` and with `async with`, keeps no state, and may be
        shared and used again.

        Args:
            timeout: Seconds; None waits for ever, 0 tries once.

        Raises:
            LockTimeout: On entering, when the time is over.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        enter = self._enter_within
        return TimedHold(self, timeout, enter, self._enter_task_within)

    async def __aenter__(self) -> None:
        """Wait for the lock without blocking the event loop.

        The loop may be of asyncio or trio, and may be another one each time. A
        cancelled wait leaves nothing behind. On trio this is a checkpoint, on
        asyncio only when it has to wait.

        Raises:
            WouldDeadlock: The running task holds the lock itself.
        """
        bridge = self._live_bridge()
        if bridge.take_without_checkpoint():
            self._go_careful(bridge)
        else:
            await self._enter_task_within(None)

    async def __aexit__(self, *exc_info: object) -> None:
        """Release the lock; never a checkpoint."""
        self._leave_task(self._live_bridge())

    async def _enter_task_within(self, timeout: float | None) -> bool:
        bridge = self._live_bridge()
        entered = False
        try:
            entered = await bridge.enter(self._go_careful, timeout, self.name)
        finally:
            if not entered:
                self._go_native(bridge)
        return entered

    def _leave_task(self, bridge: B) -> None:
        if not bridge.leave():
            raise LockNotHeldError(self.name)
        self._go_native(bridge)

    def _live_bridge(self) -> B:
        bridge = self._bridge
        if bridge is None or not bridge.of_this_process:
            return self._make_bridge()
        return bridge

    def _bridge_if_any(self) -> B | None:
        return None if self._bridge is None else self._live_bridge()

    def _make_bridge(self) -> B:
        # Before the import, which lets other threads make the bridge meanwhile.
        old = self._bridge
        bridge = self._new_bridge()
        with _making:
            made = self._bridge
            if made is not None and made.of_this_process:
                return made  # another thread was faster
            if old is not None and self._copied_by_fork:
                # We are a forked child. The tasks that waited and the helper stayed in
                # the parent. The holder is ours if it runs in this very thread.
                bridge.inherit(old)
            self._bridge = bridge  # type: ignore[misc]  # a slot of the adapter
        if bridge.busy:
            self._go_careful(bridge)
        elif old is not None:
            with bridge.switching:
                if not bridge.careful:  # a task may have come in meanwhile
                    self._use_native()
        return bridge

    def _careful_bridge(self) -> B | None:
        """Return the bridge if a careful method has anything to be careful of."""
        if self._bridge is None:
            return None
        bridge = self._live_bridge()
        if bridge.busy:
            return bridge
        self._go_native(bridge)
        return None

    # A thread may see the bridge idle, be stopped, and fill the slots with native
    # methods when a task has come in meanwhile. So the look and the filling are one
    # under `switching`, and a task makes the bridge busy before it fills the slots.

    def _go_careful(self, bridge: Bridge) -> None:
        with bridge.switching:
            if not bridge.careful:
                bridge.careful = True
                self._use_careful()

    def _go_native(self, bridge: Bridge) -> None:
        with bridge.switching:
            if bridge.careful and not bridge.busy:
                bridge.careful = False
                self._use_native()
