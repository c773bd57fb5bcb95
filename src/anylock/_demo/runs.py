"""Runs the critical section under each kind of worker, and checks the count."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import anyio

from anylock import make_lock
from anylock._demo.processes import WorkerDiedError, run_workers
from anylock._demo.section import add, add_in_task
from anylock._demo.tally import Tally
from anylock._demo.texts import words_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    from anylock._demo.section import Guard


class RunFailedError(Exception):
    """A run could not be finished; the message says why, in one line."""


@dataclass(frozen=True)
class Job:
    """What is to be counted, and by whom."""

    kind: str
    shares: list[list[str]]
    """The pages of each worker."""
    expected: Counter[str]
    """What a single thread counted."""
    context: Any
    """The `multiprocessing` context that starts the processes."""
    report: Callable[[], bool]
    """Called after each page, maybe in another thread; False ends the run early."""


@dataclass(frozen=True)
class Outcome:
    """What a run has counted."""

    words: int
    correct: bool
    """Whether every single word has the expected count."""
    seconds: float


def count(job: Job, file: Path, *, locked: bool) -> Outcome:
    """Have all pages counted into one file.

    Args:
        job: What to count, and who.
        file: The shared tally; it must not exist yet.
        locked: Whether the workers share a lock.

    Raises:
        RunFailedError: The tally cannot be used, or a worker process died.
    """
    run_workers_of = {"thread": _run_threads, "process": _run_processes}
    try:
        Tally(file).close()  # the workers find it there
        begin = perf_counter()
        run_workers_of.get(job.kind, _run_tasks)(job, file, locked=locked)
        seconds = perf_counter() - begin
        with Tally(file) as tally:
            counts = tally.read_all()
    except (OSError, sqlite3.Error, WorkerDiedError) as error:
        message = f"kind {job.kind!r} cannot count into {file}: {error}"
        raise RunFailedError(message) from error
    return Outcome(counts.total(), counts == job.expected, seconds)


def _work(
    lock: Guard, file: Path, pages: list[str], report: Callable[[], bool]
) -> None:
    with Tally(file) as tally:
        for page in pages:
            add(lock, tally, words_of(page))
            if not report():
                break


async def _work_in_task(
    lock: Guard, file: Path, pages: list[str], report: Callable[[], bool]
) -> None:
    with Tally(file) as tally:
        for page in pages:
            await add_in_task(lock, tally, words_of(page))
            if not report():
                break


def _run_threads(job: Job, file: Path, *, locked: bool) -> None:
    lock = make_lock("thread") if locked else nullcontext()
    with ThreadPoolExecutor(len(job.shares)) as pool:
        workers = [
            pool.submit(_work, lock, file, pages, job.report) for pages in job.shares
        ]
    for worker in workers:
        worker.result()


def _run_processes(job: Job, file: Path, *, locked: bool) -> None:
    # Made in any case: with it comes a helper process of multiprocessing, and
    # starting that would let interrupts through to the workers.
    made = make_lock("process", context=job.context)
    lock = made if locked else nullcontext()
    run_workers(job.context, _work, (lock, file), job.shares, job.report)


def _run_tasks(job: Job, file: Path, *, locked: bool) -> None:
    errors: list[Exception] = []

    async def work(lock: Guard, pages: list[str]) -> None:
        try:
            await _work_in_task(lock, file, pages, job.report)
        except (OSError, sqlite3.Error) as error:
            errors.append(error)  # leaving the task, it would become a group

    async def main() -> None:
        lock = make_lock("async") if locked else nullcontext()
        async with anyio.create_task_group() as tasks:
            for pages in job.shares:
                tasks.start_soon(work, lock, pages)

    anyio.run(main, backend=job.kind)
    for error in errors:
        raise error
