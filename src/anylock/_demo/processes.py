"""Worker processes that start together, report, and leave nobody behind.

Not a `multiprocessing.Pool`: that waits for ever if a worker is killed, and on
Ctrl-C its workers print their tracebacks.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, TypeAlias

from anylock._interrupts import interrupts_withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Pipe: TypeAlias = "Connection[Any, Any]"

_READY, _REPORT, _DONE = "ready", "report", "done"
"""What a worker says; beside these, an exception."""


class WorkerDiedError(Exception):
    """A worker process ended before its work was done."""


def run_workers(
    context: Any,
    work: Callable[..., None],
    shared: tuple[Any, ...],
    shares: Sequence[Any],
    report: Callable[[], bool],
) -> None:
    """Call `work(*shared, share, report)` in one process for each of `shares`.

    They begin when the last of them is ready.

    Args:
        context: The `multiprocessing` context, of any start method.
        work: A top-level function.
        shared: What all workers get when they are started; a process lock may be
            among it. It should be small: starting a process waits for it to read.
        shares: What each worker gets when all are ready.
        report: Called in this process when a worker calls its own `report`. All
            workers are ended if it returns False.

    Raises:
        Exception: What a worker raised.
        WorkerDiedError: A worker was killed, or could not start.
    """
    forked = context.get_start_method() == "fork"
    workers: dict[Pipe, BaseProcess] = {}
    try:
        with interrupts_withheld():  # from the workers, too: they inherit that
            for _ in shares:
                # Each end is open in one process only, so that the other one is told
                # if that dies. A forked worker has copies of ours, and closes them.
                ours, theirs = context.Pipe()
                copies = [*workers, ours] if forked else []
                worker = context.Process(
                    target=_obey, args=(theirs, copies, work, shared)
                )
                with theirs:
                    worker.start()
                workers[ours] = worker
        _lead(workers, shares, report)
    finally:
        for pipe, worker in workers.items():
            worker.terminate()
            worker.join()
            pipe.close()


def _lead(
    workers: dict[Pipe, BaseProcess], shares: Sequence[Any], report: Callable[[], bool]
) -> None:
    """Give the workers their shares, and listen until the last of them is done."""
    for pipe, worker in workers.items():
        _message(pipe, worker)
    for pipe, share in zip(workers, shares, strict=True):
        pipe.send(share)
    busy = dict(workers)
    while busy:
        heard: list[Any] = wait(busy)
        for pipe in heard:
            message = _message(pipe, busy[pipe])
            if message == _DONE:
                busy.pop(pipe).join()
            elif not report():
                return


def _message(pipe: Pipe, worker: BaseProcess) -> str:
    try:
        message = pipe.recv()
    except (EOFError, OSError):
        worker.join()
        text = f"a worker process ended early, with exit code {worker.exitcode}"
        raise WorkerDiedError(text) from None
    if isinstance(message, Exception):
        raise message
    return str(message)


def _obey(
    pipe: Pipe,
    copies: Sequence[Pipe],
    work: Callable[..., None],
    shared: tuple[Any, ...],
) -> None:
    """Do the work in the worker process, as `_lead` says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what it means
    for copy in copies:
        copy.close()

    def tell(message: str | Exception) -> bool:
        try:
            pipe.send(message)
        except ConnectionError:  # the parent was killed: there is nobody to work for
            return False
        return True

    with pipe, suppress(EOFError, ConnectionError):
        tell(_READY)
        share = pipe.recv()
        try:
            work(*shared, share, partial(tell, _REPORT))
        except Exception as error:  # noqa: BLE001 - it is raised in the parent
            tell(error)
        else:
            tell(_DONE)
