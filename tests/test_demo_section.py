"""The critical section of the demo, with a race that is staged."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from anylock import Lock, make_lock
from anylock._demo import section
from anylock._demo.tally import Tally
from backends import ASYNCIO, TRIO, Backend, run
from demos import WORDS


class NoLock(nullcontext[None]):
    """Lets everybody in."""

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Intruder:
    """Adds words in the middle of somebody else's critical section, if he can."""

    def __init__(self, lock: Lock | NoLock, tally: Tally) -> None:
        self._lock = lock
        self._tally = tally
        self._done = False

    def look(self, *_args: object) -> None:
        if not self._done and self._lock.try_acquire():
            self._done = True
            self._tally.write(self._tally.read(WORDS) + WORDS)
            self._lock.release()

    async def look_in_task(self, *_args: object) -> None:
        self.look()


@pytest.mark.parametrize("kind", ["none", "thread", "process"])
def test_an_update_is_lost_without_the_lock_only(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = NoLock() if kind == "none" else make_lock(kind)
    with Tally(tmp_path / "tally") as tally:
        intruder = Intruder(lock, tally)
        monkeypatch.setattr(section, "time", SimpleNamespace(sleep=intruder.look))
        section.add(lock, tally, WORDS)
        intruder.look()
        assert tally.read_all().total() == (8 if kind == "none" else 16)


@pytest.mark.parametrize("library", [ASYNCIO, TRIO], ids=str)
@pytest.mark.parametrize("kind", ["none", "async", "thread", "process"])
def test_a_task_loses_an_update_without_the_lock_only(
    library: Backend, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = NoLock() if kind == "none" else make_lock(kind)
    with Tally(tmp_path / "tally") as tally:
        intruder = Intruder(lock, tally)
        anyio_of_section = SimpleNamespace(sleep=intruder.look_in_task)
        monkeypatch.setattr(section, "anyio", anyio_of_section)
        run(library, section.add_in_task, lock, tally, WORDS)
        intruder.look()
        assert tally.read_all().total() == (8 if kind == "none" else 16)


def test_the_two_colours_of_the_section_are_one_text() -> None:
    source = Path(section.__file__).read_text(encoding="utf-8")
    sync, _, task = source.partition("async def add_in_task")
    body = sync[sync.index("    with lock:") :].strip()
    in_task = task[task.index("    async with lock:") :]
    for of_task, of_thread in (("async ", ""), ("await anyio.", "time.")):
        in_task = in_task.replace(of_task, of_thread)
    assert code_of(in_task) == code_of(body)


def code_of(text: str) -> list[str]:
    return [line.partition("#")[0].strip() for line in text.strip().splitlines()]
