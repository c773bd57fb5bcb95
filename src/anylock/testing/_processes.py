"""Rules about processes: this one, and one that it starts and gives the lock to."""

from __future__ import annotations

import multiprocessing
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from anylock import LockTimeout
from anylock.testing._participants import InTask, InThread
from anylock.testing._rule import rule
from anylock.testing._stage import GRACE, SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.connection import Connection

    from anylock import Lock
    from anylock.testing._stage import Stage


@rule(
    "thread",
    "A lock that is given to a new process keeps its kind and its name, and excludes "
    "that process, whatever the colour.",
    "processes",
)
def processes_exclude(stage: Stage) -> None:
    lock = stage.make()
    with another_process(stage, lock) as child:
        stage.expect(
            child.ask("describe") == (lock.kind, lock.name),
            f"kind and name became {child.ask('describe')} in the child",
        )
        for enter in ("enter", "enter_task") if stage.tasks else ("enter",):
            with lock:
                child.expect("locked", answer=True)
                child.expect("try_acquire", answer=False)
                for seconds in (0, SHORT):
                    child.expect("hold", seconds, answer=("LockTimeout", seconds))
                child.send(enter)
                child.expect_silence("entered it while the parent held it")
            child.expect_answer("inside", f"{enter} should have succeeded")
            stage.expect(lock.locked(), "locked() was False while a child held it")
            stage.expect(not lock.try_acquire(), "try_acquire() took it from a child")
            stage.expect_error(
                LockTimeout, "hold() while a child held it", enter_within, lock, SHORT
            )
            child.expect("leave", answer="left")
            stage.expect(not lock.locked(), "it was locked when the child had left")
        child.expect("try_acquire", answer=True)
        stage.expect(not lock.try_acquire(), "try_acquire() took it from a child")
        child.expect("release", answer=None)
        with lock.hold(stage.left):
            pass


@rule(
    "thread",
    "Threads and tasks wait for another process to leave, without blocking the event "
    "loop, and may be cancelled meanwhile.",
    "processes",
    "tasks",
)
def tasks_wait_for_processes(stage: Stage) -> None:
    lock = stage.make()
    with another_process(stage, lock) as child:
        for cancel in (False, True):
            child.expect("enter", answer="inside")
            task = InTask(stage, lock)
            task.expect_outside("while a child held it")
            stage.result(
                stage.loop.start(anyio.lowlevel.checkpoint),
                "the event loop should run while one of its tasks waits for the lock",
            )
            if cancel:
                task.cancel()
            thread = InThread(stage, lock)
            thread.expect_outside("while a child held it")
            child.expect("leave", answer="left")
            if not cancel:
                # Either may be the first.
                thread.leave()
                task.expect_inside("after the child had left")
                task.finish()
            thread.expect_inside("after the child had left")
            thread.finish()
            # Who was cancelled may have to give it back by way of a thread.
            with lock.hold(stage.left):
                child.expect("try_acquire", answer=False)


def enter_within(lock: Lock, seconds: float) -> None:
    """Enter and leave the lock."""
    with lock.hold(seconds):
        pass


class Child:
    """A process that has the lock and does what it is told."""

    def __init__(self, stage: Stage, connection: Connection[Any, Any]) -> None:
        self._stage = stage
        self._connection = connection

    def send(self, command: str, *args: Any) -> None:
        """Tell it to do something, and wait for no answer."""
        self._connection.send((command, args))

    def ask(self, command: str, *args: Any) -> Any:
        """Tell it to do something and return its answer."""
        self.send(command, *args)
        return self._answer(f"{command}() in a child should have ended")

    def expect(self, command: str, *args: Any, answer: object) -> None:
        """Tell it to do something, which must come out like that."""
        came = self.ask(command, *args)
        self._stage.expect(
            came == answer, f"in a child, {command}{args} gave {came!r}, not {answer!r}"
        )

    def expect_answer(self, answer: object, what: str) -> None:
        """Wait for the answer to what was sent."""
        came = self._answer(what)
        self._stage.expect(came == answer, f"{what}, but gave {came!r}")

    def expect_silence(self, what: str) -> None:
        """Watch for a moment that no answer comes."""
        if self._connection.poll(GRACE):
            self._stage.fail(f"a child {what}: {self._connection.recv()!r}")

    def _answer(self, what: str) -> Any:
        if not self._connection.poll(self._stage.left):
            self._stage.fail(f"{what}, but did not within {self._stage.patience:g} s")
        try:
            return self._connection.recv()
        except EOFError:
            self._stage.fail(f"{what}, but the child ended")


@contextmanager
def another_process(stage: Stage, lock: Lock) -> Generator[Child]:
    """Start a process that has the lock."""
    context: Any = stage.context or multiprocessing.get_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=obey, args=(lock, theirs), daemon=True)
    with warnings.catch_warnings():
        # That forking is a risk beside threads is known to who asks for it; the child
        # uses nothing that they could have held.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    try:
        child = Child(stage, ours)
        yield child
        ours.send(("stop", ()))
        process.join(stage.left)
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def obey(lock: Lock, connection: Connection[Any, Any]) -> None:
    """Do what the parent says; the main function of the child."""
    while True:
        command, args = connection.recv()
        if command == "stop":
            return
        try:
            answer = respond(lock, connection, command, *args)
        except Exception as error:  # noqa: BLE001 - the parent reports it
            answer = repr(error)
        connection.send(answer)


def respond(
    lock: Any, connection: Connection[Any, Any], command: str, *args: Any
) -> Any:
    """Do what the command says; return the answer."""
    if command in OWN_COMMANDS:
        return OWN_COMMANDS[command](lock, connection, *args)
    answer = getattr(lock, command)
    return answer(*args) if callable(answer) else answer


def describe(lock: Lock, _: Connection[Any, Any]) -> tuple[str, str | None]:
    """Tell kind and name."""
    return lock.kind, lock.name


def enter_and_stay(lock: Lock, connection: Connection[Any, Any]) -> str:
    """Enter by `with`."""
    with lock:
        stay(connection)
    return "left"


def enter_task(lock: Lock, connection: Connection[Any, Any]) -> str:
    """Enter by `async with`, on asyncio."""

    async def enter() -> None:
        async with lock:
            stay(connection)

    anyio.run(enter)
    return "left"


def stay(connection: Connection[Any, Any]) -> None:
    """Say that we are inside, and stay until told to leave."""
    connection.send("inside")
    connection.recv()


def attempt_hold(
    lock: Lock, _: Connection[Any, Any], seconds: float
) -> tuple[str, float]:
    """Try to enter; say how that went."""
    try:
        with lock.hold(seconds):
            return "entered", seconds
    except LockTimeout as error:
        return type(error).__name__, error.timeout


def attempt_wait(
    condition: Any, connection: Connection[Any, Any], seconds: float | None
) -> object:
    """Wait to be notified; say so before, while nobody can notify yet."""
    with condition:
        connection.send("waiting")
        return condition.wait(seconds)


def notify_within(condition: Any, _: Connection[Any, Any]) -> str:
    """Notify one who waits."""
    with condition:
        condition.notify()
    return "notified"


OWN_COMMANDS: dict[str, Callable[..., Any]] = {
    "describe": describe,
    "enter": enter_and_stay,
    "enter_task": enter_task,
    "hold": attempt_hold,
    "notify_within": notify_within,
    "wait": attempt_wait,
}
"""What a child can do beside calling the lock's methods and reading its attributes."""
