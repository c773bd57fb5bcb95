"""Who holds and who waits is printed, also while everything is stuck."""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from anylock import debug, make_lock
from anylock.debug import _dump, _records
from backends import Backend, run
from debugged import all_joined, awaited, condition_of
from staging import PATIENCE, in_thread, until

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["debug_fixtures"]
pytestmark = pytest.mark.usefixtures("quiet")


def dumped() -> str:
    file = io.StringIO()
    debug.dump(file)
    return file.getvalue()


def test_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = make_lock("thread", debug=True)
    # Other tests may leave some that are held.
    monkeypatch.setattr(_dump, "known", lambda: [lock.record])
    assert (
        dumped()
        == f"anylock: no debug lock is held or awaited (process {os.getpid()})\n"
    )


def test_who_holds_and_who_waits() -> None:
    lock = make_lock("thread", name="cache", debug=True)
    leave = threading.Event()

    def holder() -> None:
        with debug.label("refresh:42"), lock:
            work_for_long(lambda: leave.wait(PATIENCE))

    def waiter() -> None:
        until(lambda: lock.record.holds)
        with lock:
            pass

    with all_joined(holder, waiter):
        until(lambda: awaited(lock))
        text = dumped()
        leave.set()
    site = lock.record.site
    assert f"thread Lock 'cache', made at {site.file}:{site.line}\n" in text
    assert "  held by thread 'holder' [refresh:42] for " in text
    assert "which is now at" in text
    assert "in work_for_long" in text
    assert "  awaited by thread 'waiter' for " in text
    assert text.index("held by") < text.index("awaited by")


def work_for_long(wait: Callable[[], object]) -> None:
    wait()


def test_tasks(backend: Backend) -> None:
    lock = make_lock("async", debug=True)
    condition = condition_of("async")
    import anyio

    async def main() -> None:
        async def hold() -> None:
            async with lock:
                await work()

        async def work() -> None:
            await anyio.sleep(PATIENCE)

        async def be_notified() -> None:
            async with condition:
                await condition.wait()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, name="holder")
            tasks.start_soon(be_notified, name="reader")
            while not (lock.record.holds and condition.record.waits):
                await anyio.lowlevel.checkpoint()
            texts.append(dumped())
            tasks.cancel_scope.cancel()

    texts: list[str] = []
    run(backend, main)
    (text,) = texts
    assert "held by task 'holder' for" in text
    assert "notification awaited by task 'reader' for" in text
    now = text.partition("which is now at")[2]
    assert now.index("in hold") < now.index("in work") < now.index("in sleep")


def test_a_holder_that_has_ended() -> None:
    lock = make_lock("thread", debug=True)
    with in_thread(lock.acquire):
        pass
    assert ", which has ended for" in dumped()
    lock.release()
    lock_of_task = make_lock("thread", debug=True)

    async def main() -> None:
        await lock_of_task.__aenter__()

    asyncio.run(main())
    assert ", which has ended for" in dumped()
    lock_of_task.release()


def test_it_waits_for_nobody() -> None:
    """Whatever lock of ours a thread is stuck with."""
    lock = make_lock("thread", debug=True)
    stuck, leave = threading.Event(), threading.Event()

    def be_stuck() -> None:
        with _records.mutex:
            stuck.set()
            leave.wait(PATIENCE)

    with in_thread(be_stuck), lock:
        assert stuck.wait(PATIENCE)
        assert "held by" in dumped()
        leave.set()


def test_the_standard_error_stream(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make_lock("thread", name="h\xfcbsch", debug=True)
    with lock:
        debug.dump()
    assert "thread Lock 'h\xfcbsch'" in capfd.readouterr().err
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    debug.dump()
    assert stream.getvalue().startswith("anylock: ")
    monkeypatch.setattr(sys, "stderr", None)
    debug.dump()


PROGRAM = """
import os, signal, sys, threading
from anylock import debug, make_lock
lock = make_lock("thread", name="cache", debug=True)
called = []
signal.signal(signal.SIGUSR1, lambda *_: called.append(1))
debug.dump_on_signal(signal.SIGUSR1)
inside = threading.Event()
def hold():
    with lock:
        inside.set()
        sys.stdin.readline()
threading.Thread(target=hold, daemon=True).start()
inside.wait()
print("ready", flush=True)
with lock:  # the handler runs while this waits
    pass
assert called == [1]
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
debug.dump_on_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="of POSIX")
def test_a_signal_while_the_main_thread_is_stuck() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        lines = [process.stderr.readline()]
        while lines[-1] not in {"anylock: end\n", ""}:
            lines.append(process.stderr.readline())
        process.stdin.write("\n")
        process.stdin.flush()
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 0, rest
    text = "".join(lines)
    assert "held by thread" in text
    assert "no debug lock is held" in rest


def test_it_may_interrupt_our_own_bookkeeping() -> None:
    """At any point of it, in the same thread."""
    from interruptions import interrupt_at

    lock: Any = make_lock("thread", debug=True)
    where = ["none yet"]
    point = 0
    while where:
        where = list[str]()
        point += 1
        with interrupt_at(point, dumped, where):
            with lock:
                pass
            with lock.hold(1):
                pass
        assert not lock.locked()
        assert not lock.record.holds
    assert point > 20


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes always block")
def test_a_standard_error_stream_that_is_full_and_does_not_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A handler that raised would hit what it interrupted."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += os.write(writes, bytes(1))
    chunks: list[bytes] = []

    def read() -> None:
        while chunk := os.read(reads, 1 << 20):
            chunks.append(chunk)

    wait = select.select
    with open(writes, "w") as stream:  # noqa: PTH123 - of a pipe
        monkeypatch.setattr(sys, "stderr", stream)
        reader = threading.Thread(target=read)

        def read_now(*lists: Any) -> Any:
            monkeypatch.undo()
            reader.start()
            return wait(*lists)

        monkeypatch.setattr(select, "select", read_now)
        debug.dump()
    reader.join(PATIENCE)
    os.close(reads)
    assert b"".join(chunks)[filled:].startswith(b"anylock: ")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_a_standard_error_stream_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w") as stream:  # noqa: PTH123 - of a pipe
        monkeypatch.setattr(sys, "stderr", stream)
        debug.dump()


def test_whether_a_thread_has_ended_is_not_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to Python 3.12 that may take a lock, which a handler has interrupted."""
    lock = make_lock("thread", debug=True)
    with in_thread(lock.acquire):
        pass

    def is_alive(_: threading.Thread) -> bool:
        raise AssertionError("it was asked")

    monkeypatch.setattr(threading.Thread, "is_alive", is_alive)
    with make_lock("thread", debug=True):
        assert "which has ended for" in dumped()
    lock.release()
