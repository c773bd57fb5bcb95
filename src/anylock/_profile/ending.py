"""Ends of a program that Python's own way out is told nothing of."""

from __future__ import annotations

import os
import signal
import sys
from _thread import get_ident
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DEADLY = [
    getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)
]
"""What a user ends programs by. Ctrl-C is an exception, and SIGKILL asks nobody."""

_PLACES = ((os, "_exit"), (signal, "signal"), (signal, "getsignal"))
_leave, _set_handler, _get_handler = (getattr(*each) for each in _PLACES)


def watch(end: Callable[[], object]) -> None:
    """Do something before `os._exit` or a signal ends this process.

    The program sees nothing of that: neither a handler of signals, nor another status.
    The processes that it forks are as they would be without.

    Args:
        end: What to do. Called by whoever is about to end it.
    """
    _put(_leaving(end), *_hiding(dying := _dying(end)))
    for number in _DEADLY:
        if _get_handler(number) == signal.SIG_DFL:
            _set_handler(number, dying)
    _undo_in_children(dying)


def _put(*functions: Any) -> None:
    for (module, name), function in zip(_PLACES, functions, strict=True):
        setattr(module, name, function)


def _leaving(end: Callable[[], object]) -> Any:
    @wraps(_leave)
    def leaving(status: int) -> None:
        end()
        _leave(status)

    return leaving


def _dying(end: Callable[[], object]) -> Any:
    def dying(number: int, _: object) -> None:
        _set_handler(number, signal.SIG_DFL)  # the next one ends it at once
        try:
            end()
        finally:
            os.kill(os.getpid(), number)

    return dying


def _hiding(dying: Any) -> tuple[Any, Any]:
    """Return functions of `signal` to which that handler is none."""

    def shown(handler: Any) -> Any:
        return signal.SIG_DFL if handler is dying else handler

    @wraps(_set_handler)
    def setting(signalnum: int, handler: Any) -> Any:
        ours = signalnum in _DEADLY and handler == signal.SIG_DFL
        return shown(_set_handler(signalnum, dying if ours else handler))

    @wraps(_get_handler)
    def getting(signalnum: int) -> Any:
        return shown(_get_handler(signalnum))

    return setting, getting


def _undo_in_children(dying: Any) -> None:
    if sys.platform == "win32":
        return  # nothing forks there
    # A signal that came to the child before, Python would forget there. So it has to
    # wait until it is deadly again.
    masks: dict[int, Any] = {}

    def before() -> None:
        masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _DEADLY)

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop(get_ident()))

    def after_in_child() -> None:
        _put(_leave, _set_handler, _get_handler)
        for number in _DEADLY:
            if _get_handler(number) is dying:
                _set_handler(number, signal.SIG_DFL)
        after()

    os.register_at_fork(
        before=before, after_in_parent=after, after_in_child=after_in_child
    )
