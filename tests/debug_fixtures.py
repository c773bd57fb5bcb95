"""Fixtures of the tests of debug locks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from anylock import debug

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def quiet() -> Iterator[None]:
    """Let what is found be kept, and not be warned of; forget it afterwards."""
    before = replace(debug.settings)
    debug.settings.warn = False
    debug.findings.clear()
    yield
    vars(debug.settings).update(vars(before))
    debug.findings.clear()
    debug.forget()
