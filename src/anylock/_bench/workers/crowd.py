"""Threads, tasks and processes that all use one lock: a worker.

Everybody does the same over and over: goes in, adds one to a counter that all share,
stays for the hold, leaves, and pauses if told so. What is watched begins when all are
at it. Whoever asks how often each of them came through sees both how much was done and
whether one side was kept from it. If they are traced, each notes when it asked, entered
and left, which costs about as much as an empty hold: so it is done with longer ones.

All count on a board: the first number tells them to stop, the second is what they
share, and then comes one number for each. Processes are forked, so that locks of
`multiprocessing` can be inherited; those on files each process makes anew.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import sys
import threading
import traceback
from functools import partial
from operator import sub
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from anylock._bench.workers.serving import serve
from anylock._bench.workers.traces import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anylock._bench.workers.traces import Event

SETTLING = 0.05
"""Seconds between when everybody has had the lock and when counting begins."""

STARTING = 2.0
"""Seconds after which counting begins though somebody never had the lock."""

PATIENCE = 60.0
"""Seconds after which a run counts as hung, and shows every stack."""

SIDES = ("threads", "asyncio tasks", "trio tasks", "processes")

STOP, SHARED, FIRST = range(3)
"""What the numbers of the board are."""


def spin(seconds: float) -> None:
    """Compute for so long."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def member(task: dict[str, Any], side: str, names: dict[str, Any]) -> Any:
    """Compile what one of a side does; `names` has the lock."""
    tasks = side.endswith("tasks")
    body = task["bodies"]["tasks" if tasks else "threads"]
    source = "\n".join(
        [
            f"{'async ' if tasks else ''}def member(board, me, note, lock=lock):",
            "    while not board[0]:",
            *(f"        {line}" for line in body["round"].splitlines()),
            "        board[me] += 1",
            *(f"        {line}" for line in body["pause"].splitlines()),
            *(f"    {line}" for line in body["finish"].splitlines()),
        ]
    )
    code = compile(source, f"<{task['contender']['label']}>", "exec")
    exec(code, names)  # noqa: S102 - the text is that of the rows
    return names["member"]


