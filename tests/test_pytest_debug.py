"""`pytest --anylock-debug`: what fails a test, what is told, what is left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from anylock import _adapters
from anylock.debug import _events, settings
from test_docs import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["plugin_fixtures"]

INVERSION = """
    from anylock import make_lock

    a = make_lock("thread", name="a")
    b = make_lock("thread", name="b")

    def test_forwards():
        with a, b:
            pass

    def test_backwards():
        with b, a:
            pass

    def test_backwards_again():
        with b, a:
            pass
"""

# Waits for a lock that is held by the main thread, until the time is over.
CONTENTION = """
    import threading

    import pytest

    from anylock import LockTimeout, make_lock

    def wait_for(lock):
        with pytest.raises(LockTimeout), lock.hold(timeout=0.001):
            pass

    def test_contention():
        lock = make_lock("thread", name="cache")
        with lock:
            thread = threading.Thread(target=wait_for, args=(lock,))
            thread.start()
            thread.join()
"""

# In a setup, a test, and a teardown: {0} is where the order is inverted.
PHASES = """
    import pytest

    from anylock import make_lock

    a = make_lock("thread", name="a")
    b = make_lock("thread", name="b")

    def invert():
        with a, b:
            pass
        with b, a:
            pass

    @pytest.fixture
    def resource():
        {setup}
        yield
        {teardown}

    def test_it(resource):
        {call}
"""


@pytest.fixture(autouse=True)
def _nothing_is_left(plugin: pytest.Pytester) -> Iterator[None]:
    """A run leaves the settings, and who listens, as they were."""
    del plugin
    before = _adapters.debugging, replace(settings), _events.listeners
    yield
    assert before == (_adapters.debugging, settings, _events.listeners)


def phases(**where: str) -> str:
    return PHASES.format(**{"setup": "", "call": "pass", "teardown": "", **where})


def test_nothing_happens_unless_asked(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(INVERSION)
    result = plugin.runpytest_inprocess()
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*anylock:*")


def test_an_inverted_order_fails_the_test(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(INVERSION)
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_backwards _*",
            "order: locks are taken in opposite orders*",
            "*in test_backwards",
            "but",
            "*in test_forwards",
            "*anylock: most contended locks*",
            "no debug lock was waited for",
            "FAILED *::test_backwards - *",
        ]
    )
    result.stdout.no_fnmatch_line("*LockOrderWarning*")  # it is told once
    result.stdout.no_fnmatch_line("*pluggy*.py*")  # frames that nobody asked for


def test_it_may_be_asked_for_in_a_configuration_file(plugin: pytest.Pytester) -> None:
    plugin.makeini("[pytest]\naddopts = --anylock-debug")
    plugin.makepyfile(INVERSION)
    plugin.runpytest_inprocess().assert_outcomes(passed=2, failed=1)


def test_it_begins_before_a_conftest_is_imported(plugin: pytest.Pytester) -> None:
    plugin.makeconftest("import anylock\nlock = anylock.make_lock('thread')")
    plugin.makepyfile(
        """
        import conftest
        from anylock.debug import known

        def test_it():
            assert conftest.lock.record in known()
        """
    )
    plugin.runpytest_inprocess("--anylock-debug").assert_outcomes(passed=1)


def test_a_near_deadlock_fails_the_test(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        import threading

        from anylock import LockTimeout, make_lock

        a = make_lock("thread", name="a")
        b = make_lock("thread", name="b")
        both = threading.Barrier(2)

        def take(first, then, timeout):
            with first:
                both.wait()
                try:
                    with then.hold(timeout=timeout):
                        pass
                except LockTimeout:
                    pass

        def test_near():
            other = threading.Thread(target=take, args=(b, a, 60))
            other.start()
            take(a, b, 1)
            other.join()
        """
    )
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["near deadlock: *", "*waits for '[ab]'*"])
    result.stdout.no_fnmatch_line("*NearDeadlockWarning*")


DEADLOCK = """
    import threading

    from anylock import WouldDeadlock, make_lock
    from anylock.debug import findings

    a = make_lock("thread", name="a")
    b = make_lock("thread", name="b")
    both = threading.Barrier(2)
    refused = []

    def take(first, then):
        with first:
            both.wait()
            try:
                with then:
                    pass
            except WouldDeadlock as error:
                refused.append(error)

    def provoke():
        other = threading.Thread(target=take, args=(b, a))
        other.start()
        take(a, b)
        other.join()
        assert len(refused) == 1
"""


