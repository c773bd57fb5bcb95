"""The demo itself: every kind of workers, without a lock and with one."""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from anylock._demo.command import FAILED, KINDS, NO_TRIO, complain
from anylock._demo.findings import Finding, Findings
from anylock._demo.runs import Job, RunFailedError, count
from anylock._demo.texts import UnreadableTextError, read_standard_library, read_texts
from anylock._interrupts import interrupts_noted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator

    from anylock._demo.runs import Outcome
    from anylock._demo.texts import Texts

WRONG = 1
"""The exit status when a count under a lock is wrong."""


def run(options: argparse.Namespace) -> int:
    """Run the demo as the command line says, and return its exit status.

    Raises:
        KeyboardInterrupt: Somebody pressed Ctrl-C; everything is cleaned up.
    """
    try:
        texts = read_texts(options.files) if options.files else read_standard_library()
        complain(texts.notes)
        if options.json:
            findings = _find_out(options, texts, _no_progress)
            sys.stdout.write(findings.as_json() + "\n")
        else:
            # Only now: --json does without rich.
            from anylock._demo.display import progress, show  # noqa: PLC0415

            with progress() as advance:
                findings = _find_out(options, texts, advance)
            show(findings)
    except (OSError, RunFailedError, UnreadableTextError) as error:
        complain(str(error).splitlines())
        return FAILED
    return 0 if findings.correct else WRONG


def _no_progress(_title: str, _share: float) -> None:
    pass


def _find_out(
    options: argparse.Namespace, texts: Texts, advance: Callable[[str, float], None]
) -> Findings:
    kinds = list(dict.fromkeys(options.kind or KINDS))
    skipped: dict[str, str] = {}
    if "trio" in kinds and find_spec("trio") is None:
        kinds.remove("trio")
        skipped["trio"] = NO_TRIO
    start_method: str | None = options.start_method
    context = multiprocessing.get_context(start_method)
    workers = min(options.workers, len(texts.pages))
    shares = [texts.pages[first::workers] for first in range(workers)]
    share = 1 / (2 * len(kinds) * len(texts.pages))
    found: list[Finding] = []
    with interrupts_noted() as interrupted, _directory() as directory:

        def outcome(kind: str, *, locked: bool) -> Outcome:
            name = f"{kind} {'with' if locked else 'without'} lock"
            file = directory / f"{name.replace(' ', '-')}.sqlite"

            def report() -> bool:
                advance(name, share)
                return not interrupted.is_set()

            job = Job(kind, shares, texts.expected, context, report)
            counted = count(job, file, locked=locked)
            if interrupted.is_set():
                raise KeyboardInterrupt
            return counted

        for kind in kinds:
            without = outcome(kind, locked=False)
            found.append(Finding(kind, workers, without, outcome(kind, locked=True)))
    return Findings(
        files=texts.files,
        updates=len(texts.pages),
        expected=texts.expected.total(),
        start_method=context.get_start_method(),
        kinds=found,
        skipped=skipped,
    )


@contextmanager
def _directory() -> Generator[Path]:
    with TemporaryDirectory(prefix="anylock-demo-") as directory:
        yield Path(directory)
