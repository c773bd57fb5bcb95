"""The words that are counted: files, pages, and the reference count."""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINES_PER_PAGE = 100
"""How much a worker counts before it adds to the shared tally, at most."""

ENOUGH_PAGES = 600
"""How many pages of the standard library are taken. Short texts get shorter pages,
until they have that many too: the more updates, the better the race is seen."""

_WORD = re.compile(r"\w+")


class UnreadableTextError(Exception):
    """There is nothing to count; the message says why, in one line per file."""


class Texts(NamedTuple):
    """What is to be counted, and what the count must be."""

    files: int
    pages: list[str]
    expected: Counter[str]
    """Each file counted as a whole, by one thread."""
    notes: list[str]
    """What the user should know about the files, one line each."""


def words_of(text: str) -> Counter[str]:
    """Count the words of a text."""
    return Counter(_WORD.findall(text))


def read_texts(files: Iterable[Path]) -> Texts:
    """Read text files, and count them one after the other.

    Bytes that are not UTF-8 separate words, and get a note.

    Raises:
        UnreadableTextError: A file cannot be read, or none has a word in it.
    """
    texts: list[str] = []
    notes: list[str] = []
    problems: list[str] = []
    for file in files:
        try:
            texts.append(_read(file, notes))
        except OSError as error:  # noqa: PERF203 - each file has its own line
            problems.append(f"{file}: {error.strerror or error}")
    if problems:
        raise UnreadableTextError("\n".join(problems))
    return _counted(texts, notes)


def read_standard_library() -> Texts:
    """Read the first modules of the running standard library.

    Raises:
        UnreadableTextError: It has no sources.
    """
    library = Path(sysconfig.get_path("stdlib"))
    texts: list[str] = []
    lines = 0
    for file in sorted(library.glob("*.py")):
        if lines >= ENOUGH_PAGES * LINES_PER_PAGE:
            break
        texts.append(file.read_text(encoding="utf-8", errors="replace"))
        lines += len(texts[-1].splitlines())
    if not texts:
        message = f"{library}: this Python has no sources to count, name some files"
        raise UnreadableTextError(message)
    return _counted(texts, [])


def _read(file: Path, notes: list[str]) -> str:
    if file.is_char_device() or file.is_block_device():  # /dev/zero has no end
        reason = "Is a device, not a text file"
        raise OSError(reason)
    content = file.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        notes.append(
            f"{file}: not UTF-8 at byte {error.start}; such bytes separate words"
        )
        return content.decode("utf-8", errors="replace")


def _pages_of(text: str, lines_per_page: int) -> Iterator[str]:
    # No word goes on beyond the end of a line.
    lines = iter(text.splitlines(keepends=True))
    while page := "".join(islice(lines, lines_per_page)):
        yield page


def _counted(texts: list[str], notes: list[str]) -> Texts:
    expected: Counter[str] = Counter()
    lines = 0
    for text in texts:
        expected.update(words_of(text))
        lines += len(text.splitlines())
    lines_per_page = min(max(lines // ENOUGH_PAGES, 1), LINES_PER_PAGE)
    pages = [page for text in texts for page in _pages_of(text, lines_per_page)]
    if not expected:
        message = "there is not a single word in these files"
        raise UnreadableTextError(message)
    return Texts(len(texts), pages, expected, notes)