def test_a_deadlock_fails_the_test_though_its_error_is_caught(
    plugin: pytest.Pytester,
) -> None:
    plugin.makepyfile(f"{DEADLOCK}\n    def test_it():\n        provoke()")
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["deadlock: waiting for the lock '[ab]' would never *"])


def test_what_a_test_takes_itself_it_is_not_failed_for(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        f"""{DEADLOCK}
    def test_it():
        provoke()
        assert "deadlock" in [finding.kind for finding in findings]
        findings.clear()
"""
    )
    plugin.runpytest_inprocess("--anylock-debug").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("where", "outcomes"),
    [
        ("setup", {"errors": 1}),
        ("call", {"failed": 1}),
        ("teardown", {"passed": 1, "errors": 1}),
    ],
)
def test_fixtures_count_too(
    where: str, outcomes: dict[str, int], plugin: pytest.Pytester
) -> None:
    plugin.makepyfile(phases(**{where: "invert()"}))
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines(["order: locks are taken in opposite orders*"])


def test_a_failure_is_kept_and_told_beside(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(phases(call="invert(); assert not 'for a reason of its own'"))
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *for a reason of its own*",
            "*- Captured anylock call -*",
            "order: locks are taken in opposite orders*",
        ]
    )


LONG_HOLD = """
    import pytest

    from anylock import make_lock
    from anylock.debug import settings

    def test_it(monkeypatch):
        monkeypatch.setattr(settings, "long_hold", 0)
        with make_lock("thread"):
            pass
"""


def test_other_findings_are_warnings(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(LONG_HOLD)
    result = plugin.runpytest_inprocess("--anylock-debug", "-Wdefault")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*LongHoldWarning: thread 'MainThread' held Lock *"])


def test_where_warnings_are_errors_locks_raise_none(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(LONG_HOLD + "        print('it got here')")
    result = plugin.runpytest_inprocess("--anylock-debug", "-Werror")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LongHoldWarning: *", "*it got here*"])


def test_a_failure_is_told_rather_than_a_warning(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(LONG_HOLD + "        pytest.fail('of its own')")
    result = plugin.runpytest_inprocess("--anylock-debug", "-Werror")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Failed: of its own", "long hold: *"])


def test_what_imports_did_fails_the_run_and_no_test(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        phases().replace("@pytest.fixture", "invert()\n\n    @pytest.fixture")
    )
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*anylock: found while no test ran*", "order: *"])


def test_contended_locks_are_listed(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(test_it=CONTENTION)
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines(
        [
            r"=+ anylock: most contended locks =+",
            r" +waits +in all +longest  lock",
            r" +1( +\d\.\d{3} s){2}  thread Lock 'cache', made at test_it\.py:\d+$",
        ]
    )


def test_to_wait_for_news_is_no_contention(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        """
        from anylock import make_condition

        def test_it():
            condition = make_condition("thread")
            with condition:
                assert not condition.wait(0.001)
        """
    )
    result = plugin.runpytest_inprocess("--anylock-debug")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["no debug lock was waited for"])


def test_workers_of_xdist_add_up(plugin: pytest.Pytester) -> None:
    plugin.makepyfile(
        test_it=CONTENTION,
        test_order=INVERSION,
        test_import=phases() + "\n    invert()",
    )
    result = plugin.runpytest_inprocess(
        "--anylock-debug", "--dist=each", "--tx=2*popen"
    )
    result.assert_outcomes(passed=8, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*anylock: most contended locks*",
            "*in all*",
            " *2 *'cache', made at test_it*",
        ]
    )
    assert str(result.stdout).count("found while no test ran") == 1


def test_the_document_shows_what_happens(plugin: pytest.Pytester) -> None:
    document = ROOT / "docs" / "pytest.md"
    bank, _, _ = blocks(document, "python").partition("import pytest\n")
    file = plugin.makepyfile(test_bank=bank.strip())
    result = plugin.runpytest_inprocess("--anylock-debug", file)
    shown = blocks(document, "console").strip().splitlines()[1:]
    told = [
        line.replace(f"{plugin.path}/", "").strip("_= ") for line in result.outlines
    ]
    first = told.index(shown[0].strip("_= "))
    assert told[first : first + len(shown)] == [line.strip("_= ") for line in shown]


def test_the_tests_in_the_document_pass(plugin: pytest.Pytester) -> None:
    document = ROOT / "docs" / "pytest.md"
    plugin.makepyfile(test_it=blocks(document, "python"))
    plugin.makeconftest(
        "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'"
    )
    plugin.runpytest_inprocess("-Werror").assert_outcomes(passed=9)
