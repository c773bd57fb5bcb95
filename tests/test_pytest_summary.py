"""`pytest --anylock-debug`: the list of contended locks in the end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from anylock.debug._testrun import NAME, DebugRun
from anylock.debug._totals import Totals


@pytest.fixture
def run(pytestconfig: pytest.Config) -> DebugRun:
    return DebugRun(pytestconfig, Totals())


class Told:
    """What a run tells in the end."""

    def __init__(self, run: DebugRun) -> None:
        self.lines: list[str] = []
        run.pytest_terminal_summary(self)

    def write_sep(self, _sep: str, title: str) -> None:
        self.lines.append(title)

    def write_line(self, text: str) -> None:
        self.lines += text.splitlines()


def waits(name: str | None, seconds: float, file: str = "cache.py") -> list[object]:
    return [
        ["thread", "Lock", name, file, 7],
        [[0] * 11 + [3], seconds, seconds / 2],
    ]


def test_five_locks_are_listed_those_that_took_longest_first(
    run: DebugRun, pytestconfig: pytest.Config
) -> None:
    here = str(pytestconfig.rootpath / "cache.py")
    far = "/elsewhere/cache.py"
    workers = [
        [waits("b", 20.0), waits("c", 3.0), waits("d", 4.0)],
        [
            waits(None, 50.0, here),
            waits("c", 6.5),
            waits("e", 1.0),
            waits("f", 5.0, far),
        ],
    ]
    for each in workers:
        output = {NAME: {"stray": [], "waits": each}}
        run.pytest_testnodedown(SimpleNamespace(workeroutput=output))
        run.pytest_testnodedown(SimpleNamespace(workeroutput=output))  # it may be twice
    assert Told(run).lines == [
        "anylock: most contended locks",
        "    waits      in all     longest  lock",
        "        3    50.000 s    25.000 s  thread Lock, made at cache.py:7",
        "        3    20.000 s    10.000 s  thread Lock 'b', made at cache.py:7",
        "        6     9.500 s     3.250 s  thread Lock 'c', made at cache.py:7",
        f"        3     5.000 s     2.500 s  thread Lock 'f', made at {far}:7",
        "        3     4.000 s     2.000 s  thread Lock 'd', made at cache.py:7",
    ]


def test_a_worker_that_crashed_has_nothing_to_tell(run: DebugRun) -> None:
    run.pytest_testnodedown(SimpleNamespace())
    assert Told(run).lines[1:] == ["no debug lock was waited for"]
