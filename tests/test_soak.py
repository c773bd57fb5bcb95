"""`python -m anylock soak`: what it passes, its options, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anylock.__main__ import INTERRUPTED, main
from anylock._soak import command
from anylock._soak.command import KINDS
from soaks import environment, number, run_alone, several_threads, soak_with

if TYPE_CHECKING:
    from anylock._soak.plan import Plan

pytest_plugins = ["interrupt_fixtures"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_soak(kind: str) -> None:
    done = run_alone("-m", "anylock", "soak", "--seconds=1.2", "--kind", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"rounds in \d+ s, seed \d+", done.stdout)
    assert re.search(r"violations +│ +none", done.stdout)
    entries = re.findall(r"acquisitions by (?:async )?with +│ +([\d,]+)", done.stdout)
    assert sum(int(number.replace(",", "")) for number in entries) > 20


def test_all_kinds_by_default() -> None:
    done = run_alone("-m", "anylock", "soak", "--seconds=1", "--seed=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"4 rounds in \d+ s, seed 0", done.stdout)
    assert re.search(r"│ +thread +│ +process +│ +machine +│ +async +│|┃", done.stdout)
    assert len(re.findall("none", done.stdout)) == len(KINDS)


# The faults, in a round of each.


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_round_with_signals(kind: str) -> None:
    def storms(plan: Plan) -> bool:
        return any(cast.storm is not None for cast in plan.cast)

    assert number(soak_with(kind, "lock", storms), "signal") > 0


@pytest.mark.parametrize("label", ["lock", "lock, reset after fork", "rlock"])
def test_a_round_with_forks(label: str) -> None:
    def forks(plan: Plan) -> bool:
        return plan.forks and several_threads(plan)

    assert number(soak_with("thread", label, forks), "fork") > 0


def test_a_round_with_processes_that_end() -> None:
    def ends(plan: Plan) -> bool:
        early = any(cast.life is not None for cast in plan.cast)
        return early and plan.forks and plan.start_method == "fork"

    soak_with("process", "lock", ends)


# Options, and what may be missing.


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seconds=0", "--seconds: must be a number of seconds above 0, not '0'"),
        ("--seconds=-1", "--seconds: must be a number of seconds above 0, not '-1'"),
        ("--seconds=nan", "--seconds: must be a number of seconds above 0, not 'nan'"),
        ("--seconds=inf", "--seconds: must be a number of seconds above 0, not 'inf'"),
        ("--seconds=long", "must be a number of seconds above 0, not 'long'"),
        ("--patience=0", "--patience: must be a number of seconds above 0, not '0'"),
        ("--seed=-1", "--seed: must be a whole number, 0 or more, not '-1'"),
        ("--seed=1.5", "--seed: must be a whole number, 0 or more, not '1.5'"),
        ("--kind=fibre", "--kind: invalid choice: 'fibre'"),
    ],
)
def test_bad_arguments(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["soak", argument])
    assert caught.value.code == command.FAILED
    assert message in capsys.readouterr().err


def test_without_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_spec(_name: str) -> None:
        return None

    monkeypatch.setattr(command, "find_spec", find_spec)
    assert main(["soak"]) == command.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "anylock soak: needs rich for what it shows: pip install 'anylock[cli]'\n"
    )


def test_help_needs_nothing() -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from anylock.__main__ import main; main(['soak', '--help'])"
    )
    done = run_alone("-c", program)
    assert done.returncode == 0
    assert "--patience" in done.stdout


@pytest.mark.usefixtures("interrupts_raise")
def test_an_interrupt_ends_it_with_the_summary() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "anylock", "soak", "--seconds=60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=0,
        start_new_session=True,
        env=environment(FORCE_COLOR="1"),  # rich takes stderr for a terminal then
    ) as process:
        assert process.stderr is not None
        drawn = ""
        while "acquisitions" not in drawn:  # it is at work
            drawn += process.stderr.read(1)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "violations" in out
    assert "Traceback" not in err
