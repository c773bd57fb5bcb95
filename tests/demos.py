"""What the tests of the demo count, and how."""

from __future__ import annotations

from collections import Counter

from backends import TRIO, require

KINDS = ("thread", "process", "asyncio", "trio")

POEM = "one fish two fish\nred fish blue fish\n"
WORDS = Counter({"fish": 4, "one": 1, "two": 1, "red": 1, "blue": 1})


def has_trio(kind: str) -> None:
    if kind == "trio":
        require(TRIO)
