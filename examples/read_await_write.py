"""A read, an await, a write: without a lock, updates get lost in between.

Tasks race without any threads. Every `await` lets other tasks run, and what was read
before it may be out of date after it.

Run it as `python examples/read_await_write.py [asyncio] [trio]`.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint

from anylock import Lock, make_lock

CLIENTS = 10


@dataclass
class Account:
    """An account in a database, some way off."""

    balance: int = 0

    async def read(self) -> int:
        """Ask the database."""
        await checkpoint()
        return self.balance

    async def write(self, balance: int) -> None:
        """Tell the database."""
        await checkpoint()
        self.balance = balance


async def pay_in(lock: Lock | nullcontext[None], account: Account) -> None:
    """Pay in 1."""
    async with lock:
        balance = await account.read()
        await account.write(balance + 1)


async def balance_with(lock: Lock | nullcontext[None]) -> int:
    """Let all clients pay in at the same time, and return the balance."""
    account = Account()
    async with anyio.create_task_group() as tasks:
        for _ in range(CLIENTS):
            tasks.start_soon(pay_in, lock, account)
    return account.balance


async def compare(library: str) -> None:
    """Pay in without a lock, then with one of each kind: tasks can use them all."""
    print(f"{library}, no lock: {await balance_with(nullcontext())} of {CLIENTS}")
    for kind in ("async", "thread", "process"):
        balance = await balance_with(make_lock(kind))
        print(f"{library}, {kind}: {balance} of {CLIENTS}")


def main(*libraries: str) -> None:
    """Compare in each of these libraries; asyncio by default."""
    for library in libraries or ("asyncio",):
        anyio.run(compare, library, backend=library)


if __name__ == "__main__":
    main(*sys.argv[1:])
