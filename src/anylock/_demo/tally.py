"""The shared file: how often each word was counted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

_PATIENCE = 60.0
"""Seconds to wait for SQLite's own lock, which guards one transaction only."""


class Tally:
    """Word counts in an SQLite file, read and written in separate transactions.

    Each transaction is safe by itself, as those of any database. What comes between
    a read and the write that builds on it is up to the caller.

    Each thread and each process opens the file for itself, and closes it.

    Args:
        path: The file; it is made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            # It lives for seconds: speed matters, surviving a power cut does not.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("PRAGMA journal_mode = MEMORY")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS tally (word TEXT PRIMARY KEY, count INT) "
                "WITHOUT ROWID"
            )
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def read(self, words: Iterable[str]) -> Counter[str]:
        """Return the counts of `words`, in one transaction."""
        counts: Counter[str] = Counter()
        query = "SELECT word, count FROM tally WHERE word = ?"
        with self._database as database:
            database.execute("BEGIN")
            for word in words:
                counts.update(dict(database.execute(query, (word,))))
        return counts

    def read_all(self) -> Counter[str]:
        """Return the counts of all words."""
        return Counter(dict(self._database.execute("SELECT word, count FROM tally")))

    def write(self, counts: Counter[str]) -> None:
        """Store the counts of these words, in one transaction."""
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("REPLACE INTO tally VALUES (?, ?)", counts.items())
