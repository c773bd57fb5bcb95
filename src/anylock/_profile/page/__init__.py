"""The page of a profile: one file of HTML, complete in itself."""

from __future__ import annotations

import html
import json
from heapq import nlargest
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from anylock._profile.report import SPAN

if TYPE_CHECKING:
    from collections.abc import Callable

    from anylock._profile.report import Report

_HERE = Path(__file__).parent
_SCRIPTS = ("panel.js", "tables.js", "timeline.js", "graph.js", "page.js")

_MOST_SPANS = 20_000
"""How many a browser draws while the mouse moves."""

_START, _END = SPAN.index("start"), SPAN.index("end")


def page_maker() -> Callable[[Report], str]:
    """Return what makes the page of a report, and reads nothing any more."""
    template = Template(_read("page.html"))
    parts = {"style": _read("page.css"), "script": "\n".join(map(_read, _SCRIPTS))}

    def page_of(report: Report) -> str:
        title = html.escape(" ".join(report.program))
        return template.substitute(parts, title=title, data=_data(report))

    return page_of


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _data(report: Report) -> str:
    data = report.as_dict()
    spans = data["spans"]
    if len(spans) > _MOST_SPANS:
        data["spans"] = nlargest(_MOST_SPANS, spans, key=_length)
    data["more_spans"] = len(spans) - len(data["spans"])
    # Nothing in it ends the element that it is in, or begins a comment.
    return json.dumps(data).replace("<", "\\u003c")


def _length(span: tuple[Any, ...]) -> float:
    length: float = span[_END] - span[_START]
    return length
