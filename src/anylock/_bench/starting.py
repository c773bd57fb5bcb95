"""Starts the workers, and waits for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping
    from pathlib import Path

PATIENCE = 300.0
"""Seconds after which a worker counts as hung."""

_GLANCE = 0.2
"""Seconds after which it is looked whether somebody pressed Ctrl-C."""


class BrokenWorkerError(Exception):
    """A worker did not come to an end, or came to a bad one."""


class Interrupted(Exception):  # noqa: N818 - nothing is wrong
    """Somebody pressed Ctrl-C while a worker ran, which was killed."""


class Starter:
    """Starts the workers, one after the other.

    Args:
        interrupted: Set by Ctrl-C.
        folder: For files that are needed until the last one has ended.
    """

    def __init__(self, interrupted: threading.Event, folder: Path) -> None:
        self.folder = folder
        self._interrupted = interrupted

    def work(self, worker: str, task: Mapping[str, Any]) -> Any:
        """Run a worker, and return its sample.

        Args:
            worker: The name of its module.
            task: What it reads.

        Raises:
            BrokenWorkerError: It broke, or hung.
            Interrupted: It was interrupted.
        """
        module = f"anylock._bench.workers.{worker}"
        command = [sys.executable, "-m", module, json.dumps(task)]
        with self.started(command) as process:
            out = self._communicate(process, worker)
        # pyperf prints as well, before.
        return json.loads(out.splitlines()[-1])

    @contextmanager
    def started(
        self, command: list[str], environ: Mapping[str, str] | None = None
    ) -> Generator[subprocess.Popen[str]]:
        """Start any command; kill what is left of it, and of what it has started."""
        if self._interrupted.is_set():
            raise Interrupted
        with subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, which Ctrl-C does not reach, and which can be killed.
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                _kill(process)

    def _communicate(self, process: subprocess.Popen[str], worker: str) -> str:
        glances = int(PATIENCE / _GLANCE)
        for _ in range(glances):
            try:
                out, complaint = process.communicate(timeout=_GLANCE)
            except subprocess.TimeoutExpired:
                if self._interrupted.is_set():
                    raise Interrupted from None
                continue
            if process.returncode:
                status = process.returncode
                message = f"{worker} ended with status {status}:\n{complaint}"
                raise BrokenWorkerError(message)
            return out
        message = f"{worker} did not end within {PATIENCE:g} seconds"
        raise BrokenWorkerError(message)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a worker, and the processes that it has forked: they outlive it."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
