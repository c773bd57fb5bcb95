"""A browser without a screen, in which a page is opened and a script is run."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")

_BEFORE = """
<script>
const errors = [];
window.addEventListener("error", (event) => errors.push(event.message));
document.addEventListener("securitypolicyviolation", (event) =>
  errors.push(event.violatedDirective));
// Pointers that a script makes up cannot be captured.
HTMLElement.prototype.setPointerCapture = () => {};
</script>
"""

_AFTER = """
<script>
const all = (selector) => [...document.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
const texts = (selector) => all(selector).map((each) => each.textContent);
const result = (() => {%s})();
document.documentElement.dataset.result = JSON.stringify({errors, result});
</script>
</body>
"""


def browser() -> str:
    """Return the command; skip the test, or fail it in CI, where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "it needs a browser: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def run_in(page: Path, script: str, *options: str) -> Any:
    """Open a page, run the body of a function of JavaScript, return what it returns.

    Args:
        page: A file; it is copied.
        script: Has `all`, `one` and `texts`, which take selectors.
        *options: Of the browser.
    """
    text = page.read_text(encoding="utf-8").replace("<body>", f"<body>{_BEFORE}", 1)
    start, _, end = text.rpartition("</body>")
    copy = page.with_name("opened.html")
    copy.write_text(start + _AFTER % script + end, encoding="utf-8")
    done = subprocess.run(
        [
            browser(),
            *("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"),
            f"--user-data-dir={page.with_name('browser')}",
            *options,
            "--dump-dom",
            copy.as_uri(),
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    found = re.search('data-result="([^"]*)"', done.stdout)
    assert found, done.stdout[:1000] + done.stderr
    told = json.loads(html.unescape(found[1]))
    assert told["errors"] == []
    return told["result"]
