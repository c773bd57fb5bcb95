"""The sub-command `profile`: its options, its files, and what it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from anylock.__main__ import main
from anylock._profile import command
from profiled import profiled, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_options_that_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile"]) == command.FAILED
    assert main(["profile", "-m"]) == command.FAILED
    assert main(["profile", "--", "missing.py"]) == command.FAILED
    assert main(["profile", "-o", "no/where.html", "x.py"]) == command.FAILED
    said = capsys.readouterr().err
    assert said.count("which program?") == 2
    assert "cannot open '" in said
    assert "no/where.html': No such file" in said
    for number in ("0", "many", "-1"):
        with pytest.raises(SystemExit):
            main(["profile", "--events", number, "x.py"])
    assert "must be a whole number above 0, not 'many'" in capsys.readouterr().err


def test_without_rich(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    monkeypatch.setattr(command, "find_spec", nothing)
    assert main(["profile", "x.py"]) == command.FAILED
    assert "pip install 'anylock[cli]'" in capsys.readouterr().err
    data = tmp_path / "x.json"
    assert main(["profile", "--json", str(data), "missing.py"]) == command.FAILED
    assert "missing.py" in capsys.readouterr().err


NO_RICH = """
    import importlib.util
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name: None if name == "rich" else find_spec(name)
    """


def test_rich_is_not_needed_for_files(tmp_path: Path) -> None:
    write(tmp_path, sitecustomize=NO_RICH, app="print('ran')")
    done = profiled(
        tmp_path, "app.py", options=("--json", "x.json"), environment=tmp_path
    )
    assert (done.status, done.out, done.err, done.report) == (0, "ran\n", "", "")
    assert json.loads((tmp_path / "x.json").read_text())["locks"] == []


def test_a_program_that_goes_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, app="import os; os.chdir('/')")
    assert profiled(tmp_path, "app.py", options=("--json", "x.json")).status == 0
    assert json.loads((tmp_path / "x.json").read_text())["program"] == ["app.py"]


def test_a_file_that_cannot_be_written_any_more(tmp_path: Path) -> None:
    write(tmp_path, app="import os; os.remove('x.json'); os.mkdir('x.json')")
    done = profiled(tmp_path, "app.py", options=("--json", "x.json"))
    assert done.status == 0
    assert "cannot write '" in done.err


def test_a_program_without_stderr(tmp_path: Path) -> None:
    write(tmp_path, app="import sys; sys.stderr = None; sys.stdout = None")
    done = profiled(tmp_path, "app.py")
    assert done[:3] == (0, "", "")
