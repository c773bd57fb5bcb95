"""What other platforms and Pythons do otherwise, staged on this one."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from anylock import SemaphoreOverReleased, make_rlock, make_semaphore
from anylock._interrupts import interrupts_withheld


def test_a_platform_that_cannot_count_permits() -> None:
    """macOS: it tells whether there is a permit, not how many."""

    def get_value() -> int:
        raise NotImplementedError

    semaphore: Any = make_semaphore("process", 1, bounded=True)
    permits = 1
    most = SimpleNamespace(
        maxvalue=1, _get_value=get_value, _is_zero=lambda: permits == 0
    )
    semaphore._semlock = most
    with pytest.raises(SemaphoreOverReleased):
        semaphore._refuse(1)
    most.maxvalue = 2
    semaphore._refuse(1)
    permits = 0
    semaphore._refuse(2)
    with pytest.raises(SemaphoreOverReleased):
        semaphore._refuse(3)


@pytest.mark.parametrize("taken", [True, False])
def test_an_inner_lock_that_tells_whether_it_is_taken(*, taken: bool) -> None:
    """Python 3.14: up to 3.13 the repr tells, and that would say "unlocked"."""
    lock: Any = make_rlock("thread")
    lock._inner = SimpleNamespace(locked=lambda: taken)
    assert lock.locked() is taken


def test_a_platform_without_signal_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows: an interrupt is not withheld there."""
    monkeypatch.delattr(signal, "pthread_sigmask")
    with interrupts_withheld():
        pass
