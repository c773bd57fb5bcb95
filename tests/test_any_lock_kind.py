"""The fixture `any_lock_kind`, for those who test a library of their own."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from _anylock_pytest import _is_ours
from backends import BACKENDS, missing

pytest_plugins = ["plugin_fixtures"]

SYNC = """
    from anylock import make_lock

    def test_sync(any_lock_kind):
        with make_lock(any_lock_kind):
            pass
"""

ASYNC = """
    import pytest

    from anylock import make_lock

    @pytest.mark.anyio
    async def test_async(any_lock_kind):
        async with make_lock(any_lock_kind):
            pass
"""

RUNNING = """
    import anyio
    import pytest

    from anylock import make_lock

    def test_running(any_lock_kind, anyio_backend_name):
        async def main():
            async with make_lock(any_lock_kind):
                pass

        anyio.run(main, backend=anyio_backend_name)
"""

LIBRARIES = sorted({each.library for each in BACKENDS if missing(each) is None})
"""Those of asyncio and trio that are here."""

BOTH = """
    import pytest

    @pytest.fixture(params={})
    def anyio_backend(request):
        return request.param
"""


def collected(plugin: pytest.Pytester) -> list[set[str]]:
    """Collect tests, and give what is in their brackets."""
    result = plugin.runpytest_inprocess("--collect-only", "-q")
    assert not result.ret
    brackets = [line.partition("[")[2][:-1] for line in result.outlines if "[" in line]
    return [set(each.split("-")) for each in sorted(brackets)]


def test_sync_tests_run_for_each_kind_that_needs_no_loop(
    plugin: pytest.Pytester,
) -> None:
    plugin.makepyfile(SYNC)
    assert collected(plugin) == [{"process"}, {"thread"}]
    plugin.runpytest_inprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize("source", [ASYNC, RUNNING])
def test_tests_with_a_loop_run_for_each_kind_and_backend(
    source: str, plugin: pytest.Pytester
) -> None:
    plugin.makeconftest(BOTH.format(LIBRARIES))
    plugin.makepyfile(source)
    found = collected(plugin)
    expected = [{a, b} for a in LIBRARIES for b in ("async", "process", "thread")]
    assert len(found) == len(expected)
    assert all(each in found for each in expected)
    plugin.runpytest_inprocess().assert_outcomes(passed=len(expected))


def test_other_plugins_may_run_coroutines(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(ASYNC.replace("@pytest.mark.anyio", ""))
    assert collected(plugin) == [{"async"}, {"process"}, {"thread"}]


def test_a_fixture_may_take_it(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        import pytest

        from anylock import make_lock

        @pytest.fixture
        def lock(any_lock_kind):
            return make_lock(any_lock_kind)

        def test_it(lock):
            with lock:
                pass
        """
    )
    plugin.runpytest_inprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "mark",
    [
        "@pytest.mark.parametrize('any_lock_kind', ['machine'])",
        "@pytest.mark.parametrize(argvalues=[['machine']], argnames=['any_lock_kind'])",
        "@pytest.mark.parametrize('n, any_lock_kind', [(1, 'machine')])",
    ],
)
def test_kinds_may_be_chosen_for_a_test(mark: str, plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        f"""
        import pytest

        {mark}
        @pytest.mark.parametrize("x", [0])
        def test_it(any_lock_kind, x{", n" if "n," in mark else ""}):
            assert any_lock_kind == "machine"
        """
    )
    plugin.runpytest_inprocess().assert_outcomes(passed=1)


def test_kinds_may_be_chosen_for_a_project(plugin: pytest.Pytester) -> None:
    plugin.makeini("[pytest]\nanylock_kinds = thread async")
    plugin.makepyfile(
        test_sync=SYNC, test_async=ASYNC.replace("@pytest.mark.anyio", "")
    )
    assert collected(plugin) == [{"async"}, {"thread"}, {"thread"}]


def test_it_cannot_be_asked_for_by_name(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        def test_it(request):
            request.getfixturevalue("any_lock_kind")
        """
    )
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["any_lock_kind has to be an argument of the test*"])


@pytest.mark.parametrize(
    ("decorator", "argument", "passed"),
    [
        ("@pytest.fixture", "", 1),
        ("@pytest.fixture(params=[0])", "request", 1),
        ("@pytest.fixture", "any_lock_kind", 2),
    ],
)
def test_who_has_a_fixture_of_that_name_keeps_it(
    decorator: str, argument: str, passed: int, plugin: pytest.Pytester
) -> None:
    plugin.makepyfile(
        f"""
        import pytest

        {decorator}
        def any_lock_kind({argument}):
            return "mine"

        def test_it(any_lock_kind):
            assert any_lock_kind == "mine"
        """
    )
    plugin.runpytest_inprocess().assert_outcomes(passed=passed)


def test_a_pytest_that_does_not_tell_whose_fixture_it_is() -> None:
    metafunc: Any = SimpleNamespace()
    assert _is_ours(metafunc)


def test_coroutines_that_hypothesis_calls(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        from hypothesis import given
        from hypothesis.strategies import integers

        @given(x=integers())
        async def test_it(any_lock_kind, x):
            pass
        """
    )
    assert collected(plugin) == [{"async"}, {"process"}, {"thread"}]


def test_tests_of_unittest_run_once(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        import unittest

        import pytest

        class Test(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def lock(self, any_lock_kind):
                pass

            def test_it(self):
                pass
        """
    )
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["any_lock_kind has to be *unittest.TestCase*"])


def test_others_are_left_alone(plugin: pytest.Pytester) -> None:
    plugin.makepyfile("def test_it(): pass")
    plugin.runpytest_inprocess().assert_outcomes(passed=1)


def test_nothing_is_imported_for_those_who_do_not_use_it(
    plugin: pytest.Pytester,
) -> None:
    plugin.makepyfile(
        """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.getini("anylock_kinds")
            assert "_anylock_pytest" in sys.modules
            assert "anylock" not in sys.modules
        """
    )
    plugin.runpytest_subprocess().assert_outcomes(passed=1)


def test_anylock_may_be_imported_before_pytest(plugin: pytest.Pytester) -> None:
    # As by `python -m anylock profile -m pytest`. Where warnings are errors, pytest
    # does not start if it wants to rewrite a package that is there already.
    plugin.makepyfile("def test_it(): pass")
    program = """
        import anylock, pytest
        raise SystemExit(pytest.main(["-Werror", "-panylock"]))
    """
    done = plugin.run(sys.executable, plugin.makepyfile(program=program))
    done.assert_outcomes(passed=1)
