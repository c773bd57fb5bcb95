"""Rules that need nobody else: the names, the types, the arguments."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

from anylock import Lock
from anylock.testing._rule import rule

if TYPE_CHECKING:
    from anylock.testing._stage import Stage

_MANAGERS = ("__enter__", "__exit__", "__aenter__", "__aexit__")
_NAMES = ("kind", "name", *_MANAGERS, "hold", "try_acquire", "release", "locked")


def not_held(stage: Stage) -> tuple[type[Exception], ...]:
    """Return what releasing may raise when the lock is not held by who releases it.

    RuntimeError as in threading and asyncio, ValueError as in multiprocessing, and
    AssertionError as in its re-entrant locks.
    """
    family = RuntimeError, ValueError
    return (*family, AssertionError) if stage.reentrant else family


@rule("anywhere", "It has every name of anylock.Lock, of the right type.")
def surface(stage: Stage) -> None:
    lock: Any = stage.make()
    missing = [name for name in _NAMES if not hasattr(lock, name)]
    stage.expect(not missing, f"it lacks {', '.join(missing)}")
    stage.expect(isinstance(lock, Lock), "isinstance(lock, anylock.Lock) is False")
    # `with` looks these up on the type.
    managers: dict[str, type] = {
        "the lock": type(lock),
        "what hold() returns": type(lock.hold()),
    }
    for what, owner in managers.items():
        missing = [name for name in _MANAGERS if not hasattr(owner, name)]
        stage.expect(not missing, f"the type of {what} lacks {', '.join(missing)}")
    _expect_type(stage, "kind", lock.kind, str)
    stage.expect(bool(lock.kind), "kind is empty")
    if lock.name is not None:
        _expect_type(stage, "name", lock.name, str)
    _expect_type(stage, "locked()", lock.locked(), bool)


def _expect_type(stage: Stage, what: str, value: object, of: type) -> None:
    stage.expect(isinstance(value, of), f"{what} is {value!r}, not a {of.__name__}")


@rule("anywhere", "The factory returns a free lock, another one at each call.")
def fresh(stage: Stage) -> None:
    first, second = stage.make(), stage.make()
    stage.expect(first is not second, "it returned the same lock twice")
    stage.expect(not first.locked(), "it returned a lock that is held")
    stage.expect(first.try_acquire() is True, "try_acquire() did not take a fresh lock")
    held = second.locked()
    first.release()
    stage.expect(not held, "when one of two locks is held, so is the other")


@rule("anywhere", "It has a repr, whatever its state, and weak references.")
def repr_and_weakref(stage: Stage) -> None:
    lock = stage.make()
    for taken in (False, True):
        if taken:
            lock.try_acquire()
        try:
            text = repr(lock)
        except Exception as error:  # noqa: BLE001 - that is the finding
            stage.fail(f"repr() raised {error!r}", error)
        finally:
            if taken:
                lock.release()
        _expect_type(stage, "repr()", text, str)
    try:
        reference = weakref.ref(lock)
    except TypeError as error:
        stage.fail(f"it takes no weak references: {error}", error)
    stage.expect(reference() is lock, "its weak reference leads elsewhere")


@rule(
    "anywhere",
    "try_acquire() says whether it took the lock, locked() whether anybody holds it.",
)
def try_acquire(stage: Stage) -> None:
    lock = stage.make()
    for _ in range(2):
        taken: Any = lock.try_acquire()
        stage.expect(taken is True, f"try_acquire() of a free lock gave {taken!r}")
        stage.expect(lock.locked() is True, "locked() is not True while it is held")
        stage.expect_taken(lock)
        lock.release()
        stage.expect(lock.locked() is False, "locked() is not False after release()")


@rule("anywhere", "Releasing what nobody holds raises RuntimeError or ValueError.")
def release_unheld(stage: Stage) -> None:
    lock = stage.make()
    for when in ("of a fresh lock", "after a release()"):
        stage.expect_error(not_held(stage), f"release() {when}", lock.release)
        stage.expect(not lock.locked(), f"the refused release() {when} locked it")
        taken = lock.try_acquire()
        stage.expect(taken, f"try_acquire() failed after a refused release() {when}")
        if not stage.reentrant:
            taken = lock.try_acquire()
            stage.expect(
                not taken, f"two could acquire it after a refused release() {when}"
            )
        lock.release()


@rule(
    "anywhere",
    "hold() takes seconds: None and inf are for ever, negative and NaN are a "
    "ValueError, what is no number a TypeError, at the call; nothing is acquired.",
)
def hold_arguments(stage: Stage) -> None:
    lock: Any = stage.make()
    for good in (None, 0, 0.0, 1, 0.5, math.inf, 1e300):
        _expect_taken(stage, lock, good)
    lock.hold()
    stage.expect(not lock.locked(), "hold() acquired the lock before it was entered")
    for bad in (-1, -0.001, math.nan, -math.inf):
        stage.expect_error(ValueError, f"hold({bad!r})", lock.hold, bad)
    no_numbers: tuple[object, ...] = (True, False, "1", b"1", object())
    for no_number in no_numbers:
        stage.expect_error(TypeError, f"hold({no_number!r})", lock.hold, no_number)
    stage.expect(not lock.locked(), "a refused hold() left the lock locked")


def _expect_taken(stage: Stage, lock: Any, timeout: float | None) -> None:
    try:
        lock.hold(timeout)
        lock.hold(timeout=timeout)
    except Exception as error:  # noqa: BLE001 - that is the finding
        stage.fail(f"hold({timeout!r}) raised {error!r}", error)
