"""What `--anylock-debug` does in a run of pytest."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from anylock.debug._events import listen
from anylock.debug._findings import (
    LockWarning,
    LongHoldWarning,
    LoopBlockedWarning,
    findings,
)
from anylock.debug._settings import enable, settings
from anylock.debug._timeouts import TimeoutDumps
from anylock.debug._totals import Durations, Group, Totals

if TYPE_CHECKING:
    from collections.abc import Generator

    from anylock.debug._findings import Finding, Kind

NAME = "anylock-debug"
"""Of the plugin that does it."""

WARNINGS: dict[Kind, type[LockWarning]] = {
    "blocked loop": LoopBlockedWarning,
    "long hold": LongHoldWarning,
}
"""The findings that do not fail a test -> what they are warned of by."""

MOST = 5
"""How many locks are listed in the end."""

_BETWEEN = ("_pytest", "execnet", "pluggy", "pytest", "pytest_timeout", "xdist")
"""Modules between whoever starts pytest and a test: not shown in stacks."""


def start(config: pytest.Config) -> None:
    """Let all locks that are made from now on be debug locks, until the run is over.

    Args:
        config: Of the run. Nothing happens if it has been started already.
    """
    if config.pluginmanager.has_plugin(NAME):
        return
    totals = Totals()
    before = settings.hidden, settings.warn
    debugging = enable()
    stop = listen(events=totals.note)

    def end() -> None:
        stop()
        settings.hidden, settings.warn = before
        enable(debugging)

    config.add_cleanup(end)
    settings.hidden = (*settings.hidden, *_hidden())
    # We warn ourselves: where warnings are errors, tests should not get them amid an
    # acquire or a release.
    settings.warn = False
    config.pluginmanager.register(DebugRun(config, totals), NAME)
    config.pluginmanager.register(TimeoutDumps(), f"{NAME}-timeouts")


def _hidden() -> list[str]:
    hidden = ["<frozen "]  # imports
    for name in _BETWEEN:
        if name in sys.modules:
            file = Path(str(sys.modules[name].__file__))
            is_package = file.name == "__init__.py"
            hidden.append(str(file.parent) + os.sep if is_package else str(file))
    return hidden


class DebugRun:
    """A plugin of pytest that fails tests for what debug locks found.

    Args:
        config: Of the run.
        totals: What happened to debug locks in this process.
    """

    def __init__(self, config: pytest.Config, totals: Totals) -> None:
        self._config = config
        self._totals = totals
        self._waits: dict[Group, Durations] = {}
        self._stray: list[str] = []
        """What was found while no test ran."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(
        self, item: pytest.Item
    ) -> Generator[None, object, object]:
        """Fail a test for what its fixtures did."""
        __tracebackhide__ = True
        return (yield from _judged(item, "setup"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test for what it did."""
        __tracebackhide__ = True
        return (yield from _judged(item, "call"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item
    ) -> Generator[None, object, object]:
        """Fail a test for what its fixtures did in the end."""
        __tracebackhide__ = True
        return (yield from _judged(item, "teardown"))

    def pytest_collection_finish(self) -> None:
        """Take what was found by imports: no test is to be failed for it."""
        self._stray += _fatal_news()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Sum up, and fail the run for what was found while no test ran."""
        self._stray += _fatal_news()
        for group, total in self._totals.totals().items():
            if group.family != "Condition":  # to wait for that is no contention
                self._add(group, total.waited)
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[NAME] = {
                "stray": self._stray,
                "waits": [_pack(*each) for each in self._waits.items()],
            }
        elif self._stray and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker of xdist has summed up; one that crashed has not."""
        output = getattr(node, "workeroutput", {}).pop(NAME, {"stray": [], "waits": []})
        self._stray += [text for text in output["stray"] if text not in self._stray]
        for each in output["waits"]:
            self._add(*_unpack(each))

    def _add(self, group: Group, durations: Durations) -> None:
        if durations.count:
            self._waits.setdefault(group, Durations()).merge(durations)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List the most contended locks."""
        for text in self._stray:
            terminalreporter.write_sep("=", "anylock: found while no test ran")
            terminalreporter.write_line(text)
        terminalreporter.write_sep("=", "anylock: most contended locks")
        terminalreporter.write_line(self._table())

    def _table(self) -> str:
        most = sorted(self._waits.items(), key=_by_seconds, reverse=True)[:MOST]
        if not most:
            return "no debug lock was waited for"
        lines = [f"{'waits':>9}  {'in all':>10}  {'longest':>10}  lock"]
        for group, waits in most:
            times = f"{waits.seconds:8.3f} s  {waits.longest:8.3f} s"
            lines.append(f"{waits.count:9}  {times}  {self._describe(group)}")
        return "\n".join(lines)

    def _describe(self, group: Group) -> str:
        file = Path(group.file)
        if file.is_relative_to(self._config.rootpath):
            file = file.relative_to(self._config.rootpath)
        name = "" if group.name is None else f" {group.name!r}"
        return f"{group.kind} {group.family}{name}, made at {file}:{group.line}"


def _judged(item: pytest.Item, phase: str) -> Generator[None, object, object]:
    """Run one phase of a test, and fail it for what was found meanwhile."""
    try:
        result = yield
    except BaseException:
        # It fails for a reason of its own, or is skipped; this is told beside that.
        item.add_report_section(phase, "anylock", _text(_news()))
        __tracebackhide__ = True  # it is not about us
        raise
    news = _news()
    if any(map(_is_fatal, news)):
        pytest.fail(_text(news), pytrace=False)
    for finding in news:
        warnings.warn(finding.message, WARNINGS[finding.kind], stacklevel=2)
    return result


def _news() -> list[Finding]:
    """Take what was found; what a test takes by itself is not here any more."""
    return [findings.popleft() for _ in range(len(findings))]


def _fatal_news() -> list[str]:
    return [_text([each]) for each in _news() if _is_fatal(each)]


def _is_fatal(finding: Finding) -> bool:
    return finding.kind not in WARNINGS


def _text(news: list[Finding]) -> str:
    return "\n\n".join(f"{each.kind}: {each.message}" for each in news)


def _by_seconds(each: tuple[Group, Durations]) -> float:
    return each[1].seconds


def _pack(group: Group, waits: Durations) -> list[object]:
    """Make plain lists of it, which can be sent."""
    return [[*group], [waits.buckets, waits.seconds, waits.longest]]


def _unpack(packed: Any) -> tuple[Group, Durations]:
    group, durations = packed
    waits = Durations()
    waits.buckets, waits.seconds, waits.longest = durations
    return Group(*group), waits
