"""The stand-ins of the profiler, in the process of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anylock import debug
from anylock._profile.recording import Recording
from anylock._profile.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    """What happens to stand-ins, which are there while the test runs."""
    monkeypatch.setattr(debug.settings, "deadlocks", "warn")
    monkeypatch.setattr(debug.settings, "warn", False)
    recording = Recording(1000)
    restore = replace()
    yield recording
    restore()
    recording.stop()
    debug.forget()
    debug.findings.clear()
