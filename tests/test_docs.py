"""The documents are executed: what they show is what happens.

In README.md and docs/*.md, the blocks marked `python` of one document make one
program, run from top to bottom by a fresh interpreter, and those marked `pycon` are
one interactive session, compared by doctest. Blocks marked otherwise are only shown.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import anylock
import anylock.testing

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(ROOT.glob("docs/**/*.md"))]
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
# Those that another operating system only can import.
FOREIGN = {"linux": {"kqueue", "windows"}}.get(sys.platform, {"inotify"})
MODULES = [
    "anylock",
    *(
        module.name
        for module in pkgutil.walk_packages(anylock.__path__, "anylock.")
        if module.name.rpartition(".")[2] not in {"__main__", *FOREIGN}
    ),
]

# What is shown may need every extra.
pytestmark = pytest.mark.usefixtures("trio")


def blocks(document: Path, language: str) -> str:
    """Blank every line outside the blocks of `language`; line numbers stay."""
    kept: list[str] = []
    fence = marked = None
    for line in document.read_text(encoding="utf-8").splitlines():
        edge = re.match(r"(`{3,})\s*([\w-]*)", line)
        if edge and fence is None:
            fence, marked = edge.groups()
            kept.append("")
        elif edge and edge.group(1) == fence:
            fence = marked = None
            kept.append("")
        else:
            kept.append(line if marked == language else "")
    return "\n".join(kept) + "\n"


def run(program: Path, directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_readme_shows_an_example() -> None:
    assert blocks(README, "python").strip()


def test_every_name_is_in_the_documents() -> None:
    told = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    for name in (*anylock.__all__, *anylock.testing.__all__):
        assert f"`{name}`" in told or f"`{name}(" in told


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_programs_in_documents(document: Path, tmp_path: Path) -> None:
    program = tmp_path / f"{document.stem.lower()}_md.py"
    program.write_text(blocks(document, "python"), encoding="utf-8")
    run(program, tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_sessions_in_documents(document: Path) -> None:
    session = doctest.DocTestParser().get_doctest(
        blocks(document, "pycon"), {}, document.name, str(document), 0
    )
    assert doctest.DocTestRunner().run(session).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_sessions_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_examples(example: Path, tmp_path: Path) -> None:
    run(example, tmp_path)
