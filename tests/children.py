"""Processes that run a function of a test, and signals between them."""

from __future__ import annotations

import os
import select
import signal
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from staging import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.process import BaseProcess


class Child:
    """A forked child that runs a function; one that hangs is killed."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._result, result = os.pipe()
        with warnings.catch_warnings():
            # That there are other threads is the point here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            try:
                function()
            except BaseException:  # noqa: BLE001 - the parent tells it
                os.write(result, traceback.format_exc().encode())
            finally:
                os._exit(0)
        os.close(result)

    def join(self) -> None:
        said = b"it hangs"
        if select.select([self._result], [], [], PATIENCE)[0]:
            said = os.read(self._result, 10_000)
        self.kill()
        assert not said, said.decode()

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._result)
            self.pid = 0


def in_child(function: Callable[[], object]) -> None:
    Child(function).join()


class Signal:
    """Lets one process wait for another."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def set(self) -> None:
        os.write(self._write, b"!")

    def wait(self) -> None:
        assert select.select([self._read], [], [], PATIENCE)[0], "it was never set"

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@contextmanager
def running(*processes: BaseProcess) -> Generator[None]:
    """Start the processes; in the end each of them must have done well."""
    try:
        for process in processes:
            process.start()
        yield
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
