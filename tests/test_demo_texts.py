"""The words that the demo counts."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from anylock.__main__ import main
from anylock._demo import command, texts
from anylock._demo.texts import UnreadableTextError, read_texts, words_of

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["demo_fixtures"]
pytestmark = pytest.mark.usefixtures("nothing_left_behind", "plain_screen")


def test_pages_have_all_the_words(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    text = "".join(f"word{n} again\v{n}\x85x\n" for n in range(100_000))
    path.write_text(text, encoding="utf-8")
    found = read_texts([path])
    assert "".join(found.pages) == text
    counted = Counter[str]()
    for page in found.pages:
        counted.update(words_of(page))
    assert counted == found.expected
    assert found.expected["again"] == 100_000


def test_bytes_that_are_no_text_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latin-1.txt"
    path.write_bytes("eins zwei dr\xfcck\n".encode("latin-1") * 5)
    arguments = ["demo", "--json", "--kind", "asyncio", str(path)]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["expected"] == 20
    (line,) = captured.err.splitlines()
    assert line == (
        f"anylock demo: {path}: not UTF-8 at byte 12; such bytes separate words"
    )


def test_files_that_cannot_be_read(
    poem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    arguments = [str(nowhere), str(poem), str(tmp_path), "/dev/zero"]
    assert main(["demo", *arguments]) == command.FAILED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"anylock demo: {nowhere}: No such file or directory",
        f"anylock demo: {tmp_path}: Is a directory",
        "anylock demo: /dev/zero: Is a device, not a text file",
    ]


def test_a_file_without_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert main(["demo", str(empty)]) == command.FAILED
    assert capsys.readouterr().err == (
        "anylock demo: there is not a single word in these files\n"
    )


def test_a_python_without_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_path(_name: str) -> str:
        return str(tmp_path)

    monkeypatch.setattr(texts, "sysconfig", SimpleNamespace(get_path=get_path))
    with pytest.raises(UnreadableTextError, match="name some files"):
        texts.read_standard_library()
