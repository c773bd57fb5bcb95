"""The locks that are compared, by what the table calls them.

A label is the call that makes it: `make_lock('thread')` for ours,
`asyncio.Semaphore(10)` for a peer, whose empty brackets are left out. Each peer is made
in its fastest fair configuration, which for most is the only one:

- `anyio` yields to the event loop whenever a lock is acquired unless it is told not to.
  On asyncio ours does not, nor does `asyncio.Lock`, so it is told; on trio every
  acquisition is a checkpoint, ours too, so it is not.
- `aiorwlock` likewise.
- The locks on files poll by default, every 10 to 250 ms. portalocker can block in the
  kernel instead, so it does; filelock and fasteners are told to poll every millisecond.
- A lock for readers and writers is compared by its writing side, which excludes all,
  except with other locks for readers and writers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

CALLS = {
    "FairAsyncRLock": "fair_async_rlock.FairAsyncRLock()",
    "aiorwlock.RWLock": "aiorwlock.RWLock(fast=True).writer",
    "readerwriterlock.RWLockFair": "readerwriterlock.rwlock.RWLockFair().gen_wlock()",
    "readerwriterlock.RWLockWrite": "readerwriterlock.rwlock.RWLockWrite().gen_wlock()",
    "aiorwlock.RWLock(fast)": "aiorwlock.RWLock(fast=True)",
    "readerwriterlock.RWLockFair()": "readerwriterlock.rwlock.RWLockFair()",
    "anyio.Lock(fast)": "anyio.Lock(fast_acquire=True)",
    "anyio.Semaphore(fast)": "anyio.Semaphore(1, fast_acquire=True)",
    "anyio.Semaphore(10,fast)": "anyio.Semaphore(10, fast_acquire=True)",
    "filelock.AsyncFileLock": "filelock.AsyncFileLock(path)",
    "filelock.FileLock": "filelock.FileLock(path, poll_interval=0.001)",
    "filelock.FileLock(default)": "filelock.FileLock(path)",
    "fasteners.InterProcessLock": "fasteners.InterProcessLock(path)",
    "portalocker.Lock": (
        "portalocker.Lock(path, flags=portalocker.LockFlags.EXCLUSIVE)"
    ),
    "make_lock('machine')": "make_lock('machine', path=path)",
    "fasteners.InterProcessReaderWriterLock": (
        "fasteners.InterProcessReaderWriterLock(path)"
    ),
    "make_rwlock('machine')": "make_rwlock('machine', path=path)",
    "make_lock('machine').hold(60)": "make_lock('machine', path=path).hold(60)",
    "make_lock('machine',fair=True)": "make_lock('machine', path=path, fair=True)",
}
"""Label -> the call that it abbreviates. At `path` there is no file yet."""

PHRASES = {"READ": "lock", "WRITE": "lock", "AWAITED": "lock.wait()"}
"""What statements call it -> what that is of most locks.

That is what is entered to read, and to write, and what tasks await to be notified.
"""

_OURS = {"READ": "lock.read", "WRITE": "lock.write"}
_FASTENERS = {"READ": "lock.read_lock()", "WRITE": "lock.write_lock()"}

_SPECIAL = {
    "make_rwlock('thread')": _OURS,
    "make_rwlock('async')": _OURS,
    "make_rwlock('machine')": _OURS,
    "aiologic.Condition": {"AWAITED": "lock"},
    "aiorwlock.RWLock(fast)": {"READ": "lock.reader", "WRITE": "lock.writer"},
    "fasteners.ReaderWriterLock": _FASTENERS,
    "fasteners.InterProcessReaderWriterLock": _FASTENERS,
    "readerwriterlock.RWLockFair()": {
        "READ": "lock.gen_rlock()",
        "WRITE": "lock.gen_wlock()",
    },
}
"""Label -> what that is of these, as their documents show it."""

# It has no option for how `with` polls, but calls this one method, without arguments.
_QUICKER_FASTENERS = """
from functools import partial
lock.acquire = partial(lock.acquire, delay=0.001, max_delay=0.001)"""


@dataclass(frozen=True)
class Contender:
    """A lock, or something of its family, and what is done with it.

    Args:
        label: What the table calls it.
        setup: Statements that leave it in a variable `lock`.
        statement: What is timed, where that is one statement.
        needs: The modules that must be installed for it.
        start: What comes before the first round.
        finish: What comes after the last round.
        own: Whether each process makes it anew, which meets by a file.
        phrases: What `PHRASES` are with it.
    """

    label: str
    setup: str
    statement: str = ""
    needs: tuple[str, ...] = ()
    start: str = ""
    finish: str = ""
    own: bool = False
    phrases: dict[str, str] = field(default_factory=PHRASES.copy)

    def phrased(self, text: str) -> str:
        """Give statements in which the phrases are what they are with it."""
        for phrase, meaning in self.phrases.items():
            text = text.replace(phrase, meaning)
        return text


def call_of(label: str) -> str:
    """Give the call that a label stands for."""
    call = CALLS.get(label, label)
    return call if call.endswith((")", ".writer")) else f"{call}()"


def module_of(call: str) -> str:
    """Name the module that a call is of."""
    path, _, _ = call.partition("(")
    module, _, _ = path.rpartition(".")
    return module


def using(
    label: str,
    statement: str = "",
    more: str = "",
    *,
    start: str = "",
    finish: str = "",
) -> Contender:
    """Give a contender.

    Args:
        label: What makes it.
        statement: What is timed.
        more: What its setup needs beside.
        start: What comes before the first round.
        finish: What comes after the last round.
    """
    call = call_of(label)
    imports, needs = _imports(call)
    setup = f"{imports}\nlock = {call}\n{more}"
    if label == "fasteners.InterProcessLock":
        setup += _QUICKER_FASTENERS
    contender = Contender(
        label,
        setup,
        statement,
        needs,
        start,
        finish,
        own="path" in call,
        phrases=PHRASES | _SPECIAL.get(label, {}),
    )
    return replace(contender, statement=contender.phrased(statement))


def creating(label: str) -> Contender:
    """Give a contender that is made over and over."""
    call = call_of(label)
    imports, needs = _imports(call)
    name, _, arguments = call.partition("(")
    # Bound to a name of its own first: looking it up is not part of making it.
    return Contender(label, f"{imports}\nlock = {name}", f"lock({arguments}", needs)


def _imports(call: str) -> tuple[str, tuple[str, ...]]:
    """Say how to import what a call is of, and what must be installed for it."""
    if call.startswith("make_"):
        factory, _, _ = call.partition("(")
        return f"from anylock import {factory}", ()
    module = module_of(call)
    package, _, _ = module.partition(".")
    return f"import {module}", () if package in sys.stdlib_module_names else (package,)
