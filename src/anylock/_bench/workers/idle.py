"""What processor time a process takes that waits for a lock: a worker."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

from anylock._bench.workers.serving import serve

FIRST = 0.1
"""Seconds of a wait before the one that counts: what is done once does not."""


def measure(task: dict[str, Any]) -> float:
    """Give the milliseconds of processor time per second of waiting."""
    if sys.platform == "win32":
        raise NotImplementedError
    contender = task["contender"]
    with TemporaryDirectory() as folder:
        names: dict[str, Any] = {"path": f"{folder}/lock"}
        exec(contender["setup"], names)  # noqa: S102 - the text is that of the rows
        (theirs, to_them), (from_them, ours) = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            if contender["own"]:
                exec(contender["setup"], names)  # noqa: S102 - likewise
            for _ in range(2):
                os.read(theirs, 1)
                os.write(ours, _wait(names["lock"]).encode())
            os._exit(0)
        os.close(ours)
        told = ""
        for seconds in (FIRST, task["seconds"]):
            with names["lock"]:
                os.write(to_them, b".")
                sleep(seconds)
            told = os.read(from_them, 100).decode()
        os.waitpid(child, 0)
    return float(told)


def _wait(lock: Any) -> str:
    used, began = process_time(), perf_counter()
    with lock:
        used, waited = process_time() - used, perf_counter() - began
    return f"{used / waited * 1000}"


if __name__ == "__main__":
    serve(measure)
