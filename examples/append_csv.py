"""Many processes append rows to one CSV file, and no row is torn.

Each field is written as soon as it is known, so that a crash loses nothing. Without
the lock, fields of other processes would come in between, and the file would get more
than one header.

Run it as `python examples/append_csv.py [process] [thread]`.
"""

from __future__ import annotations

import csv
import multiprocessing
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from anylock import Lock, make_lock

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKERS = 8
ROWS = 50
HEADER = "worker,number,worker again\n"


def append(lock: Lock, path: Path, fields: Iterable[object]) -> None:
    """Append a row, field by field."""
    with lock, path.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write(HEADER)
        separator = ""
        for field in fields:
            file.write(f"{separator}{field}")
            file.flush()
            separator = ","
        file.write("\n")


def work(lock: Lock, path: Path, worker: int) -> None:
    """Append row after row, from a process or a thread."""
    for number in range(ROWS):
        append(lock, path, [worker, number, worker])


def whole_rows(path: Path) -> int:
    """Count the rows that are as they were written."""
    whole = 0
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            match row:
                case [worker, _, again] if worker == again:
                    whole += 1
                case _:
                    pass  # the header, or a torn row
    return whole


def main(*kinds: str) -> None:
    """Append with each kind of worker; processes and threads by default."""
    for kind in kinds or ("process", "thread"):
        lock = make_lock(kind, name="rows.csv")
        start = threading.Thread if kind == "thread" else multiprocessing.Process
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "rows.csv")
            workers = [start(target=work, args=(lock, path, n)) for n in range(WORKERS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            headers = path.read_text(encoding="utf-8").count(HEADER)
            print(
                f"{kind}: {whole_rows(path)} of {WORKERS * ROWS} rows are whole, "
                f"headers: {headers}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
