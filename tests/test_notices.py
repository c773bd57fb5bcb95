"""The queue of who waits to be notified, with others amid each of its steps."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anylock._notices import Notices, wait_in_task
from anylock._parking import Waiter
from interruptions import MOST, Interrupted, interrupt, interrupt_at
from staging import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable


class Guest(Waiter):
    """Somebody who only notes that it was woken."""

    __slots__ = ("dead", "woken")

    def __init__(self, *, dead: bool = False) -> None:
        self.granted = self.resumed = False
        self.error = None
        self.dead = dead
        self.woken = 0

    def _unpark(self) -> bool:
        self.woken += 1
        return not self.dead


def queue_of(number: int) -> tuple[Notices, list[Guest]]:
    notices, guests = Notices(), [Guest() for _ in range(number)]
    for guest in guests:
        notices.add(guest)
    return notices, guests


def notified(guests: list[Guest]) -> list[int]:
    return [number for number, guest in enumerate(guests) if guest.granted]


def test_first_come_first_notified() -> None:
    notices, guests = queue_of(5)
    assert len(notices) == 5
    notices.notify(0)
    assert notified(guests) == []
    notices.notify()
    assert notified(guests) == [0]
    assert notices.withdraw(guests[1])
    assert not notices.withdraw(guests[0])
    notices.notify(2)
    assert notified(guests) == [0, 2, 3]
    assert len(notices) == 1
    notices.notify(9)
    assert notified(guests) == [0, 2, 3, 4]
    assert len(notices) == 0
    notices.notify()


def test_who_is_gone_does_not_count() -> None:
    notices, guests = queue_of(4)
    guests[0].dead = guests[2].dead = True
    notices.notify(2)
    assert notified(guests) == [1, 3]
    assert len(notices) == 0


def test_a_lost_loop_passes_the_notification_on() -> None:
    notices, guests = queue_of(2)
    notices.notify()
    guests[0].lost()
    assert notified(guests) == [0, 1]


def test_who_leaves_at_once_is_counted() -> None:
    class Hasty(Guest):
        """A task of another thread that runs before `notify` goes on."""

        __slots__ = ()

        def _unpark(self) -> bool:
            left.append(notices.withdraw(self))
            return True

    left: list[bool] = []
    notices = Notices()
    guests: list[Guest] = [Hasty(), Guest()]
    for guest in guests:
        notices.add(guest)
    notices.notify()
    assert left == [False]
    assert notified(guests) == [0]
    assert [*notices._waiters] == guests[1:]


def at_every_point(attempt: Callable[[int, list[str]], None]) -> None:
    for point in range(1, MOST):
        where: list[str] = []
        attempt(point, where)
        if not where:
            assert point > 5
            return
    pytest.fail("there was no end of points")


def test_a_handler_notifies_amid_each_step() -> None:
    def attempt(point: int, where: list[str]) -> None:
        notices, guests = queue_of(6)
        with interrupt_at(point, notices.notify, where):
            notices.notify()
            withdrawn = notices.withdraw(guests[4])
        assert 1 + len(where) <= len(notified(guests)) <= 2 + len(where), where
        left = [
            g for g in guests if not g.granted and not (withdrawn and g is guests[4])
        ]
        assert [*notices._waiters] == left, where

    at_every_point(attempt)


def test_a_handler_withdraws_amid_each_step() -> None:
    def attempt(point: int, where: list[str]) -> None:
        notices, guests = queue_of(3)
        withdrew: list[bool] = []

        def leave() -> None:
            withdrew.append(notices.withdraw(guests[0]))
            if not withdrew[-1]:
                notices.notify()  # it was cancelled: somebody else shall have it

        with interrupt_at(point, leave, where):
            notices.notify()
        assert any(guest.granted for guest in guests[1:]) or not where, where

    at_every_point(attempt)


def test_a_handler_raises_amid_each_step() -> None:
    def attempt(point: int, where: list[str]) -> None:
        notices, guests = queue_of(3)
        try:
            with interrupt_at(point, interrupt, where):
                notices.notify()
        except Interrupted:
            pass
        before = len(notified(guests))
        notices.notify()
        assert len(notified(guests)) == before + 1, where
        assert all(guest in notices._waiters or guest.granted for guest in guests)
        notices.notify(3)
        assert notified(guests) == [0, 1, 2]
        assert all(guest.woken == 1 for guest in guests)

    at_every_point(attempt)


def test_threads_that_notify_and_withdraw() -> None:
    notices, guests = queue_of(2000)
    start = threading.Barrier(2)
    passed_on = 0

    def leave() -> None:
        nonlocal passed_on
        start.wait()
        for guest in guests[::2]:
            if not notices.withdraw(guest):
                passed_on += 1
                notices.notify()

    with in_thread(leave):
        start.wait()
        for _ in range(500):
            notices.notify()
    used = [guest for guest in guests[1::2] if guest.granted]
    assert len(used) >= 500
    assert len(notices) == 1000 - len(used)


# Waiting in a task, with a lock that is played by the test


class Giving:
    """The lock that a task gives up and takes back, and who waits behind the task."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.behind = Guest()
        self.closed: list[str] = []

    def give_up(self) -> str:
        self.notices.add(self.behind)
        return "the lock"

    async def take_back(self, _kept: str) -> None:
        await asyncio.sleep(0)

    def wait(self, timeout: float | None) -> Any:
        return wait_in_task(
            self.notices,
            timeout,
            give_up=self.give_up,
            take_back=self.take_back,
            close=self.closed.append,
        )


