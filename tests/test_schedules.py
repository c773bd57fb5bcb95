"""A few schedules of the real locks; `python -m verification.schedules` has more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "verification" / "schedules").is_dir(),
    reason="the schedules are explored where the repository is",
)


def schedules(*arguments: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own: there the locks block by the scheduler, for good.
    return subprocess.run(
        [sys.executable, "-m", "verification.schedules", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_some_seeds() -> None:
    done = schedules("--seeds", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 seeds" in done.stdout


def test_a_seed_does_the_same_again() -> None:
    # After others and alone, because nothing may be left from one to the next.
    told = re.compile(r"^\d+\.\d+ .*$", re.MULTILINE)
    after_others = schedules("--start", "0", "--seeds", "9", "--trace")
    alone = [schedules("--replay", str(seed)) for seed in (3, 8)]
    assert all(done.returncode == 0 for done in (after_others, *alone))
    for done in alone:
        switches = "\n".join(told.findall(done.stdout))
        assert switches
        assert switches in "\n".join(told.findall(after_others.stdout))


def test_faults_are_found() -> None:
    done = schedules("--self-test", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("found by") > 4
