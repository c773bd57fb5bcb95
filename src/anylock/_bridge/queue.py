"""The queue of those who wait for a lock, and the helper thread that gets it.

A thread that leaves `with lock:` through the C method tells nobody. So tasks that
find the lock taken queue here, and one helper thread blocks in the C `acquire` on
behalf of the whole queue. When it gets the lock it grants it to the first waiter
and ends. A task that holds the lock hands it straight to the next waiter when it
leaves, so that between tasks no thread is needed.

The invariant that keeps wake-ups from being lost: *whenever somebody is queued, the
helper is on its way to the lock, or a task holds it and will look here when it leaves.*
Everybody queues first and looks at the lock afterwards; a task that leaves gives the
lock up first and looks at the queue afterwards.

"The lock" is a semaphore's permit as well; what is different there, and with locks
that are re-entrant, is in the classes beside this one.

Nobody ever blocks on the bridge's own state: it changes in steps.
"""

from __future__ import annotations

import _thread
from collections import OrderedDict
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from anylock._blocking import BlockedThread
from anylock._bridge.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._parking import ThreadMarker, Waiter

TENURE = 0.005
"""Seconds for which tasks may hand the lock on before threads get a turn.

Eventual fairness as in the mutexes of WebKit's WTF (Pizlo, "Locking in WebKit",
2016) and of Go, which use 1 ms.
"""

SLICE = 0.1
"""Seconds after which the helper looks whether anybody still waits."""

_PATIENCE = 5.0
"""Seconds to wait at most until the helper has given back what it got, at the end."""


