"""Where threads are switched: at the shared accesses of the code that is tested.

Up to Python 3.12 they are found by `sys.settrace`. Since then that is built upon
`sys.monitoring`, and the instructions that one thread asks for appear and vanish in the
others: from 3.13 on the latter is asked itself, once and for all threads. Python 3.12
crashes either way, and is asked for lines only.
"""

from __future__ import annotations

import dis
import importlib
import sys
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal

import anylock

from .primitives import Primitive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

Grain = Literal["line", "opcode"]

_SOURCE = Path(anylock.__file__).parent
_PARTS = ("_bridge", "_thread", "_process")
_FILES = ("_bridged.py", "_parking.py", "_blocking.py", "_ways.py", "_notices.py")
_FAULTS = Path(__file__).with_name("faults.py")
_WATCHED = frozenset(
    str(path)
    for path in (
        *(path for part in _PARTS for path in (_SOURCE / part).glob("*.py")),
        *(_SOURCE / name for name in _FILES),
        _FAULTS,
    )
)

# What only moves between a frame's own variables and its stack concerns nobody else.
_SHARED = (
    *("LOAD_ATTR", "STORE_ATTR", "DELETE_ATTR", "LOAD_METHOD", "LOAD_SUPER"),
    *("LOAD_GLOBAL", "STORE_GLOBAL", "LOAD_DEREF", "CALL", "FOR_ITER", "GET_ITER"),
    *("BINARY_SUBSCR", "STORE_SUBSCR", "DELETE_SUBSCR", "CONTAINS_OP", "COMPARE_OP"),
    *("BEFORE_WITH", "SETUP_WITH", "WITH_EXCEPT", "TO_BOOL", "POP_JUMP", "JUMP_IF"),
)

HAS_MONITORING = sys.version_info >= (3, 13)
GRAINS: tuple[Grain, ...] = ("line", "opcode")
if sys.version_info[:2] == (3, 12):
    GRAINS = ("line",)
_TOOL = 4


@cache
def _places(code: CodeType) -> dict[Grain, dict[int, int]]:
    """Give the offsets of the places where to switch, and their lines."""
    lines: dict[int, int] = {}
    opcodes: dict[int, int] = {}
    line = 0
    starts = dict(dis.findlinestarts(code))
    for at in dis.get_instructions(code):
        line = starts.get(at.offset) or line
        if at.offset in starts:
            lines[at.offset] = line
        if at.opname.startswith(_SHARED):
            opcodes[at.offset] = line
    return {"line": lines, "opcode": opcodes}


class Counter:
    """Counts the accesses of one run, and has the scheduler decide now and then."""

    current: Counter | None = None

    def __init__(self, grain: Grain) -> None:
        self._grain = grain
        self._left = Primitive.scheduler.policy.stretch()
        Counter.current = self

    def at(self, code: CodeType, offset: int) -> None:
        """Note that the running thread has come to this instruction."""
        self.count(code, _places(code)[self._grain].get(offset))

    def count(self, code: CodeType, line: int | None) -> None:
        """Note that it has come to this line; None is none that counts."""
        scheduler = Primitive.scheduler
        if line is None or not scheduler.is_here:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = scheduler.policy.stretch()
            where = f"{Path(code.co_filename).name}:{line} {code.co_name}"
            scheduler.pause(where)


def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
    """Begin to watch a frame, if it is of the code that is tested: for `settrace`."""
    if frame.f_code.co_filename not in _WATCHED:
        return None
    if "opcode" in GRAINS:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
    return _trace_here


def _trace_here(frame: FrameType, event: str, _arg: Any) -> Any:
    assert Counter.current is not None  # noqa: S101 - a run has begun
    if event == "opcode":
        Counter.current.at(frame.f_code, frame.f_lasti)
    elif event == "line":
        Counter.current.count(frame.f_code, frame.f_lineno)
    return _trace_here


def install() -> None:
    """Watch the code for good, where that can be done once for all threads."""
    if sys.version_info < (3, 13):
        return
    monitoring = sys.monitoring
    monitoring.use_tool_id(_TOOL, "schedules")
    for path in _WATCHED:
        module = importlib.import_module(_module(Path(path)))
        for code in _codes(vars(module), module.__name__):
            monitoring.set_local_events(_TOOL, code, monitoring.events.INSTRUCTION)

    def at(code: CodeType, offset: int) -> Any:
        if not any(offset in places for places in _places(code).values()):
            return monitoring.DISABLE
        if Counter.current is not None:
            Counter.current.at(code, offset)
        return None

    monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, at)


def _module(path: Path) -> str:
    if path == _FAULTS:
        return f"{__package__}.{path.stem}"
    parts = path.relative_to(_SOURCE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _codes(names: dict[str, Any], module: str) -> Iterator[CodeType]:
    for found in [*names.values()]:
        if isinstance(found, property):
            yield from _codes({"get": found.fget}, module)
        elif isinstance(found, type) and found.__module__ == module:
            yield from _codes(dict(vars(found)), module)
        code = getattr(found, "__code__", None)
        if isinstance(code, CodeType):
            yield from _with_inner(code)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
