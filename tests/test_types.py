"""The types are true at run time too; typing_ok.py is for the checkers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import anylock
import typing_ok
from anylock import Lock, LockKind, make_lock

PORTABLE = (
    *("__enter__", "__exit__", "__aenter__", "__aexit__"),
    *("hold", "try_acquire", "release", "locked"),
)


def test_the_file_for_checkers_is_a_program() -> None:
    assert typing_ok.function(2, text="a") == ["a", "a"]
    shelf = typing_ok.Shelf.make(1)
    assert shelf.put("book") == 4
    assert shelf.size == 1


def test_the_portable_surface(lock: Lock) -> None:
    assert isinstance(lock, Lock)
    for name in PORTABLE:
        assert callable(getattr(lock, name))
        # What a reader of help(lock) finds is on the class, whatever the slots hold.
        assert inspect.getdoc(getattr(Lock, name))
        assert getattr(type(lock), name).__doc__


@pytest.mark.parametrize("name", [*PORTABLE, "kind", "name"])
def test_each_name_is_needed(name: str) -> None:
    names: dict[str, Any] = dict.fromkeys((*PORTABLE, "kind", "name"), print)
    assert isinstance(type("Complete", (), names)(), Lock)
    del names[name]
    assert not isinstance(type("Incomplete", (), names)(), Lock)


def test_what_has_only_the_names_is_a_lock() -> None:
    assert isinstance(typing_ok.Complete(), Lock)
    assert not isinstance(typing_ok.Incomplete(), Lock)


def test_the_kinds_are_what_make_lock_takes() -> None:
    kinds: tuple[LockKind, ...] = get_args(LockKind)
    with pytest.raises(ValueError, match="kind must be one of") as info:
        make_lock("none of them")
    assert tuple(re.findall(r"'(\w+)'", str(info.value))) == kinds


def test_the_marker_for_checkers_is_beside_the_code() -> None:
    assert Path(anylock.__file__).with_name("py.typed").exists()