class Waiting(Steps):
    """The queue, the helper thread and the turnstile; see `Bridge`."""

    __slots__ = (
        "_acquire",
        "_cohorts",
        "_helping",
        "_queue",
        "_release",
        "_retired",
        "_tenure_ends",
        "_turnstile",
    )

    def __init__(
        self, acquire: Callable[..., bool], release: Callable[[], None]
    ) -> None:
        super().__init__()
        self._acquire = acquire
        self._release = release
        self._queue: OrderedDict[Waiter, None] = OrderedDict()
        """Who waits, first come first; changed only in steps."""
        self._cohorts: dict[ThreadMarker, OrderedDict[Waiter, None]] = {}
        """The same, by the thread in which each of them runs. It is the queue that
        counts: a signal handler that raises may leave somebody behind here."""
        self._helping = False
        """Whether a helper thread is on its way."""
        self._retired = False
        """Whether no helper may start any more."""
        self._turnstile = _thread.allocate_lock()
        """Held by the helper while it waits for the lock."""
        self._tenure_ends: float | None = None
        """When threads get a turn; None until tasks hand the lock on."""

    def retire(self) -> None:
        """Let the helper end before this process does.

        Or else it may take a lock between processes just when the interpreter has
        stopped running threads, and the lock is taken for ever.
        """
        self._retired = True
        deadline = monotonic() + _PATIENCE
        if self._turnstile.acquire(True, _PATIENCE):  # the helper leaves it soon
            self._turnstile.release()
        # It may be giving back what it got, which is a step.
        while (self._helping or self._mail) and monotonic() < deadline:
            sleep(0.001)

    # What a subclass knows.

    def _lost(self) -> Waiter | None:
        """Return somebody who was granted the lock and lost its loop since."""
        raise NotImplementedError

    def _take_back(self, blocked: BlockedThread) -> Waiter | None:
        """Take a grant back from a task that cannot run while that thread blocks."""
        raise NotImplementedError

    def _entrust(self, waiter: Waiter) -> None:
        """Note that the waiter is about to be granted the lock."""
        raise NotImplementedError

    def _distrust(self, waiter: Waiter) -> None:
        """Forget it: the waiter is gone, or does not want the lock any more."""
        raise NotImplementedError

    # The steps. They run one at a time, in whichever thread finds the bridge idle.

    def _add(self, waiter: Waiter) -> None:
        self._queue[waiter] = None
        self._cohorts.setdefault(waiter.thread, OrderedDict())[waiter] = None

    def _add_before_its_cohort(self, waiter: Waiter) -> None:
        self._add(waiter)
        self._cohorts[waiter.thread].move_to_end(waiter, last=False)

    def _remove(self, waiter: Waiter) -> None:
        self._queue.pop(waiter, None)
        cohort = self._cohorts.get(waiter.thread)
        if cohort is not None:
            cohort.pop(waiter, None)
            if not cohort:
                del self._cohorts[waiter.thread]

    def _enqueue(self, waiter: Waiter) -> None:
        self._add(waiter)
        self._serve()

    def _enqueue_thread(self, blocked: BlockedThread) -> None:
        waiter = self._take_back(blocked)
        if waiter is not None:
            self._add_before_its_cohort(waiter)
            self._entrust(blocked)
            self._give(blocked)
            return
        # Before the tasks of its own thread, but not before others: it comes in the
        # place of the first of its cohort.
        self._add_before_its_cohort(blocked)
        self._serve()

    def _withdraw(self, waiter: Waiter) -> None:
        if waiter.granted:
            self._distrust(waiter)
            self._pass_on(waiter.thread)
        else:
            self._remove(waiter)

    def _pass_on(self, thread: ThreadMarker) -> None:
        """Dispose of the inner lock, which somebody of that thread gave up."""
        now = monotonic()
        # Read once: who takes another permit of a semaphore meanwhile makes it None.
        ends = self._tenure_ends
        if ends is None:
            ends = self._tenure_ends = now + TENURE
        if now < ends:
            # To wake a task of another thread takes many times as long. So it goes on
            # among the tasks of this one, until the tenure ends.
            self._grant(thread)
            return
        self._tenure_ends = None
        self._release()
        self._summon_helper()

    def _grant(self, thread: ThreadMarker | None = None) -> None:
        """Give the inner lock, which is ours, to the first who can take it.

        Those of the thread come before all others.
        """
        while self._queue:
            waiter = self._next(thread)
            if waiter not in self._queue:
                self._remove(waiter)
                continue
            self._entrust(waiter)
            self._remove(waiter)
            if self._give(waiter):
                return
            self._distrust(waiter)
        self._release()

    def _next(self, thread: ThreadMarker | None) -> Waiter:
        cohort = None if thread is None else self._cohorts.get(thread)
        if cohort:
            return next(iter(cohort))
        first = next(iter(self._queue))
        cohort = self._cohorts.get(first.thread)
        waiter = next(iter(cohort)) if cohort else first
        if waiter is not first:
            # They change places. Or else a thread that comes again and again would
            # have that of its task for ever.
            self._queue.move_to_end(first)
        return waiter

    def _give(self, waiter: Waiter) -> bool:
        if not waiter.grant():  # its event loop was closed
            return False
        if isinstance(waiter, BlockedThread):
            self._summon_helper()  # a thread leaves without a word
        return True

    def _serve(self) -> None:
        """Restore the invariant: somebody is on the way to those who wait."""
        raise NotImplementedError

    def _summon_helper(self) -> None:
        if not self._queue or self._helping or self._retired:
            return
        self._helping = True
        try:
            # Not threading.Thread: its start() waits until the new thread runs,
            # which stops this event loop for as long as others keep the GIL.
            _thread.start_new_thread(self._help, ())
        except RuntimeError as error:  # no more threads, or the interpreter ends
            self._helping = False
            while self._queue:
                waiter = next(iter(self._queue))
                self._remove(waiter)
                waiter.fail(error)

    def _help(self) -> None:
        self._do(partial(self._helped, self._wait_for_the_queue()))

    def _wait_for_the_queue(self) -> bool:
        """Block until the inner lock is ours, or nobody waits for it any more."""
        acquired = False
        with self._turnstile:
            while self._queue and not acquired and not self._retired:
                acquired = self._acquire(True, SLICE)
        return acquired

    def _helped(self, acquired: bool) -> None:  # noqa: FBT001 - a step
        self._helping = False
        if acquired:
            self._tenure_ends = None
            self._grant()
        else:
            self._serve()
