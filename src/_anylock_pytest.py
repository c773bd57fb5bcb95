"""The pytest plugin: `--anylock-debug`, and the fixture `any_lock_kind`.

Every run of pytest imports this where anylock is installed, whether or not its tests
know of locks. So it is no part of the package, which would be imported with it, and
imports that only once it is asked for something. There is no assert here for pytest to
rewrite, which is why this says PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from inspect import iscoroutinefunction

import pytest

TYPE_CHECKING = False  # to import typing is for those who need it
if TYPE_CHECKING:
    from typing import Any

    from anylock import LockKind

_NAME = "any_lock_kind"
_WITH_A_LOOP = {"anyio_backend", "anyio_backend_name", "anyio_backend_options"}
"""Fixtures of anyio by which a test that is no coroutine asks for an event loop."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option, and what can be set in a configuration file."""
    parser.getgroup("anylock").addoption(
        "--anylock-debug",
        action="store_true",
        help="make every lock of anylock a debug lock: fail a test that inverted an "
        "order of locks or came near a deadlock, tell who holds what when a test times "
        "out, and list the five most contended locks",
    )
    parser.addini(
        "anylock_kinds",
        "kinds of locks that the fixture any_lock_kind gives (default: thread, "
        "process, async)",
        type="args",
        default=["thread", "process", "async"],
    )


# Before any conftest.py is imported, which may make locks.
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start early enough for locks that are made by imports."""
    if early_config.known_args_namespace.anylock_debug:
        _start(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Start where this is loaded later than usual: by `-p`, in workers of xdist."""
    if config.getoption("anylock_debug"):
        _start(config)


def _start(config: pytest.Config) -> None:
    from anylock.debug._testrun import start  # noqa: PLC0415 - see above

    start(config)


@pytest.fixture
def any_lock_kind(request: pytest.FixtureRequest) -> LockKind:
    """Run the test once for each kind of lock: "thread", "process", "async".

    A test that has no event loop, because it is neither a coroutine nor asks for
    `anyio_backend`, is not run for "async". Other kinds are chosen by
    `@pytest.mark.parametrize("any_lock_kind", [...])` or by `anylock_kinds` in the
    configuration file.
    """
    if not hasattr(request, "param"):
        pytest.fail(
            "any_lock_kind has to be an argument of the test, or of a fixture that "
            "is one: it cannot be asked for while the test runs, or by the fixtures of "
            "a unittest.TestCase, as these run once",
            pytrace=False,
        )
    kind: LockKind = request.param
    return kind


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `any_lock_kind` once for each kind."""
    if _NAME not in metafunc.fixturenames or not _is_ours(metafunc):
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",")]
        if _NAME in names:
            return
    kinds: list[str] = metafunc.config.getini("anylock_kinds")
    test = metafunc.function
    # Of a test of hypothesis, what it calls for each example.
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    if not iscoroutinefunction(test) and _WITH_A_LOOP.isdisjoint(metafunc.fixturenames):
        kinds = [kind for kind in kinds if kind != "async"]
    metafunc.parametrize(_NAME, kinds, indirect=True)


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Whether it is our fixture that the test takes, at last, and not one in its place.

    Only pytest knows that, and does not tell it to plugins. Where it has no such table
    any more, the fixture is ours.
    """
    table: Any = getattr(metafunc, "_arg2fixturedefs", {})
    for fixture in reversed(table.get(_NAME, ())):
        if fixture.func.__module__ == __name__:
            return True
        if _NAME not in fixture.argnames:
            return False
    return True
