"""Runs somebody's program as `python SCRIPT` and `python -m MODULE` do."""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - a prefix
_RUNPY = runpy.run_module.__code__.co_filename


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module as `python -m` does.

    Args:
        name: Of the module.
        arguments: What follows it.
    """
    sys.argv[:] = ["-m", *arguments]
    _new_main()
    _as_main(name)


def run_script(path: str, arguments: list[str]) -> None:
    """Run a script as `python` does; also a folder or archive with a `__main__.py`.

    Args:
        path: Of the script.
        arguments: What follows it.

    Raises:
        OSError: It cannot be read.
    """
    if pkgutil.get_importer(path) is not None:
        _before_others(os.path.abspath(path))  # noqa: PTH100 - as Python does it
        sys.argv[:] = [path, *arguments]
        _new_main()
        _as_main("__main__", alter_argv=False)
        return
    file = os.path.abspath(path)  # noqa: PTH100 - without resolving links
    code = _compiled(file)
    folder = os.path.dirname(os.path.realpath(path))  # noqa: PTH120
    _before_others(*([] if _is_safe() else [folder]))
    sys.argv[:] = [path, *arguments]
    main = _new_main()
    main.__file__ = file
    main.__loader__ = SourceFileLoader("__main__", file)
    vars(main)["__cached__"] = None
    exec(code, vars(main))  # noqa: S102 - that is what it is for


def check(path: str) -> None:
    """Find out whether that may be a script.

    Args:
        path: Of the script.

    Raises:
        OSError: It cannot be read.
    """
    if pkgutil.get_importer(path) is None:
        io.open_code(os.path.abspath(path)).close()  # noqa: PTH100 - as above


def _compiled(file: str) -> CodeType:
    with io.open_code(file) as opened:
        code: CodeType | None = pkgutil.read_code(opened)
    if code is None:
        with io.open_code(file) as opened:
            code = compile(opened.read(), file, "exec", dont_inherit=True)
    return code


def _new_main() -> ModuleType:
    """Put an empty module in the place of that which runs us, and return it."""
    ours = sys.modules["__main__"]
    main = sys.modules["__main__"] = ModuleType("__main__")
    # What multiprocessing calls it, for what the program's processes send back.
    sys.modules["__mp_main__"] = main
    vars(main)["__builtins__"] = builtins
    # Not from Python 3.14 on, and then it would be in the way.
    vars(main).update((n, {}) for n in vars(ours) if n == "__annotations__")
    _replaced.append(ours)
    return main


_replaced: list[ModuleType] = []
"""Keeps what our own functions refer to."""


def _is_safe() -> bool:
    """Say whether Python puts no folder before its own in `sys.path`."""
    return bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))


def _before_others(*folders: str) -> None:
    # Where this module was run from `python -m` has put the current folder.
    sys.path[: not _is_safe()] = folders


def _as_main(name: str, *, alter_argv: bool = True) -> None:
    # What `python -m` itself calls. There is nothing public that leaves the module in
    # its place afterwards, for threads that are still running, and for pickle.
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def hide_ourselves() -> None:
    """Let the error that is about to end the program be shown without our frames."""
    hook = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, _: Any) -> None:
        sys.excepthook = hook
        for each in _all_of(error):
            each.__traceback__ = _without_ours(each.__traceback__)
        hook(kind, error, error.__traceback__)

    sys.excepthook = show


def _all_of(error: BaseException) -> Iterator[BaseException]:
    """Give an error, and those that it comes from or consists of."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            left += each.__cause__, each.__context__, *getattr(each, "exceptions", ())
            yield each


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    # Python runs us by `runpy`, as it would have run the program.
    first = next((n for n, each in enumerate(entries) if _file(each) != _RUNPY), 0)
    if not entries or not _file(entries[first]).startswith(_OURS):
        first = 0
    shown = None
    for each in reversed(entries[first:]):
        if not _file(each).startswith(_OURS):
            shown = TracebackType(shown, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shown


def _file(entry: TracebackType) -> str:
    return entry.tb_frame.f_code.co_filename