class Crowd:
    """The members of one run."""

    def __init__(self, task: dict[str, Any], folder: str) -> None:
        self._task = task
        given = {"now": perf_counter, "sleep": sleep, "spin": spin}
        self._names: dict[str, Any] = {"path": f"{folder}/lock", **given}
        self._setup = compile(task["contender"]["setup"], "<setup>", "exec")
        self.sides = {side: task["sides"].get(side, 0) for side in SIDES}
        members = sum(self.sides.values())
        self.board: Any = [0] * (FIRST + members)
        if self.sides["processes"]:
            self.board = memoryview(mmap.mmap(-1, 8 * len(self.board))).cast("q")
        self.events: list[tuple[int, Event]] = []
        exec(self._setup, self._names)  # noqa: S102 - the text is that of the rows
        self.lock = self._names["lock"]

    def numbers(self, side: str) -> range:
        """Give the places on the board of the members of a side."""
        before = SIDES[: SIDES.index(side)]
        first = FIRST + sum(self.sides[other] for other in before)
        return range(first, first + self.sides[side])

    def run(self) -> dict[str, Any]:
        """Let all of them run, and say what became of them."""
        # Before there are threads, which a fork would not copy.
        waiting = [self._forked(number) for number in self.numbers("processes")]
        faulthandler.dump_traceback_later(PATIENCE + self._task["seconds"], exit=True)
        threads = [
            threading.Thread(target=self._unharmed, args=(self._thread, number))
            for number in self.numbers("threads")
        ]
        for side, loop in (("asyncio tasks", _asyncio), ("trio tasks", _trio)):
            if self.sides[side]:
                run = threading.Thread(
                    target=self._unharmed, args=(self._loop, side, loop)
                )
                threads.append(run)
        for thread in threads:
            thread.start()
        self._settle()
        start, before = perf_counter(), list(self.board)
        sleep(self._task["seconds"])
        end, after = perf_counter(), list(self.board)
        self.board[STOP] = 1
        for thread in threads:
            thread.join()
        for ended in waiting:
            ended()
        faulthandler.cancel_dump_traceback_later()
        self._check()
        counts = list(map(sub, after, before))
        sample: dict[str, Any] = {
            "seconds": end - start,
            "counts": {
                side: [counts[number] for number in self.numbers(side)]
                for side in SIDES
                if self.sides[side]
            },
        }
        if self._task["traced"]:
            sides = {n: side for side in SIDES for n in self.numbers(side)}
            sample["traced"] = summary(self.events, sides)
        return sample

    def _settle(self) -> None:
        """Wait until all are at it.

        While others keep the GIL busy an event loop takes up to half a second to get
        going, in which threads have the lock to themselves: millions of acquisitions
        that say nothing about threads and tasks.
        """
        end = perf_counter() + STARTING
        while perf_counter() < end and not all(self.board[FIRST:]):
            sleep(0.001)
        sleep(SETTLING)

    def _check(self) -> None:
        permits = self._task["permits"]
        label = self._task["contender"]["label"]
        # Where several may be inside at once, updates may get lost, but no permits.
        if permits > 1 and (left := self._permits_left()) != permits:
            message = f"{label} came out with {left} permits"
            raise RuntimeError(message)
        if permits == 1 and sum(self.board[FIRST:]) != self.board[SHARED]:
            message = f"{label} lost updates: it did not exclude"
            raise RuntimeError(message)

    def _permits_left(self) -> int:
        permits: int = self._task["permits"]
        if not hasattr(self.lock, "value"):
            return permits  # not all of them tell
        # A helper thread may have got one for tasks that were served by others in the
        # meantime, and is about to give it back.
        end = perf_counter() + STARTING
        while (left := self.lock.value) != permits and perf_counter() < end:
            sleep(0.001)
        return int(left)

    def _unharmed(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run a part of the crowd; if it breaks, others may wait for it for ever."""
        try:
            function(*arguments)
        except BaseException:  # noqa: BLE001 - nobody else would see it
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _note(self, number: int) -> Callable[[Event], None]:
        return lambda event: self.events.append((number, event))

    def _thread(self, number: int) -> None:
        run = member(self._task, "threads", self._names)
        run(self.board, number, self._note(number))

    def _loop(self, side: str, loop: Callable[..., None]) -> None:
        # What a lock imports on its first use is imported before: another one's.
        spare = dict(self._names)
        entered = self._task["contender"]["phrases"]["READ"]
        source = f"async def warm_up():\n    async with {entered}: pass"
        exec(self._setup, spare)  # noqa: S102 - the text is that of the rows
        exec(source, spare)  # noqa: S102 - likewise
        warm_up = spare["warm_up"]

        def member_of(pause: Any) -> Iterator[Callable[[], Any]]:
            run = member(self._task, side, {**self._names, "pause": pause})
            for number in self.numbers(side):
                yield partial(run, self.board, number, self._note(number))

        loop(warm_up, member_of)

    def _forked(self, number: int) -> Callable[[], None]:
        """Start a process; return what waits for its end, and takes its events."""
        if sys.platform == "win32":
            raise NotImplementedError
        source, sink = os.pipe()
        child = os.fork()
        if child == 0:
            self._unharmed(self._child, number, sink)
            os._exit(0)
        os.close(sink)

        def ended() -> None:
            with os.fdopen(source) as events:
                for line in events:
                    self.events.append((number, tuple(json.loads(line))))
            _, status = os.waitpid(child, 0)
            if status:
                message = f"a process ended with status {status}"
                raise RuntimeError(message)

        return ended

    def _child(self, number: int, sink: int) -> None:
        if self._task["contender"]["own"]:
            exec(self._setup, self._names)  # noqa: S102 - the text is that of the rows
        run = member(self._task, "processes", self._names)
        events: list[Event] = []
        run(self.board, number, events.append)
        with os.fdopen(sink, "w") as out:
            out.writelines(f"{json.dumps(event)}\n" for event in events)


def _asyncio(
    warm_up: Callable[[], Any], member_of: Callable[[Any], Iterator[Callable[[], Any]]]
) -> None:
    import asyncio

    async def main() -> None:
        crowd = [asyncio.create_task(run()) for run in member_of(asyncio.sleep)]
        for one in crowd:
            await one

    asyncio.run(warm_up())
    asyncio.run(main())


def _trio(
    warm_up: Callable[[], Any], member_of: Callable[[Any], Iterator[Callable[[], Any]]]
) -> None:
    import trio

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for run in member_of(trio.sleep):
                nursery.start_soon(run)

    trio.run(warm_up)
    trio.run(main)


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Run a crowd."""
    with TemporaryDirectory() as folder:
        return Crowd(task, folder).run()


if __name__ == "__main__":
    serve(measure)
