"""Who waits to be notified, for the conditions of the kinds "async" and "thread".

A waiter is granted here what is no lock but a notification. The lock itself it has to
take again afterwards, with everybody else who wants it.

The lock of the condition is no protection for this queue: who times out or is
cancelled leaves it without the lock, and a signal handler or a finalizer may notify in
the middle of anything. So each change is a single call into C, and their order makes
sure that a notification is never lost. Where several of them meet, one waiter too many
may be notified, as the standard library's conditions reserve to themselves.
"""

from __future__ import annotations

import _thread
import sys
from collections import OrderedDict
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING, Any, TypeVar

from anylock import _parking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anylock._parking import Waiter

T = TypeVar("T")


class Notices:
    """The queue of those who wait to be notified, first come first.

    Waiters may be tasks of any event loops, and threads. `Waiter.grant` may be called
    twice for one notification, if a signal handler notifies amid the first call.
    """

    __slots__ = ("_changing", "_waiters")

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        # For interpreters without a GIL; a handler that comes amid a change gets in.
        self._changing = _thread.RLock()

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: Waiter) -> None:
        """Queue somebody; to be done before the lock is given up."""
        waiter.lost = self.notify  # its loop was closed on its way to run
        with self._changing:
            self._waiters[waiter] = None

    def withdraw(self, waiter: Waiter) -> bool:
        """Let somebody leave who waits no more; False if it was notified before.

        Everybody who was added is to be withdrawn, once it runs again.
        """
        if not waiter.granted:  # else whoever notified it removes it, and counts it
            self._remove(waiter)
        return not waiter.granted  # asked once more, in this order: see notify

    def notify(self, n: int = 1) -> None:
        """Let the `n` that wait longest go on; who is gone does not count."""
        while n > 0:
            waiter = self._first()
            if waiter is None:
                return
            # The grant first, then the removal: who withdraws meanwhile finds that it
            # was notified, and a signal handler that raises in between leaves nobody
            # behind who is neither in the queue nor awake. Only who granted it and
            # removed it counts it: two who notify at once never count the same one.
            notified = not waiter.granted and waiter.grant()
            if self._remove(waiter) and notified:
                n -= 1

    def _first(self) -> Waiter | None:
        while True:
            # A handler may change the queue between the two calls: look again.
            with suppress(RuntimeError), self._changing:
                return next(iter(self._waiters), None)

    def _remove(self, waiter: Waiter) -> bool:
        with self._changing:
            return self._waiters.pop(waiter, self) is None


async def wait_in_task(
    notices: Notices,
    timeout: float | None,
    *,
    give_up: Callable[[], T],
    take_back: Callable[[T], Awaitable[object]],
    close: Callable[[T], object],
) -> bool:
    """Give a lock up, wait in a task to be notified, and take the lock again.

    The lock is taken again whatever ends the wait, and however often the task is
    cancelled meanwhile. The time-out does not limit how long that takes.

    Args:
        notices: Where to wait.
        timeout: Seconds, as of `_hold.seconds`.
        give_up: Releases the lock, however often its owner has entered it. It gives
            what `take_back` needs, and raises an error if the caller does not hold
            the lock.
        take_back: Waits until the caller has the lock again. If it is cancelled it has
            not taken anything, and is called again.
        close: Called in place of `take_back` where the task is closed instead of
            run on: it cannot wait.

    Returns:
        Whether it was notified before the time was over.
    """
    waiter = _parking.new_waiter()
    given: list[T] = []  # noted from C: a handler may raise before it is stored
    try:
        notices.add(waiter)
        given.extend(starmap(give_up, ((),)))
        await waiter.wait(timeout)
        notified = not notices.withdraw(waiter)
    except BaseException as error:
        if not notices.withdraw(waiter):
            notices.notify()
        for kept in given:
            if isinstance(error, GeneratorExit):
                close(kept)
            else:
                await _take_back(take_back, close, kept)
        raise
    try:
        await _take_back(take_back, close, given[0])
    except BaseException:
        if notified:
            notices.notify()
        raise
    return notified


async def _take_back(
    take_back: Callable[[T], Awaitable[object]],
    close: Callable[[T], object],
    kept: T,
) -> None:
    async def attempt() -> None:
        try:
            await take_back(kept)
        except GeneratorExit:
            close(kept)
            raise

    modules: dict[str, Any] = sys.modules
    shield: Any = None
    if _parking.in_trio():
        shield = modules["trio"].CancelScope
        cancelled: type[BaseException] = modules["trio"].Cancelled
    else:
        cancelled = modules["asyncio"].CancelledError
    try:
        await attempt()  # most succeed, and a scope would take longer than they do
    except cancelled as error:
        last = error
    else:
        return
    if shield is None:
        from anyio import CancelScope as shield  # noqa: N813, PLC0415 - on asyncio only
    # Who is cancelled by a scope is cancelled again and again, which would cost it its
    # place in the queue each time.
    with shield(shield=True):
        while True:
            try:
                await attempt()
                break
            except cancelled as error:
                last = error
    # The last one: after one of anyio, which its scope would swallow, one by
    # `Task.cancel` may have come, which is meant for somebody else.
    raise last