class NotifiedAndInterrupted(Giving):
    def give_up(self) -> str:
        super().give_up()
        self.notices.notify()
        raise Interrupted


class InterruptedAtTheEnd(Giving):
    async def take_back(self, _kept: str) -> None:
        raise Interrupted


class InterruptedNotices(Notices):
    """A handler raises once: after somebody was queued, or before it leaves."""

    __slots__ = ("left", "when")

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when
        self.left: list[Waiter] = []

    def add(self, waiter: Waiter) -> None:
        super().add(waiter)
        if self.when == "add":
            raise Interrupted

    def withdraw(self, waiter: Waiter) -> bool:
        self.left.append(waiter)
        if self.when == "withdraw" and len(self.left) == 1:
            raise Interrupted
        return super().withdraw(waiter)


class Taking(Giving):
    taken = 0

    async def take_back(self, _kept: str) -> None:
        self.taken += 1


def test_nobody_is_left_in_the_queue_who_was_interrupted() -> None:
    giving = Taking()
    giving.notices = InterruptedNotices("add")

    async def main() -> None:
        with pytest.raises(Interrupted):
            await giving.wait(None)

    asyncio.run(main())
    assert not len(giving.notices)
    assert giving.taken == 0  # nor was it given up


def test_who_is_interrupted_when_it_leaves_passes_on_and_takes_back() -> None:
    giving = Taking()
    giving.notices = InterruptedNotices("withdraw")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(giving.notices.notify)
        with pytest.raises(Interrupted):
            await giving.wait(None)

    asyncio.run(main())
    assert giving.behind.granted
    assert giving.taken == 1


def test_a_notification_goes_on_if_the_lock_cannot_be_given_up() -> None:
    giving = NotifiedAndInterrupted()

    async def main() -> None:
        with pytest.raises(Interrupted):
            await giving.wait(None)

    asyncio.run(main())
    assert giving.behind.granted
    assert not giving.closed


@pytest.mark.parametrize("notify", [False, True])
def test_a_notification_goes_on_if_the_lock_cannot_be_taken_back(
    *, notify: bool
) -> None:
    """If there was one: who ran out of time has none to pass on."""
    giving = InterruptedAtTheEnd()

    async def main() -> None:
        if notify:
            asyncio.get_running_loop().call_soon(giving.notices.notify)
        with pytest.raises(Interrupted):
            await giving.wait(None if notify else 0)

    asyncio.run(main())
    assert giving.behind.granted == notify


def test_a_task_is_closed_while_it_takes_the_lock_back() -> None:
    """It cannot wait for it any longer, and says so once."""
    giving = Giving()

    async def main() -> None:
        waiting = giving.wait(None)
        waiting.send(None)
        giving.notices.notify()
        waiting.send(None)
        assert not giving.closed
        waiting.close()

    asyncio.run(main())
    assert giving.closed == ["the lock"]
    assert giving.behind.granted
