"""What Ctrl-C does at the beginning of a test, whoever runs it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def interrupts_raise() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, even if the tests run as `command &` does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
