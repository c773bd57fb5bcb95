"""The critical section of the demo, in both colours.

The two functions are the same but for `async` and `await`, and they are all that is
ever run, whether under threads, processes, asyncio or trio, with a lock or without.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeAlias

import anyio

from anylock import Lock

if TYPE_CHECKING:
    from collections import Counter

    from anylock._demo.tally import Tally

Guard: TypeAlias = Lock | nullcontext[None]
"""The lock that `make_lock` made, or `nullcontext()` to see what happens without."""


def add(lock: Guard, tally: Tally, words: Counter[str]) -> None:
    """Add `words` to the shared tally, from a thread or a process."""
    with lock:
        counts = tally.read(words)
        time.sleep(0)  # any work takes time, in which others run
        tally.write(counts + words)


async def add_in_task(lock: Guard, tally: Tally, words: Counter[str]) -> None:
    """Add `words` to the shared tally, from a task of asyncio or trio."""
    async with lock:
        counts = tally.read(words)
        await anyio.sleep(0)  # noqa: ASYNC115 - as above, word for word
        tally.write(counts + words)
