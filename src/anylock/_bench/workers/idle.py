"""What processor time a process takes that waits for a lock: a worker."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

from anylock._bench.workers.serving import serve


def measure(task: dict[str, Any]) -> float:
    """Give the milliseconds of processor time per second of waiting."""
    if sys.platform == "win32":
        raise NotImplementedError
    contender = task["contender"]
    with TemporaryDirectory() as folder:
        names: dict[str, Any] = {"path": f"{folder}/lock"}
        exec(contender["setup"], names)  # noqa: S102 - the text is that of the rows
        source, sink = os.pipe()
        with names["lock"]:
            child = os.fork()
            if child == 0:
                if contender["own"]:
                    exec(contender["setup"], names)  # noqa: S102 - likewise
                used, began = process_time(), perf_counter()
                with names["lock"]:
                    used, waited = process_time() - used, perf_counter() - began
                os.write(sink, f"{used / waited * 1000}".encode())
                os._exit(0)
            sleep(task["seconds"])
        os.waitpid(child, 0)
        os.close(sink)
        with os.fdopen(source) as told:
            return float(told.read())


if __name__ == "__main__":
    serve(measure)
