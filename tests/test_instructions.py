"""That slower hot paths are found; `python -m verification.instructions` counts."""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
FILE = ROOT / "verification" / "instructions" / "counts.json"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="instructions are counted where the repository is"
)


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the module that compares; it is no part of the package."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    yield importlib.import_module("verification.instructions.run")
    for name in [name for name in sys.modules if name.startswith("verification")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def before(guard: Any) -> dict[str, Any]:
    """Give made-up counts: as much as the peer, and two frames of ours."""
    return {each.key: guard.Count(1000, 1000, 2) for each in guard.WORKLOADS}


def found(guard: Any, before: dict[str, Any], **changes: Any) -> list[str]:
    now = {**before, "thread-lock": replace(before["thread-lock"], **changes)}
    frames = {key: count.frames for key, count in now.items()}
    return [
        *map(str, guard.more_frames(before, frames)),
        *map(str, guard.more_instructions(before, now)),
    ]


def test_what_is_allowed_is_not_found(guard: Any, before: dict[str, Any]) -> None:
    assert found(guard, before) == []
    assert found(guard, before, ours=1049) == []
    assert found(guard, before, ours=500, peer=400, frames=1) == []


def test_more_instructions_are_found(guard: Any, before: dict[str, Any]) -> None:
    (finding,) = found(guard, before, ours=1061, peer=1020)
    assert finding == (
        "thread-lock: 1061 instructions, before 1000: +6.1%, allowed +5%; "
        "of the peer 1020, before 1000"
    )


def test_a_frame_more_is_found_however_little_it_takes(
    guard: Any, before: dict[str, Any]
) -> None:
    (finding,) = found(guard, before, ours=1001, frames=3)
    assert finding == "thread-lock: 3 Python frames of anylock, before 2"


def test_one_that_was_not_kept_is_found(guard: Any, before: dict[str, Any]) -> None:
    kept = {key: count for key, count in before.items() if key != "machine-lock"}
    frames = {key: count.frames for key, count in before.items()}
    assert [*map(str, guard.more_frames(kept, frames))] == [
        "machine-lock: nothing is kept to compare it with"
    ]
    assert guard.more_instructions(kept, before) == []
    # One that was not counted, as with --only, is no finding.
    assert guard.more_frames(before, {}) == []
    assert guard.more_instructions(before, kept) == []


class Counting:
    """What stands for valgrind: gives one answer after the other, and notes calls."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def count(self, keys: list[str]) -> dict[str, Any]:
        self.asked.append(keys)
        counted = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {key: counted[key] for key in keys or counted}

    def count_frames(self, keys: list[str]) -> dict[str, float]:
        return {key: count.frames for key, count in self.count(keys).items()}


@pytest.fixture
def command(
    guard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., int]:
    """Give the command, with a file of its own, and what it is to count."""
    monkeypatch.setattr(guard, "FILE", tmp_path / "counts.json")
    monkeypatch.setattr(guard.shutil, "which", str)

    def run(counting: Counting, *options: str, build: str = "today") -> int:
        monkeypatch.setattr(guard, "count", counting.count)
        monkeypatch.setattr(guard, "count_frames", counting.count_frames)
        monkeypatch.setattr(guard, "where", lambda: {"python": "3.x", "build": build})
        monkeypatch.setattr(sys, "argv", ["instructions", *options])
        status: int = guard.main()
        return status

    return run


def test_the_command_keeps_and_compares(
    guard: Any,
    before: dict[str, Any],
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    as_before = Counting(before)
    slower = Counting({k: replace(count, frames=3) for k, count in before.items()})
    # Without anything kept there is nothing to compare with, which it says.
    assert command(as_before) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert command(as_before, "--update") == 0
    assert command(as_before) == 0
    assert "--update" not in capsys.readouterr().out
    assert command(slower) == 1
    told = capsys.readouterr().out
    for key in before:
        assert f"\n{key}: 3 Python frames of anylock, before 2\n" in told
    assert guard.UPDATE in told
    # What is updated alone leaves the others as they were.
    only = ("--only", "thread-lock")
    assert command(slower, "--update", *only) == 0
    assert command(slower, *only) == 0
    assert command(slower) == 1
    assert "\nthread-lock: 3 Python" not in capsys.readouterr().out


def test_instructions_that_are_found_are_counted_again(
    before: dict[str, Any],
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = {**before, "async-create": replace(before["async-create"], ours=1100)}
    assert command(Counting(before), "--update") == 0
    by_chance = Counting(more, before)
    assert command(by_chance) == 0
    assert by_chance.asked == [[], ["async-create"]]
    assert command(Counting(more)) == 1
    assert "async-create: 1100 instructions, before 1000" in capsys.readouterr().out


def test_on_another_build_frames_alone_are_compared(
    before: dict[str, Any],
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(Counting(before), "--update") == 0
    slower = {key: replace(count, ours=9000) for key, count in before.items()}
    assert command(Counting(slower), build="tomorrow") == 0
    told = capsys.readouterr().out
    assert "not compared, but Python frames are: build is tomorrow, was today" in told
    slower["thread-lock"] = replace(slower["thread-lock"], frames=3)
    assert command(Counting(slower), build="tomorrow") == 1
    assert "\nthread-lock: 3 Python frames" in capsys.readouterr().out
    # What is kept is of one build: part of it cannot be of another.
    with pytest.raises(SystemExit):
        command(Counting(slower), "--update", "--only", "thread-lock", build="tomorrow")
    assert command(Counting(slower), "--update", build="tomorrow") == 0
    assert command(Counting(slower), build="tomorrow") == 0


def test_all_is_kept_for_each_version(guard: Any) -> None:
    kept = guard.read(FILE)
    keys = [each.key for each in guard.WORKLOADS]
    for version in VERSIONS:
        assert list(kept[f"{version} linux-x86_64"].counts) == keys, version


def test_it_is_written_as_it_was_read(guard: Any, tmp_path: Path) -> None:
    copy = tmp_path / "counts.json"
    guard.write(copy, guard.read(FILE))
    assert copy.read_text() == FILE.read_text()


@pytest.mark.parametrize("loop", ["none", "asyncio", "trio"])
def test_the_workloads_run_no_more_frames_than_are_kept(
    loop: str, guard: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # Without valgrind: it would count instructions, and take ten times as long.
    if loop == "trio":
        request.getfixturevalue("trio")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "verification.instructions.worker"),
            *(loop, str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    frames = json.loads(done.stdout)
    assert list(frames) == [
        each.key for each in guard.WORKLOADS if (each.loop or "none") == loop
    ]
    kept = guard.read(FILE).get(guard.version_here())
    if kept is None:
        pytest.skip(f"nothing is kept for Python {platform.python_version()}")
    assert guard.more_frames(kept.counts, frames) == [], guard.WHAT_TO_DO
