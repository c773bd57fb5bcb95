"""synchronized: run a whole function under a lock."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from anylock._hold import seconds
from anylock._protocol import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class Decorator(Protocol):
    """Takes a function and returns one of the very same type."""

    def __call__(self, function: F, /) -> F: ...


def synchronized(lock: Lock | str, *, timeout: float | None = None) -> Decorator:
    """Run each call of the decorated function under a lock.

    A function takes the lock by `with`, a coroutine function by `async with`, so one
    lock may serve both.

    Args:
        lock: The lock, or for methods the name of the attribute of `self` (or `cls`)
            that holds it.
        timeout: Seconds to wait at most; None waits for ever, 0 tries once.

    Returns:
        A decorator that keeps the function's signature and type.

    Raises:
        TypeError: When decorating, `lock` is neither a lock nor a name, or the
            function is a generator, an async generator, a class, a static or class
            method, or not a function at all. When calling, the attribute of that
            name is not a lock.
        ValueError: `timeout` is negative or NaN.
        LockTimeout: When calling, the time is over.
    """
    if inspect.isclass(lock) or not isinstance(lock, (str, Lock)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = (
            f"synchronized() needs a lock, or the name of the attribute that holds "
            f"one, not {lock!r}; write @synchronized(lock)"
        )
        raise TypeError(message)
    wait = seconds(timeout)

    def decorate(function: F, /) -> F:
        _refuse_unsuitable(function)
        find = functools.partial(_find, lock, function.__qualname__)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_task(*args: Any, **kwargs: Any) -> Any:
                found = find(args)
                async with found if wait is None else found.hold(wait):
                    return await function(*args, **kwargs)

            return cast("F", in_task)

        @functools.wraps(function)
        def in_thread(*args: Any, **kwargs: Any) -> Any:
            found = find(args)
            with found if wait is None else found.hold(wait):
                return function(*args, **kwargs)

        return cast("F", in_thread)

    return decorate


def _find(lock: Lock | str, qualname: str, args: tuple[Any, ...]) -> Lock:
    if not isinstance(lock, str):
        return lock
    if not args:
        message = (
            f"{qualname}() looks for its lock in self.{lock}, but got no self: "
            f"@synchronized({lock!r}) is for methods"
        )
        raise TypeError(message)
    found: Lock = getattr(args[0], lock)
    if not hasattr(found, "hold"):  # isinstance(found, Lock) would take microseconds
        message = f"{qualname}() needs a lock in its attribute {lock!r}, not {found!r}"
        raise TypeError(message)
    return found


def _refuse_unsuitable(function: Any) -> None:
    reason = None
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        reason = (
            "is a generator: it runs after the call that would be under the lock; "
            "take the lock inside"
        )
    elif isinstance(function, (staticmethod, classmethod)):
        reason = "is a static or class method: put @synchronized below that decorator"
    elif inspect.isclass(function):
        reason = "is a class: decorate its methods"
    elif not callable(function) or not hasattr(function, "__qualname__"):
        reason = "is not a function"
    if reason is not None:
        message = f"cannot synchronize {function!r}: it {reason}"
        raise TypeError(message)
