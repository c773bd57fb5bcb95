"""Holds the models to the code: what they quote of it must still be there.

A step of a model names the code that it stands for, in a comment of this form:
`// file.py:Class.function` and then a piece of that function between backquotes.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "anylock"

_QUOTE = re.compile(r"//\s+(?P<file>[\w/]+\.py):(?P<where>[\w.]+)\s+`(?P<text>[^`]+)`")


@cache
def _functions(file: str) -> dict[str, str]:
    """Return the text of every function of a source file by its qualified name."""
    path = SOURCE / file
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    nodes = [(node, "") for node in ast.parse(text).body]
    for node, prefix in nodes:  # grows as it goes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = prefix + node.name
            found[name] = _flat(ast.get_source_segment(text, node) or "")
            nodes += [(child, name + ".") for child in node.body]
    return found


def _flat(text: str) -> str:
    return " ".join(text.split())


def stale(model: Path) -> tuple[int, list[str]]:
    """Count what a model quotes, and say which of it the code does not have."""
    count = 0
    complaints: list[str] = []
    for number, line in enumerate(model.read_text(encoding="utf-8").splitlines(), 1):
        quote = _QUOTE.search(line)
        if quote is None:
            if re.search(r"//.*\.py:", line):
                complaints.append(f"{model.name}:{number}: no quote: {line.strip()}")
            continue
        count += 1
        body = _functions(quote["file"]).get(quote["where"])
        if body is None:
            what = f"no {quote['where']} in {quote['file']}"
        elif _flat(quote["text"]) not in body:
            what = f"{quote['file']}:{quote['where']} has no `{quote['text']}`"
        else:
            continue
        complaints.append(f"{model.name}:{number}: {what}")
    return count, complaints
