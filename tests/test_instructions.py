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
    from collections.abc import Iterator

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
    findings: list[str] = guard.findings(guard.WORKLOADS, before, now)
    return findings


def test_what_is_allowed_is_not_found(guard: Any, before: dict[str, Any]) -> None:
    assert found(guard, before) == []
    assert found(guard, before, ours=1249) == []
    assert found(guard, before, ours=500, frames=1) == []
    # Another build, in which everything takes twice as much:
    assert found(guard, before, ours=2000, peer=2000) == []


def test_more_instructions_are_found(guard: Any, before: dict[str, Any]) -> None:
    (finding,) = found(guard, before, ours=1440, peer=1020)
    assert finding == (
        "thread-lock: 1.412 of threading.Lock(), before 1.000: +41.2%, "
        "allowed +25%; instructions 1440, before 1000; of the peer 1020, before 1000"
    )


def test_a_frame_more_is_found_however_little_it_takes(
    guard: Any, before: dict[str, Any]
) -> None:
    (finding,) = found(guard, before, ours=1001, frames=3)
    assert finding == "thread-lock: 3 Python frames of anylock, before 2"


def test_every_workload_is_compared(guard: Any, before: dict[str, Any]) -> None:
    slower = {key: replace(count, ours=1300) for key, count in before.items()}
    findings = guard.findings(guard.WORKLOADS, before, slower)
    assert [finding.partition(":")[0] for finding in findings] == list(before)


def test_one_that_was_not_kept_is_found(guard: Any, before: dict[str, Any]) -> None:
    kept = {key: count for key, count in before.items() if key != "machine-lock"}
    assert guard.findings(guard.WORKLOADS, kept, before) == [
        "machine-lock: nothing is kept to compare it with"
    ]
    # One that was not counted, as with --only, is no finding.
    assert guard.findings(guard.WORKLOADS, before, kept) == []


def run(
    guard: Any,
    monkeypatch: pytest.MonkeyPatch,
    file: Path,
    counted: dict[str, Any],
    *options: str,
) -> int:
    def count(keys: list[str]) -> dict[str, Any]:
        return {key: counted[key] for key in keys or counted}

    monkeypatch.setattr(guard, "FILE", file)
    monkeypatch.setattr(guard, "count", count)
    monkeypatch.setattr(guard, "where", lambda: {"python": "3.x"})
    monkeypatch.setattr(guard.shutil, "which", str)
    monkeypatch.setattr(sys, "argv", ["instructions", *options])
    status: int = guard.main()
    return status


def test_the_command_keeps_and_compares(
    guard: Any,
    before: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "counts.json"
    slower = {key: replace(count, frames=3) for key, count in before.items()}
    # Without anything kept there is nothing to compare with, which it says.
    assert run(guard, monkeypatch, file, before) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert run(guard, monkeypatch, file, before, "--update") == 0
    assert run(guard, monkeypatch, file, before) == 0
    assert "--update" not in capsys.readouterr().out
    assert run(guard, monkeypatch, file, slower) == 1
    told = capsys.readouterr().out
    assert "machine-lock: 3 Python frames of anylock, before 2" in told
    assert guard.UPDATE in told
    # What is updated alone leaves the others as they were.
    only = ("--only", "thread-lock")
    assert run(guard, monkeypatch, file, slower, "--update", *only) == 0
    assert run(guard, monkeypatch, file, slower, *only) == 0
    assert run(guard, monkeypatch, file, slower) == 1
    assert "\nthread-lock: 3 Python" not in capsys.readouterr().out


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
    more = {key: n for key, n in frames.items() if n > kept.counts[key].frames}
    assert not more, guard.WHAT_TO_DO
