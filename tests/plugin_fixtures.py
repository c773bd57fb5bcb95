"""Fixtures of the tests of the pytest plugin: runs of pytest inside of a test."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from anylock.debug import findings, forget

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

# A run inside of a test imports anew whatever this process has not imported before, and
# then there would be two of what there is to be one of.
for _name in ("_async", "_process", "_testrun", "_thread"):
    importlib.import_module(f"anylock.debug.{_name}")


@pytest.fixture
def plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.Pytester]:
    """Runs pytest with the plugin, whether or not anylock is installed here."""
    if not entry_points(group="pytest11", name="anylock"):
        monkeypatch.setenv("PYTEST_PLUGINS", "_anylock_pytest")
    for name in ("PYTEST_ADDOPTS", "PYTEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    forget()
    findings.clear()
    yield pytester
    forget()
    findings.clear()
