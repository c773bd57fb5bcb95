"""Forked children that use the lock, or just end, whatever other threads are doing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from anylock._soak.board import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._soak.board import Row
    from anylock._soak.workers import Crew

DUMP: Any = getattr(signal, "SIGUSR2", None)
"""The signal at which a process of the soak prints the stacks of its threads; None
where there is none."""


class Child:
    """A forked child that runs a function and ends.

    Args:
        patience: Seconds after which it is taken to hang.
        function: What it runs; the child has failed if it raises.
    """

    def __init__(self, patience: float, function: Callable[[], object]) -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        self._deadline = monotonic() + patience
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                function()
                status = 0
            except BaseException:  # noqa: BLE001 - nothing may get out of here
                traceback.print_exc()
            finally:
                os._exit(status)

    def join(self) -> None:
        """Block until it has ended.

        Raises:
            Violation: It has failed, or hangs.
        """
        while not self.ended():
            sleep(1e-3)

    def ended(self) -> bool:
        """Say whether it has ended.

        Raises:
            Violation: It has failed, or hangs.
        """
        if sys.platform == "win32":
            raise NotImplementedError
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            if status:
                message = f"a forked child failed, with status {status}; see above"
                raise Violation(message)
            return True
        if monotonic() > self._deadline:
            os.kill(self._pid, DUMP)  # which there is where processes can fork
            sleep(0.5)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            message = "a forked child hangs"
            raise Violation(message)
        return False


def fork_outside(crew: Crew, row: Row) -> Child:
    """Fork where the lock is not held; the row is the child's until that has ended."""

    def update() -> None:
        row.wants()
        with crew.lock.hold(crew.patience / 2):
            _visit(crew, row)

    def use_copy() -> None:
        if not crew.subject.fresh_in_children:
            # Who held it in another thread holds it for ever here.
            if not crew.lock.try_acquire():
                return
            crew.lock.release()
        _use(crew.lock, crew.patience / 2)

    # Of both the first is in a thread of its own, because ours may run an event loop.
    alone = _in_threads(update) if crew.subject.shared else use_copy
    return Child(crew.patience * 0.7, partial(_heard, crew, row, alone))


def fork_inside(crew: Crew, row: Row) -> Child | None:
    """Fork where the lock is held, once, if it is known what the child has of it."""
    subject = crew.subject
    lock = crew.lock
    if subject.room > 1:
        return None

    def leave_alone() -> None:
        if subject.reentrant or not lock.try_acquire():
            return
        if not row.doomed:
            message = "a child got in by try_acquire() while its parent was inside"
            raise Violation(message)
        try:
            _visit(crew, row)  # the parent was killed meanwhile
        finally:
            lock.release()

    def use_copy() -> None:
        if not subject.fresh_in_children:
            if not lock.locked():
                message = "a child is not inside though its parent was when it forked"
                raise Violation(message)
            lock.release()
        _use(lock, crew.patience / 2)

    alone = leave_alone if subject.shared else use_copy
    return Child(crew.patience * 0.7, partial(_heard, crew, row, alone))


def _visit(crew: Crew, row: Row) -> None:
    for _ in row.visit("with", told=crew.told):
        pass


def _heard(crew: Crew, row: Row, function: Callable[[], object]) -> None:
    """Call a function in a child, and report what it raises if the parent cannot."""
    try:
        function()
    except Exception:
        if row.doomed:
            crew.report(traceback.format_exc())
        raise


def _use(lock: Any, patience: float) -> None:
    """Use a lock that nobody else has, in both colours."""

    def use() -> None:
        with lock.hold(patience):
            pass

    async def main() -> None:
        await asyncio.gather(use_in_task(), use_in_task())

    async def use_in_task() -> None:
        async with lock.hold(patience):
            await asyncio.sleep(0)

    def use_in_tasks() -> None:
        asyncio.run(main())

    use()
    _in_threads(use, use, use_in_tasks)()


def _in_threads(*functions: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls all of these beside one another."""

    def run() -> None:
        raised: list[BaseException] = []

        def call(function: Callable[[], object]) -> None:
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - raised again below
                raised.append(error)

        threads = [threading.Thread(target=call, args=(one,)) for one in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in raised:
            raise error

    return run
